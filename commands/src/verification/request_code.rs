//! A code is sent to the number.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::values::hashes::SaltedHash;
use events::verification::{CodeSent, Transport, VerificationEvent};
use events::{E164, SessionId, StreamId, Timestamp};

use super::state::{SessionGone, conclude, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Decides that a code goes out. The door mints the code, runs this command with its hash, and hands the code to
/// the [`VerificationTransport`](crate::ports::VerificationTransport) only when this has succeeded.
///
/// The fact comes before the deed, so that the limits hold whoever asks at the same time and whatever crashes: in the worst
/// case a code was counted that nobody got, never one sent that nobody counted. If the transport refuses, the door runs
/// [`ReportUndelivered`](super::report_undelivered::ReportUndelivered); if it is not known whether the code went out
/// (a timeout), the code stays valid and nothing is reported.
#[derive(Clone, Debug)]
pub struct RequestCode {
    /// The session.
    pub session: SessionId,
    /// On which way.
    pub transport: Transport,
    /// The hash of the code.
    pub code: SaltedHash,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// A code is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeToSend {
    /// To this number.
    pub number: E164,
    /// The session after that.
    pub view: SessionView,
}

/// Why no code is sent. All but the first carry the session as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestCodeRefused {
    /// There is no such session, or no longer.
    #[error(transparent)]
    SessionGone(#[from] SessionGone),
    /// The number is verified; there is nothing to prove.
    #[error("the number is verified already")]
    AlreadyVerified(Box<SessionView>),
    /// A proof must come first.
    #[error("a proof is asked for first")]
    ProofRequired(Box<SessionView>),
    /// This way does not lead to the number.
    #[error("the number cannot be reached on this transport")]
    TransportUnavailable(Box<SessionView>),
    /// Not yet, or never again in this session.
    #[error("too many codes")]
    TooSoon {
        /// The session.
        view: Box<SessionView>,
        /// When it makes sense to ask again, if ever.
        retry_after: Option<Duration>,
    },
}

impl Refusal for RequestCodeRefused {}

impl RequestCode {
    /// The rule, in the order in which clients know the refusals.
    pub fn decide(
        &self,
        session: &Session,
        at: Timestamp,
    ) -> Result<VerificationEvent, RequestCodeRefused> {
        let view = || Box::new(session.view(&self.policy, at));
        if session.facts.verified {
            return Err(RequestCodeRefused::AlreadyVerified(view()));
        }
        if !session.facts.required.is_empty() {
            return Err(RequestCodeRefused::ProofRequired(view()));
        }
        if session.facts.sends(self.transport).closed {
            return Err(RequestCodeRefused::TransportUnavailable(view()));
        }
        match session.facts.next_send(self.transport, &self.policy, at) {
            Some(Duration::ZERO) => Ok(CodeSent {
                transport: self.transport,
                code: Some(self.code.clone()),
            }
            .into()),
            retry_after => Err(RequestCodeRefused::TooSoon {
                view: view(),
                retry_after,
            }),
        }
    }
}

#[async_trait]
impl Command for RequestCode {
    type Done = CodeToSend;
    type Refused = RequestCodeRefused;
    const NAME: &'static str = "RequestCode";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<CodeToSend, Stop<RequestCodeRefused>> {
        let session = load_alive(work, self.session, &self.policy).await?;
        let number = session.number().cloned();
        let number = number.ok_or(RequestCodeRefused::SessionGone(SessionGone))?;
        let event = self.decide(&session, work.at())?;
        let view = conclude(work, &session, Some(event), &self.policy);
        Ok(CodeToSend { number, view })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{number, pni, policy, salted, session};
    use crate::testing::given;
    use events::verification::{
        CodeUndelivered, NumberVerified, Proof, ProofSubmitted, SessionStarted,
    };

    fn started(required: &[Proof]) -> VerificationEvent {
        let required = required.to_vec();
        SessionStarted {
            number: number(1).into(),
            pni: pni(1),
            required,
        }
        .into()
    }

    fn sent(transport: Transport) -> VerificationEvent {
        CodeSent {
            transport,
            code: Some(salted("earlier")),
        }
        .into()
    }

    fn request(
        transport: Transport,
    ) -> impl FnOnce(&Session, Timestamp) -> Result<VerificationEvent, RequestCodeRefused> {
        let code = salted("123456");
        let request = RequestCode {
            session: session(1),
            transport,
            code,
            policy: policy(),
        };
        move |session, at| request.decide(session, at)
    }

    #[test]
    fn a_code_goes_out_once_a_proof_is_there() {
        let asked = [(0, started(&[Proof::PushChallenge, Proof::Captcha]))];
        given(asked.clone())
            .when(request(Transport::Sms))
            .refuses_like(|refused| matches!(refused, RequestCodeRefused::ProofRequired(_)));
        let proved = asked.into_iter().chain([(
            1,
            ProofSubmitted {
                proof: Proof::Captcha,
            }
            .into(),
        )]);
        given(proved)
            .when(request(Transport::Sms))
            .accepts(CodeSent {
                transport: Transport::Sms,
                code: Some(salted("123456")),
            });
    }

    #[test]
    fn too_soon_names_the_wait() {
        let history = [(0, started(&[])), (10, sent(Transport::Sms))];
        for transport in [Transport::Sms, Transport::Voice] {
            given(history.clone())
                .at(50)
                .when(request(transport))
                .refuses_like(|refused| {
                    let RequestCodeRefused::TooSoon { retry_after, view } = refused else {
                        return false;
                    };
                    *retry_after == Some(Duration::from_secs(20)) && view.next_sms == Some(20)
                });
            assert!(
                given(history.clone())
                    .at(70)
                    .when(request(transport))
                    .0
                    .is_ok()
            );
        }
    }

    #[test]
    fn a_call_before_any_text_message_never_comes() {
        given([(0, started(&[]))])
            .when(request(Transport::Voice))
            .refuses_like(|refused| {
                matches!(
                    refused,
                    RequestCodeRefused::TooSoon {
                        retry_after: None,
                        ..
                    }
                )
            });
    }

    #[test]
    fn a_way_that_does_not_lead_to_the_number_is_not_tried_again() {
        let undelivered = CodeUndelivered {
            transport: Transport::Sms,
            permanent: true,
        }
        .into();
        let history = [
            (0, started(&[])),
            (1, sent(Transport::Sms)),
            (2, undelivered),
        ];
        given(history.clone())
            .at(500)
            .when(request(Transport::Sms))
            .refuses_like(|refused| matches!(refused, RequestCodeRefused::TransportUnavailable(_)));
        assert!(given(history).when(request(Transport::Voice)).0.is_ok());
    }

    #[test]
    fn a_verified_number_needs_no_code() {
        let history = [
            (0, started(&[])),
            (1, sent(Transport::Sms)),
            (2, NumberVerified {}.into()),
        ];
        given(history).at(500).when(request(Transport::Sms)).refuses_like(|refused| {
            matches!(refused, RequestCodeRefused::AlreadyVerified(view) if view.verified)
        });
    }
}
