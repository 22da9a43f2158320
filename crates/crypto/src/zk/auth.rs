//! Auth credentials: "the bearer is this account and this phone number", encrypted for the group it is shown to.

use curve25519_dalek::ristretto::RistrettoPoint;
use events::{Aci, Pni, Timestamp};
use rand_core::CryptoRng;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::credential::{self, Attributes};
use super::day::may_be_shown;
use super::encoding::{Reader, Writer};
use super::params::ServerSecretParams;
use super::presentation::{Presentation as Shows, Shown};
use super::{Day, Malformed, VerificationFailed, fresh};

const LABEL: &[u8] = b"20240222_Signal_AuthCredentialZkc";
const VERSION: u8 = 3;
/// The namespace under which substitutes for phone-number identities are derived (a UUID).
const SUBSTITUTE_NAMESPACE: [u8; 16] = [
    0x01, 0x9f, 0xaa, 0x2b, 0x7b, 0xcb, 0x70, 0xc2, 0xac, 0x7f, 0xcd, 0x77, 0x04, 0x14, 0x68, 0x9a,
];

/// Issues a credential for one day: 425 bytes, `03 | t | U | V | length | proof`.
pub fn issue(
    params: &ServerSecretParams,
    aci: Aci,
    pni: Pni,
    redemption: Day,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let attributes = Attributes::new(LABEL, &[redemption.seconds()])
        .service_id(aci)
        .service_id(pni);
    let issued = credential::issue(&params.credential, &attributes, &fresh(rng));
    Writer::default().tag(VERSION).bytes(&issued).finish()
}

/// What stands for the phone-number identity in the credentials of an account without a number: a UUID of version 5
/// made of the account and of 16 random bytes that the client was given when it registered.
pub fn substitute_pni(aci: Aci, salt: &[u8; 16]) -> Pni {
    let hash = Sha1::new()
        .chain_update(SUBSTITUTE_NAMESPACE)
        .chain_update(Sha256::digest(salt))
        .chain_update(aci.as_bytes())
        .finalize();
    let hash: [u8; 20] = hash.into();
    let bytes = *hash.first_chunk().expect("20 bytes start with 16");
    Pni::from_uuid(uuid::Builder::from_sha1_bytes(bytes).into_uuid())
}

/// The public parameters of a group, as far as presentations to it are concerned: 97 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPublicParams {
    uid_encryption: RistrettoPoint,
}

impl GroupPublicParams {
    /// The size in bytes.
    pub const LEN: usize = 97;

    /// Reads `00 | group id | key for service ids | key for profile keys`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::exact(bytes, Self::LEN, "group public parameters (97 bytes)")?;
        reader.tag(0)?;
        let _group_id: &[u8; 32] = reader.bytes()?;
        let [uid_encryption, _profile_key_encryption] = reader.points()?;
        Ok(Self { uid_encryption })
    }
}

/// An auth credential as a group's server is shown it: 633 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    shows: Shows,
    aci: [RistrettoPoint; 2],
    pni: [RistrettoPoint; 2],
    redemption: u64,
}

impl Presentation {
    /// Reads `03 | presentation | ACI ciphertext | PNI ciphertext | redemption time`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "an auth credential presentation");
        reader.tag(VERSION)?;
        let shows = Shows::read(&mut reader)?;
        Ok(Self {
            shows,
            aci: reader.points()?,
            pni: reader.points()?,
            redemption: reader.integer()?,
        })
    }

    /// Checks that a member of the group shows a credential of this server, between a day before its day and two days
    /// after.
    pub fn verify(
        &self,
        params: &ServerSecretParams,
        group: &GroupPublicParams,
        now: Timestamp,
    ) -> Result<(), VerificationFailed> {
        if !may_be_shown(self.redemption, now) {
            return Err(VerificationFailed);
        }
        let public = Attributes::new(LABEL, &[self.redemption]);
        let shown = [Shown::Hidden(self.aci), Shown::Hidden(self.pni)];
        self.shows.verify(
            &params.credential,
            &public,
            &shown,
            Some(group.uid_encryption),
        )
    }
}
