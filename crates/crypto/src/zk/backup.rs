//! Backup auth credentials: "the bearer owns this backup", shown by nobody in particular.

use curve25519_dalek::ristretto::RistrettoPoint;
use events::Timestamp;
use events::values::keys::{EcPublicKey, Signature};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

use super::credential::{self, Attributes, Blinded};
use super::day::may_be_shown;
use super::encoding::{Reader, Writer};
use super::params::GenericSecretParams;
use super::presentation::{Presentation as Shows, Shown};
use super::sho::Sho;
use super::{Day, Malformed, VerificationFailed, fresh};
use crate::xeddsa;

const LABEL: &[u8] = b"20231003_Signal_BackupAuthCredential";

/// How much a backup may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Messages, and media of the last weeks: 200 on the wire.
    Free,
    /// All media: 201 on the wire.
    Paid,
}

impl Level {
    /// The number on the wire.
    pub const fn number(self) -> u64 {
        match self {
            Self::Free => 200,
            Self::Paid => 201,
        }
    }
}

/// Which of an account's two backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Messages: 1 on the wire.
    Messages,
    /// Media: 2 on the wire.
    Media,
}

impl Kind {
    /// The number on the wire.
    pub const fn number(self) -> u64 {
        match self {
            Self::Messages => 1,
            Self::Media => 2,
        }
    }
}

/// A request for credentials of one backup, made once and kept with the account: 97 bytes. The same backup gives the same
/// bytes; nothing in it is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(Blinded);

impl Request {
    /// Reads `00 | D1 | D2 | Y`. Bytes after them are ignored, as by the official library.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a backup credential request (97 bytes)");
        reader.tag(0)?;
        Ok(Self(Blinded::read(&mut reader)?))
    }
}

/// Issues a credential for one day: 417 bytes, `00 | redemption time | level | kind | t | U | S1 | S2 | length | proof`.
pub fn issue(
    params: &GenericSecretParams,
    request: &Request,
    redemption: Day,
    level: Level,
    kind: Kind,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let public = [redemption.seconds(), level.number(), kind.number()];
    let attributes = Attributes::new(LABEL, &public);
    let issued = credential::blind_issue(&params.credential, &attributes, &request.0, &fresh(rng));
    let writer = Writer::default()
        .tag(0)
        .integer(public[0])
        .integer(public[1])
        .integer(public[2]);
    writer.bytes(&issued).finish()
}

/// A credential as the backup service is shown it (header `X-Signal-ZK-Auth`): 345 bytes. It says nothing that can be
/// relied on before it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    level: Level,
    kind: Kind,
    redemption: u64,
    shows: Shows,
    backup_id: [u8; 16],
}

impl Presentation {
    /// Reads `00 | level | kind | redemption time | presentation | backup id`.
    ///
    /// # Errors
    /// Also a level or kind that the server does not know.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a backup credential presentation (345 bytes)");
        reader.tag(0)?;
        let number = reader.integer()?;
        let level = [Level::Free, Level::Paid]
            .into_iter()
            .find(|level| level.number() == number);
        let number = reader.integer()?;
        let kind = [Kind::Messages, Kind::Media]
            .into_iter()
            .find(|kind| kind.number() == number);
        Ok(Self {
            level: level.ok_or(reader.malformed())?,
            kind: kind.ok_or(reader.malformed())?,
            redemption: reader.integer()?,
            shows: Shows::read(&mut reader)?,
            backup_id: *reader.bytes()?,
        })
    }

    /// Under which name the server files the backup: the first 16 bytes of SHA-256 over its id. Not yet verified.
    pub fn backup_id_hash(&self) -> [u8; 16] {
        backup_id_hash(&self.backup_id)
    }

    /// Checks that the server issued the credential for this backup id, level and kind, and that it is shown between a
    /// day before its day and two days after.
    pub fn verify(
        &self,
        params: &GenericSecretParams,
        now: Timestamp,
    ) -> Result<Verified, VerificationFailed> {
        if !may_be_shown(self.redemption, now) {
            return Err(VerificationFailed);
        }
        let public = Attributes::new(
            LABEL,
            &[self.redemption, self.level.number(), self.kind.number()],
        );
        let shown = [Shown::Revealed(backup_id_point(&self.backup_id))];
        self.shows
            .verify(&params.credential, &public, &shown, None)?;
        Ok(Verified {
            backup_id_hash: self.backup_id_hash(),
            level: self.level,
            kind: self.kind,
        })
    }
}

/// What a verified presentation proves about its bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Under which name the server files the backup.
    pub backup_id_hash: [u8; 16],
    /// How much it may hold.
    pub level: Level,
    /// Which of the account's backups it is.
    pub kind: Kind,
}

/// The first 16 bytes of SHA-256 over a backup id.
pub fn backup_id_hash(backup_id: &[u8; 16]) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(backup_id).into();
    *hash.first_chunk().expect("32 bytes start with 16")
}

/// Whether the bearer also signed the presentation (header `X-Signal-ZK-Auth-Signature`), over all of its bytes. `key` is
/// the one registered for the backup; if there is none, an unrelated key, so that the answer takes as long.
pub fn verify_signature(
    presentation: &[u8],
    key: &EcPublicKey,
    signature: &Signature,
) -> Result<(), VerificationFailed> {
    if xeddsa::verify(key, presentation, signature) {
        Ok(())
    } else {
        Err(VerificationFailed)
    }
}

fn backup_id_point(backup_id: &[u8; 16]) -> RistrettoPoint {
    Sho::with(b"20231003_Signal_BackupId", backup_id).point()
}
