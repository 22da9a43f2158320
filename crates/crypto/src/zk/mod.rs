//! The server's side of zkgroup: credentials that a client can show without telling who it is.
//!
//! Every object has one byte form, stated at its type. Reading one gives it or [`Malformed`]; a proof, tag or time that
//! does not hold is [`VerificationFailed`]. Issuing draws 32 fresh bytes each time: two issuances with the same bytes
//! tell the secret key. Every proof is checked before it is given away.
//!
//! The labels in here are those of the protocol: generators and hashes follow from them, and `constants.json` among the
//! vectors lists what comes out.
//!
//! Issuing takes milliseconds, so it belongs on a thread that may block.

pub mod auth;
pub mod avatar;
pub mod backup;
pub mod call_link;
mod credential;
mod day;
pub mod donation;
mod encoding;
mod endorsement;
pub mod group_send;
mod key;
mod params;
pub(crate) mod poksho;
mod presentation;
pub mod profile;
pub mod receipt;
pub(crate) mod sho;
#[cfg(test)]
mod tests;
mod uid;

pub use day::{Day, InvalidRange, NotADay, redemption_days};
pub use params::{GenericSecretParams, GenericVersion, ServerSecretParams};

/// Bytes that are no object of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct Malformed(&'static str);

/// Well-formed, but a proof, a tag or the time does not hold. Which of them is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not verify")]
pub struct VerificationFailed;

fn fresh(rng: &mut impl rand_core::CryptoRng) -> zeroize::Zeroizing<[u8; 32]> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill_bytes(bytes.as_mut());
    bytes
}
