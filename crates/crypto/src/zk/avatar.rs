//! Avatar upload credentials: "the bearer may write the avatar behind this commitment", without telling whose it is.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use events::{Aci, Timestamp};
use rand_core::CryptoRng;

use super::credential::{self, Attributes, Blinded};
use super::day::may_be_shown;
use super::encoding::{Reader, Writer};
use super::params::GenericSecretParams;
use super::poksho::{G, Points, Relation};
use super::presentation::{Presentation as Shows, Shown, domain_generators};
use super::sho::Sho;
use super::{Day, Malformed, VerificationFailed, fresh};

const LABEL: &[u8] = b"20260329_Signal_AvatarUploadCredential";
const REQUEST_MESSAGE: &[u8] = b"20260329_Signal_AvatarUploadCredential_CmWellFormednessProof";

/// H1 to H4.
pub(super) static COMMITMENT: LazyLock<[RistrettoPoint; 4]> = LazyLock::new(|| {
    let mut sho = Sho::new(b"20260602_Signal_AvatarUploadCredential_CommitmentParams");
    std::array::from_fn(|_| sho.point())
});

pub(super) static CREDENTIAL_KEY: LazyLock<[RistrettoPoint; 2]> =
    LazyLock::new(|| domain_generators(b"Signal_ZkCredentialKey_20260602"));

/// The public half of a key that an account uploads for this purpose: 33 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialPublicKey(RistrettoPoint);

impl CredentialPublicKey {
    /// Reads `00 | A`. Bytes after them are ignored, as by the official library.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a credential key (33 bytes)");
        reader.tag(0)?;
        reader.point().map(Self)
    }
}

/// A request for a credential: 233 bytes. It holds the commitment encrypted for the requester, and a proof that it was
/// made of the account, its rotation id and its credential key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    blinded: Blinded,
    proof: Vec<u8>,
}

impl Request {
    /// Reads `00 | D1 | D2 | Y | length | proof`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "an avatar credential request (233 bytes)");
        reader.tag(0)?;
        Ok(Self {
            blinded: Blinded::read(&mut reader)?,
            proof: reader.counted_bytes()?.to_vec(),
        })
    }

    /// Checks that the commitment belongs to this account with this key and rotation id.
    pub fn verify(
        &self,
        aci: Aci,
        rotation_id: u64,
        key: &CredentialPublicKey,
    ) -> Result<(), VerificationFailed> {
        self.relation(aci, rotation_id, key)
            .verify(&self.proof, REQUEST_MESSAGE, Points::Public)
    }

    pub(super) fn relation(
        &self,
        aci: Aci,
        rotation_id: u64,
        key: &CredentialPublicKey,
    ) -> Relation {
        let ([h1, h2, h3, h4], [g1, g2]) = (*COMMITMENT, *CREDENTIAL_KEY);
        let aci = Scalar::from(u128::from_le_bytes(*aci.as_bytes()));
        let adjusted = self.blinded.d2 - aci * h1 - Scalar::from(rotation_id) * h2;
        let mut relation = Relation::default();
        relation.equation("D1", &[("r", G)]);
        relation.equation("D2_adj", &[("r", "Y"), ("a1", "H3"), ("a2", "H4")]);
        relation.equation("ZkCredKeyPub", &[("a1", "G_a1"), ("a2", "G_a2")]);
        relation.points([
            ("D1", self.blinded.d1),
            ("D2_adj", adjusted),
            ("Y", self.blinded.y),
        ]);
        relation.points([
            ("H3", h3),
            ("H4", h4),
            ("ZkCredKeyPub", key.0),
            ("G_a1", g1),
            ("G_a2", g2),
        ]);
        relation
    }
}

/// Issues a credential for one day: 401 bytes, `00 | redemption time | t | U | S1 | S2 | length | proof`.
///
/// # Errors
/// The request's commitment belongs to another account, key or rotation id.
pub fn issue(
    params: &GenericSecretParams,
    request: &Request,
    (aci, rotation_id, key): (Aci, u64, &CredentialPublicKey),
    redemption: Day,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, VerificationFailed> {
    request.verify(aci, rotation_id, key)?;
    let attributes = Attributes::new(LABEL, &[redemption.seconds()]);
    let issued = credential::blind_issue(
        &params.credential,
        &attributes,
        &request.blinded,
        &fresh(rng),
    );
    Ok(Writer::default()
        .tag(0)
        .integer(redemption.seconds())
        .bytes(&issued)
        .finish())
}

/// A credential as the upload service is shown it: 345 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    redemption: u64,
    commitment: RistrettoPoint,
    shows: Shows,
}

impl Presentation {
    /// Reads `00 | redemption time | commitment | presentation`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "an avatar credential presentation (345 bytes)");
        reader.tag(0)?;
        Ok(Self {
            redemption: reader.integer()?,
            commitment: reader.point()?,
            shows: Shows::read(&mut reader)?,
        })
    }

    /// Checks that the server issued the credential, and that it is shown between a day before its day and two days
    /// after. Gives the commitment: the name under which the avatar is stored.
    pub fn verify(
        &self,
        params: &GenericSecretParams,
        now: Timestamp,
    ) -> Result<[u8; 32], VerificationFailed> {
        if !may_be_shown(self.redemption, now) {
            return Err(VerificationFailed);
        }
        let public = Attributes::new(LABEL, &[self.redemption]);
        self.shows.verify(
            &params.credential,
            &public,
            &[Shown::Revealed(self.commitment)],
            None,
        )?;
        Ok(self.commitment.compress().to_bytes())
    }
}
