//! Endorsements: points that the server has multiplied by a secret of the day, and short tags made of them.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::encoding::{Reader, Writer};
use super::poksho::{G, Relation};
use super::sho::Sho;
use super::{Malformed, VerificationFailed};

/// The size of a tag in bytes.
pub(super) const TAG_LEN: usize = 16;

/// The secret from which the keys of all days follow.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct RootKey(Scalar);

impl RootKey {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(
            Sho::with(
                b"Signal_ZKCredential_Endorsements_ServerRootKeyPair_generate_20240207",
                seed,
            )
            .scalar(),
        )
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.scalar().map(Self)
    }

    pub(super) fn write(&self, writer: Writer) -> Writer {
        writer.scalars(&[self.0])
    }

    pub(super) fn public(&self) -> RistrettoPoint {
        RistrettoPoint::mul_base(&self.0)
    }

    /// The key of endorsements that expire then. `label` names what is endorsed.
    pub(super) fn derive(&self, label: &[u8], expiration: u64) -> DerivedKey {
        let tweaked = self.0 + Sho::with(label, &expiration.to_be_bytes()).scalar();
        DerivedKey {
            secret: tweaked.invert(),
            tweaked,
        }
    }
}

/// The key of one kind of endorsement and one expiration.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct DerivedKey {
    tweaked: Scalar,
    secret: Scalar,
}

impl DerivedKey {
    fn public(&self) -> RistrettoPoint {
        RistrettoPoint::mul_base(&self.tweaked)
    }

    /// Whether `tag` (of any length, but only one of 16 bytes can be right) endorses the point. Constant time.
    pub(super) fn check(
        &self,
        point: RistrettoPoint,
        tag: &[u8],
    ) -> Result<(), VerificationFailed> {
        if bool::from(self.tag(point).as_slice().ct_eq(tag)) {
            Ok(())
        } else {
            Err(VerificationFailed)
        }
    }

    /// The tag that endorses the point.
    pub(super) fn tag(&self, point: RistrettoPoint) -> [u8; TAG_LEN] {
        let endorsed = self.secret * point;
        let hash = Sha256::digest(endorsed.compress().as_bytes());
        *hash.first_chunk().expect("32 bytes start with 16")
    }

    /// Endorses points in the order given: `count | R … | length | proof`. There must be at least one.
    ///
    /// `doubled` are the points times two, compressed.
    pub(super) fn issue(
        &self,
        points: &[RistrettoPoint],
        doubled: &[CompressedRistretto],
        randomness: &[u8; 32],
    ) -> Vec<u8> {
        let endorsed: Vec<_> = points.iter().map(|point| self.secret * point).collect();
        let weights = self.weights(doubled, &endorsed);
        let proof = self
            .relation(
                RistrettoPoint::vartime_multiscalar_mul(&weights, points),
                RistrettoPoint::vartime_multiscalar_mul(&weights, &endorsed),
            )
            .prove(b"", randomness);
        Writer::default()
            .count(endorsed.len())
            .points(&endorsed)
            .counted_bytes(&proof)
            .finish()
    }

    pub(super) fn relation(&self, points: RistrettoPoint, endorsed: RistrettoPoint) -> Relation {
        let mut relation = Relation::default();
        relation.equation("weighted_sum(R)", &[("sk_prime", "weighted_sum(E)")]);
        relation.equation(G, &[("sk_prime", "PK_prime")]);
        relation.points([
            ("weighted_sum(R)", endorsed),
            ("weighted_sum(E)", points),
            ("PK_prime", self.public()),
        ]);
        relation.secrets([("sk_prime", self.secret)]);
        relation
    }

    /// One proof for all points: about their sum, each with a weight that follows from all of them. The first has weight
    /// one, the others 127 bits.
    fn weights(&self, doubled: &[CompressedRistretto], endorsed: &[RistrettoPoint]) -> Vec<Scalar> {
        let mut sho =
            Sho::new(b"Signal_ZKCredential_Endorsements_EndorsementResponse_ProofWeights_20240207");
        sho.absorb(self.public().compress().as_bytes());
        for point in doubled {
            sho.absorb(point.as_bytes());
        }
        for point in endorsed {
            sho.absorb(point.compress().as_bytes());
        }
        sho.ratchet();
        let drawn = sho.halves(endorsed.len().saturating_sub(1));
        let drawn = drawn
            .into_iter()
            .map(|half| Scalar::from(u128::from_le_bytes(half) & (u128::MAX >> 1)));
        [Scalar::ONE].into_iter().chain(drawn).collect()
    }

    #[cfg(test)]
    pub(super) fn to_bytes(&self, expiration: u64) -> Vec<u8> {
        Writer::default()
            .tag(0)
            .scalars(&[self.secret])
            .points(&[self.public()])
            .integer(expiration)
            .finish()
    }
}
