//! `verification-{session}`: somebody proves that a phone number is theirs.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::Pni;
use crate::personal::Personal;
use crate::values::e164::E164;
use crate::values::hashes::SaltedHash;

event_family! {
    /// What can happen in a verification session.
    VerificationEvent in Verification {
        1 SessionStarted { number }
        2 ProofSubmitted { }
        3 CodeSent { }
        4 CodeRejected { }
        5 NumberVerified { }
        6 ProofRequired { }
        7 CodeUndelivered { }
        8 PushChallengeIssued { challenge }
    }
}

/// Somebody wants to prove that a number is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The number.
    pub number: Personal<E164>,
    /// Its pseudonym.
    pub pni: Pni,
    /// What they must show before a code is sent.
    pub required: Vec<Proof>,
}

/// They showed that they are more than a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofSubmitted {
    /// How.
    pub proof: Proof,
}

/// A code went to the number. Earlier codes are void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSent {
    /// On which way.
    pub transport: Transport,
    /// The hash of the code; `None` where a provider keeps its own codes and judges them.
    pub code: Option<SaltedHash>,
}

/// A wrong code was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRejected {}

/// The right code was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberVerified {}

/// One more proof was asked for: any one of those asked for is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRequired {
    /// Which.
    pub proof: Proof,
}

/// The code that was sent last did not go out: the provider refused. It is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeUndelivered {
    /// On which way it should have gone.
    pub transport: Transport,
    /// Whether this number cannot be reached on this way at all.
    pub permanent: bool,
}

/// A challenge was made, which is pushed to the client's device: sending it back is a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushChallengeIssued {
    /// The pseudonym of the number, under whose key the challenge is sealed.
    pub pni: Pni,
    /// The challenge: a text that nobody can guess.
    pub challenge: Personal<Box<str>>,
}

/// What a session may ask for before it sends a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proof {
    /// A token that was pushed to the device.
    PushChallenge,
    /// A solved captcha.
    Captcha,
}

/// How a code travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A text message.
    Sms,
    /// A call.
    Voice,
}
