//! Group send endorsements: "the bearer is in a group with these people", which opens sealed-sender sends, pre-key and
//! profile reads without access keys.

use curve25519_dalek::ristretto::RistrettoPoint;
use events::{ServiceId, Timestamp};
use rand_core::CryptoRng;

use super::day::{default_expiration, seconds};
use super::encoding::{Reader, Writer};
use super::endorsement::DerivedKey;
use super::params::ServerSecretParams;
use super::{Day, Malformed, VerificationFailed, fresh, uid};

const LABEL: &[u8] = b"20240215_Signal_GroupSendEndorsement";

/// A full token (header `Group-Send-Token`): 33 bytes, for one recipient or for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    tag: Vec<u8>,
    expiration: u64,
}

impl Token {
    /// Reads `00 | 16 | tag | expiration`. A tag of another length is read, and will not verify. Bytes after the token
    /// are ignored, as by the official library.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a group send token (33 bytes)");
        reader.tag(0)?;
        Ok(Self {
            tag: reader.counted_bytes()?.to_vec(),
            expiration: reader.integer()?,
        })
    }

    /// When it expires, in seconds since 1970. Not yet verified.
    pub const fn expiration(&self) -> u64 {
        self.expiration
    }

    /// The token that members make of the endorsements for these recipients; none for nobody. Clients make it; here it
    /// serves tests and the load generator.
    pub fn endorsing(
        params: &ServerSecretParams,
        recipients: impl IntoIterator<Item = ServiceId>,
        expiration: Day,
    ) -> Option<Self> {
        let expiration = expiration.seconds();
        let tag = key(params, expiration).tag(sum(recipients)?);
        Some(Self {
            tag: tag.to_vec(),
            expiration,
        })
    }

    /// The byte form.
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::default()
            .tag(0)
            .counted_bytes(&self.tag)
            .integer(self.expiration)
            .finish()
    }

    /// Checks the token for a set of recipients: all that a message is for, in any order, none twice. It is valid up to
    /// and including its last second. For no recipients no token is: anybody could make that one.
    ///
    /// Costs a hash to a point for each recipient.
    pub fn verify(
        &self,
        params: &ServerSecretParams,
        recipients: impl IntoIterator<Item = ServiceId>,
        now: Timestamp,
    ) -> Result<(), VerificationFailed> {
        if self.expiration < seconds(now) {
            return Err(VerificationFailed);
        }
        let sum = sum(recipients).ok_or(VerificationFailed)?;
        key(params, self.expiration).check(sum, &self.tag)
    }
}

fn sum(recipients: impl IntoIterator<Item = ServiceId>) -> Option<RistrettoPoint> {
    let points = recipients.into_iter().map(uid::m1);
    points.reduce(|sum, point| sum + point)
}

/// The members of a group as its server knows them: each a service id encrypted for the group, 65 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberCiphertext(RistrettoPoint);

impl MemberCiphertext {
    /// The size in bytes.
    pub const LEN: usize = 65;

    /// Reads `00 | E1 | E2`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::exact(bytes, Self::LEN, "an encrypted service id (65 bytes)")?;
        reader.tag(0)?;
        let [e1, _e2] = reader.points()?;
        Ok(Self(e1))
    }
}

/// When endorsements issued at `now` expire: with the day after, and a day later if that is less than 25 hours away.
pub fn expiration(now: Timestamp) -> Day {
    default_expiration(now)
}

/// Endorses the members of a group: `00 | count | R … | length | proof | expiration`, 89 bytes and 32 for each member, in
/// an order of their own. A group server does this; none is issued for a group without members.
pub fn issue(
    params: &ServerSecretParams,
    members: &[MemberCiphertext],
    expiration: Day,
    rng: &mut impl CryptoRng,
) -> Option<Vec<u8>> {
    if members.is_empty() {
        return None;
    }
    let doubled = RistrettoPoint::double_and_compress_batch(members.iter().map(|member| &member.0));
    let mut sorted: Vec<_> = doubled
        .into_iter()
        .zip(members.iter().map(|member| member.0))
        .collect();
    sorted.sort_by_key(|(doubled, _)| doubled.to_bytes());
    let (doubled, points): (Vec<_>, Vec<_>) = sorted.into_iter().unzip();
    let issued = key(params, expiration.seconds()).issue(&points, &doubled, &fresh(rng));
    Some(
        Writer::default()
            .tag(0)
            .bytes(&issued)
            .integer(expiration.seconds())
            .finish(),
    )
}

pub(super) fn key(params: &ServerSecretParams, expiration: u64) -> DerivedKey {
    params.endorsement.derive(LABEL, expiration)
}
