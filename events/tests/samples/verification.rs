//! Samples of events of verification sessions.

use events::verification::{
    CodeRejected, CodeSent, CodeUndelivered, NumberVerified, Proof, ProofRequired, ProofSubmitted,
    PushChallengeIssued, SessionStarted, Transport, VerificationEvent,
};

use super::{number, pni, salted};

pub(super) fn samples() -> Vec<VerificationEvent> {
    vec![
        SessionStarted {
            number: number().into(),
            pni: pni(),
            required: vec![Proof::PushChallenge, Proof::Captcha],
        }
        .into(),
        ProofSubmitted {
            proof: Proof::Captcha,
        }
        .into(),
        CodeSent {
            transport: Transport::Sms,
            code: Some(salted("code")),
        }
        .into(),
        CodeRejected {}.into(),
        NumberVerified {}.into(),
        ProofRequired {
            proof: Proof::PushChallenge,
        }
        .into(),
        CodeUndelivered {
            transport: Transport::Voice,
            permanent: true,
        }
        .into(),
        PushChallengeIssued {
            pni: pni(),
            challenge: Box::<str>::from("push-challenge").into(),
        }
        .into(),
    ]
}
