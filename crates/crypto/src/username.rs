//! Usernames: the server stores a hash, and a proof shows that it was made of a well-formed name.
//!
//! A name is a nickname and a discriminator, `jimio.01`. Its hash is a point that three numbers of the name fix.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha512};

use crate::zk::poksho::{Points, Relation};
use crate::zk::sho::Sho;

pub(crate) static GENERATORS: LazyLock<[RistrettoPoint; 3]> = LazyLock::new(|| {
    let mut sho = Sho::with(b"Signal_Username_20230130_Constant_Points_Generate", b"");
    std::array::from_fn(|_| sho.point())
});

/// The size of a hash in bytes.
pub const HASH_LEN: usize = 32;
/// The size of a proof in bytes.
pub const PROOF_LEN: usize = 128;
/// The longest encrypted username behind a link, in bytes. The shortest has one.
pub const MAX_LINK_LEN: usize = 128;

/// A proof that does not show what it should, or a hash that no name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not show that the hash is one of a username")]
pub struct ProofInvalid;

/// Checks that whoever made `proof` (128 bytes) knows a username with the hash (32 bytes).
pub fn verify(hash: &[u8; HASH_LEN], proof: &[u8]) -> Result<(), ProofInvalid> {
    let point = CompressedRistretto(*hash)
        .decompress()
        .ok_or(ProofInvalid)?;
    relation(point)
        .verify(proof, hash, Points::Public)
        .map_err(|_| ProofInvalid)
}

/// Whether an encrypted username of this many bytes may be stored behind a link: 1 to 128. What is in it is between the
/// account and those who have the link.
pub const fn link_length_is_allowed(length: usize) -> bool {
    1 <= length && length <= MAX_LINK_LEN
}

pub(crate) fn relation(hash: RistrettoPoint) -> Relation {
    let [g1, g2, g3] = *GENERATORS;
    let mut relation = Relation::default();
    relation.equation(
        "username_hash",
        &[("name", "G1"), ("nickname", "G2"), ("discriminator", "G3")],
    );
    relation.points([("username_hash", hash), ("G1", g1), ("G2", g2), ("G3", g3)]);
    relation
}

/// A username as its owner sees it. Servers never do; it serves tests and the load generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    /// In lower case.
    nickname: String,
    discriminator: u64,
}

/// Why a text is no username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// There is no dot between nickname and discriminator.
    #[error("has no discriminator")]
    NoDiscriminator,
    /// Not 1 to 48 letters, digits and underscores, or a digit in front.
    #[error(
        "has a nickname that is not 1 to 48 letters, digits and underscores with no digit first"
    )]
    Nickname,
    /// Not a number of at least two digits, zero, or with zeros in front beyond the second digit.
    #[error("has a discriminator that is no positive number of two digits or more")]
    Discriminator,
}

impl std::str::FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        let (nickname, discriminator) = text
            .rsplit_once('.')
            .ok_or(InvalidUsername::NoDiscriminator)?;
        let is_nickname = (1..=48).contains(&nickname.len())
            && nickname
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
            && !nickname.starts_with(|first: char| first.is_ascii_digit());
        if !is_nickname {
            return Err(InvalidUsername::Nickname);
        }
        let well_formed = discriminator.len() >= 2
            && discriminator.bytes().all(|byte| byte.is_ascii_digit())
            && !(discriminator.len() > 2 && discriminator.starts_with('0'));
        let number = discriminator
            .parse()
            .ok()
            .filter(|number| well_formed && *number != 0);
        let discriminator = number.ok_or(InvalidUsername::Discriminator)?;
        Ok(Self {
            nickname: nickname.to_ascii_lowercase(),
            discriminator,
        })
    }
}

impl Username {
    /// The hash that the server stores.
    pub fn hash(&self) -> [u8; HASH_LEN] {
        self.point().compress().to_bytes()
    }

    /// A proof that the hash is one of a username: 128 bytes.
    pub fn prove(&self, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut randomness = [0; 32];
        rng.fill_bytes(&mut randomness);
        let names = ["name", "nickname", "discriminator"];
        relation(self.point())
            .secrets(names.into_iter().zip(self.scalars()))
            .prove(&self.hash(), &randomness)
    }

    fn point(&self) -> RistrettoPoint {
        self.scalars()
            .iter()
            .zip(GENERATORS.iter())
            .map(|(scalar, point)| scalar * point)
            .sum()
    }

    fn scalars(&self) -> [Scalar; 3] {
        let hash = Sha512::new()
            .chain_update(&self.nickname)
            .chain_update([0])
            .chain_update(self.discriminator.to_be_bytes())
            .finalize();
        let name = Scalar::from_bytes_mod_order_wide(&hash.into());
        [
            name,
            nickname_scalar(&self.nickname),
            Scalar::from(self.discriminator),
        ]
    }
}

/// The nickname as a number: its first character is one of 27, each other one of 37.
fn nickname_scalar(nickname: &str) -> Scalar {
    let value = |byte: u8| match byte {
        b'_' => 1,
        b'a'..=b'z' => u64::from(byte - b'a') + 2,
        digit => u64::from(digit - b'0') + 28,
    };
    let (first, rest) = nickname
        .as_bytes()
        .split_first()
        .expect("a nickname is not empty");
    let rest = rest.iter().rev().fold(Scalar::ZERO, |sum, byte| {
        sum * Scalar::from(37_u64) + Scalar::from(value(*byte))
    });
    Scalar::from(value(*first)) + rest * Scalar::from(27_u64)
}
