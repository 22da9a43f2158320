//! Donation permits: each lets nobody in particular make one attempt at a payment.

use curve25519_dalek::ristretto::RistrettoPoint;
use events::Timestamp;
use rand_core::CryptoRng;

use super::day::{default_expiration, seconds};
use super::encoding::{Reader, Writer};
use super::endorsement::DerivedKey;
use super::params::ServerSecretParams;
use super::sho::Sho;
use super::{Day, Malformed, VerificationFailed, fresh};

const LABEL: &[u8] = b"20260611_Signal_DonationPermitEndorsement";
const NONCE_LABEL: &[u8] = b"20260611_Signal_DonationPermitEndorsement_NonceToPoint";
const LEAST_LEFT: u64 = 2 * 3600;
const MOST_LEFT: u64 = 7 * 86_400;

/// A request for permits: 9 bytes and 32 for each. Charge the rate limiter by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request(Vec<RistrettoPoint>);

impl Request {
    /// Reads `00 | count | blinded points`.
    ///
    /// # Errors
    /// Also a count of zero.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a request for donation permits");
        reader.tag(0)?;
        let points: Vec<_> = (0..reader.count(32)?)
            .map(|_| reader.point())
            .collect::<Result<_, _>>()?;
        if points.is_empty() {
            Err(reader.malformed())
        } else {
            Ok(Self(points))
        }
    }

    /// How many permits are asked for.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// When permits issued at `now` expire: with the day after, and a day later if that is less than 25 hours away.
pub fn expiration(now: Timestamp) -> Day {
    default_expiration(now)
}

/// Issues permits: 89 bytes and 32 for each, `00 | count | R … | length | proof | expiration`.
pub fn issue(
    params: &ServerSecretParams,
    request: &Request,
    expiration: Day,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let doubled = RistrettoPoint::double_and_compress_batch(&request.0);
    let issued = key(params, expiration.seconds()).issue(&request.0, &doubled, &fresh(rng));
    Writer::default()
        .tag(0)
        .bytes(&issued)
        .integer(expiration.seconds())
        .finish()
}

/// A permit: 65 bytes (header `Donation-Permit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    expiration: u64,
    nonce: [u8; 32],
    tag: Vec<u8>,
}

impl Permit {
    /// Reads `00 | expiration | nonce | 16 | tag`. A tag of another length is read, and will not verify.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "a donation permit (65 bytes)");
        reader.tag(0)?;
        let (expiration, nonce) = (reader.integer()?, *reader.bytes()?);
        Ok(Self {
            expiration,
            nonce,
            tag: reader.counted_bytes()?.to_vec(),
        })
    }

    /// Checks the permit: it expires at the start of a day, in two hours to seven days from now.
    ///
    /// Gives the number by which it is known that the permit was used. Keep it until the permit expires.
    pub fn verify(
        &self,
        params: &ServerSecretParams,
        now: Timestamp,
    ) -> Result<[u8; 32], VerificationFailed> {
        let expiration = Day::from_seconds(self.expiration)
            .map_err(|_| VerificationFailed)?
            .seconds();
        let left = expiration
            .checked_sub(seconds(now))
            .ok_or(VerificationFailed)?;
        if !(LEAST_LEFT..=MOST_LEFT).contains(&left) {
            return Err(VerificationFailed);
        }
        let mut sho = Sho::new(NONCE_LABEL);
        sho.absorb(&self.nonce).ratchet();
        key(params, expiration).check(sho.point(), &self.tag)?;
        Ok(self.nonce)
    }

    /// When it expires, in seconds since 1970. Not yet verified.
    pub const fn expiration(&self) -> u64 {
        self.expiration
    }
}

pub(super) fn key(params: &ServerSecretParams, expiration: u64) -> DerivedKey {
    params.endorsement.derive(LABEL, expiration)
}
