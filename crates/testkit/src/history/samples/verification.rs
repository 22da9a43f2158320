//! What happens in sessions about numbers.

use events::verification::{
    CodeRejected, CodeSent, CodeUndelivered, NumberVerified, Proof, ProofRequired, ProofSubmitted,
    SessionStarted, Transport, VerificationEvent,
};

use super::{number, pni};

/// A session about the number of account `n` is started.
pub fn started(n: u32) -> VerificationEvent {
    SessionStarted {
        number: number(n).into(),
        pni: pni(n),
        required: vec![Proof::Captcha],
    }
    .into()
}

/// One of the things that can happen in a session.
pub fn step(n: u32) -> VerificationEvent {
    let transport = if n & 8 == 0 {
        Transport::Sms
    } else {
        Transport::Voice
    };
    match n % 6 {
        0 => ProofRequired {
            proof: Proof::PushChallenge,
        }
        .into(),
        1 => ProofSubmitted {
            proof: Proof::Captcha,
        }
        .into(),
        2 => CodeSent {
            transport,
            code: None,
        }
        .into(),
        3 => CodeUndelivered {
            transport,
            permanent: n & 16 == 0,
        }
        .into(),
        4 => CodeRejected {}.into(),
        _ => NumberVerified {}.into(),
    }
}
