//! Everything that a call can end with when it does not succeed. Statuses are made here and nowhere else, because
//! clients look for their details.
//!
//! | status | reason | when |
//! |---|---|---|
//! | 3 | `CONSTRAINT_VIOLATED` | a rule for a field or a message is broken; names the field if one is to blame |
//! | 3 | `BAD_AUTHENTICATION` | credentials where none may be shown; a linked device where the primary is needed |
//! | 3 | `UPGRADE_REQUIRED` | an official client that is too old |
//! | 8 | `RESOURCE_EXHAUSTED` | a limit is reached; says when to try again if that is known |
//! | 10 | `STREAM_CLOSED` | the server ended a stream; a further detail says why |
//! | 12 | `UNIMPLEMENTED` | there is no such method, or this server does not offer it |
//! | 14 | `UNAVAILABLE` | something that the server needs is not there, or it failed |
//! | 16 | `INVALID_CREDENTIALS` | none, or wrong ones |

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use commands::{Executed, Failure};
use http::StatusCode;
use projections::QueryError;
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb::{self, bad_request::FieldViolation};
use tracing::{debug, error};

use super::proto::messages::{GetMessagesStreamClosed, get_messages_stream_closed::Reason};
use crate::http::problem::{Problem, chain};
use crate::limits::buckets::Limited;

/// The codes that calls can end with, beside 0.
pub const DOCUMENTED: [Code; 6] = [
    Code::InvalidArgument,
    Code::ResourceExhausted,
    Code::Aborted,
    Code::Unimplemented,
    Code::Unavailable,
    Code::Unauthenticated,
];

/// Of all reasons: clients ignore those of other domains.
const DOMAIN: &str = "grpc.chat.signal.org";

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        // Clients compare it to the letter.
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

fn status(code: Code, reason: &str, message: impl Into<String>, more: Option<Any>) -> Status {
    let message = message.into();
    let info = pb::ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: HashMap::new(),
    };
    let details = [any("google.rpc.ErrorInfo", &info)]
        .into_iter()
        .chain(more)
        .collect();
    let whole = pb::Status {
        code: code.into(),
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

/// 3: a field breaks a rule.
pub(crate) fn violated(field: &str, rule: impl Into<String>) -> Status {
    let rule = rule.into();
    let violation = FieldViolation {
        field: field.to_owned(),
        description: rule.clone(),
        ..FieldViolation::default()
    };
    let request = pb::BadRequest {
        field_violations: vec![violation],
    };
    status(
        Code::InvalidArgument,
        "CONSTRAINT_VIOLATED",
        format!("{field} {rule}"),
        Some(any("google.rpc.BadRequest", &request)),
    )
}

/// 3: a rule is broken, and no single field is to blame.
pub(crate) fn constraint(rule: impl Into<String>) -> Status {
    status(Code::InvalidArgument, "CONSTRAINT_VIOLATED", rule, None)
}

/// 3: credentials of the wrong kind.
pub(crate) fn bad_authentication(what: &str) -> Status {
    status(Code::InvalidArgument, "BAD_AUTHENTICATION", what, None)
}

/// 3: the client is too old to be served.
pub(crate) fn upgrade_required() -> Status {
    status(
        Code::InvalidArgument,
        "UPGRADE_REQUIRED",
        "the client is too old",
        None,
    )
}

/// 8: a limit is reached.
pub(crate) fn exhausted(retry_after: Option<Duration>) -> Status {
    let retry = retry_after.map(|delay| {
        let delay = pb::RetryInfo {
            retry_delay: delay.try_into().ok(),
        };
        any("google.rpc.RetryInfo", &delay)
    });
    status(Code::ResourceExhausted, "RESOURCE_EXHAUSTED", "", retry)
}

/// 8: the caller calls too often. 14 if the calls cannot be counted.
pub(crate) fn limited(limited: Limited) -> Status {
    match limited {
        Limited::For(wait) => exhausted(Some(wait)),
        Limited::Uncounted(error) => failed(&error),
    }
}

/// 10: another stream or WebSocket of the device took over.
pub(crate) fn displaced() -> Status {
    let closed = GetMessagesStreamClosed {
        reason: Some(Reason::ConflictingStream(())),
    };
    status(
        Code::Aborted,
        "STREAM_CLOSED",
        "another connection of the device took over",
        Some(any(
            "org.signal.chat.messages.GetMessagesStreamClosed",
            &closed,
        )),
    )
}

/// 12: no such method, or none that is offered here.
pub(crate) fn unimplemented(what: impl Into<String>) -> Status {
    status(Code::Unimplemented, "UNIMPLEMENTED", what, None)
}

/// 14 from within the server: what went wrong is in the log.
pub(crate) fn unavailable(message: impl Into<String>) -> Status {
    status(Code::Unavailable, "UNAVAILABLE", message, None)
}

/// 14: something that the server needs is not there. Logs the cause; nothing else needs to.
pub(crate) fn failed(cause: &(dyn Error + 'static)) -> Status {
    error!(cause = %chain(cause), "answering 14: a dependency is unavailable");
    unavailable("a dependency is unavailable")
}

/// 14: a question could not be answered.
#[expect(clippy::needless_pass_by_value, reason = "stands in `map_err`")]
pub(crate) fn unanswered(cause: QueryError) -> Status {
    failed(&cause)
}

/// 16: no credentials, or wrong ones. Also what a caller gets whose account or device is gone.
pub(crate) fn invalid_credentials() -> Status {
    status(
        Code::Unauthenticated,
        "INVALID_CREDENTIALS",
        "credentials are required, and those shown are not good",
        None,
    )
}

/// Splits what became of a command into what the caller has to be told in its own words, and what is the same for all.
pub(crate) fn decided<D, R: Error>(
    outcome: Result<Executed<D>, Failure<R>>,
) -> Result<Result<Executed<D>, R>, Status> {
    match outcome {
        Ok(executed) => Ok(Ok(executed)),
        Err(Failure::Refused(refusal)) => {
            debug!(%refusal, "refused");
            Ok(Err(refusal))
        }
        Err(Failure::Contended { attempts }) => {
            error!(
                attempts,
                "answering 14: other writers were faster each time"
            );
            Err(unavailable("other writers were faster"))
        }
        Err(Failure::Overloaded { retry_after }) => {
            error!(
                ?retry_after,
                "answering 14: more is waiting to be stored than the queue takes"
            );
            Err(unavailable(
                "more is waiting to be stored than the queue takes",
            ))
        }
        Err(Failure::Unavailable(cause)) => Err(failed(&*cause)),
    }
}

/// The same refusal as a status, from what several doors share.
pub(crate) fn of_problem(problem: &Problem) -> Status {
    match problem.status() {
        StatusCode::TOO_MANY_REQUESTS => exhausted(problem.wait()),
        StatusCode::PAYLOAD_TOO_LARGE => exhausted(None),
        StatusCode::UNAUTHORIZED => invalid_credentials(),
        status if status.is_server_error() => unavailable("a dependency is unavailable"),
        _ => constraint("the request is refused"),
    }
}

/// A status that the framework made, about a request that it could not read.
pub(crate) fn of_framework(status: Status) -> Status {
    match status.code() {
        code if DOCUMENTED.contains(&code) && !status.details().is_empty() => status,
        // What does not parse, breaks off, is compressed beyond recognition, or is taken back.
        Code::Internal | Code::Cancelled => constraint(status.message()),
        Code::OutOfRange | Code::ResourceExhausted => exhausted(None),
        Code::Unimplemented => unimplemented(status.message()),
        code => {
            debug!(
                ?code,
                message = status.message(),
                "the framework ended a call"
            );
            unavailable("the request could not be read")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt as _;

    #[test]
    fn details_are_those_that_clients_look_for() {
        let broken = violated("pre_keys", "must not be empty");
        let info = broken.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("CONSTRAINT_VIOLATED", "grpc.chat.signal.org")
        );
        let violations = broken.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "pre_keys");
        let later = exhausted(Some(Duration::from_millis(1500)));
        let delay = later.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_millis(1500)));
        assert!(later.message().is_empty());
    }

    #[test]
    fn what_the_framework_says_gets_details() {
        let cases = [
            (
                Status::internal("Missing request message."),
                Code::InvalidArgument,
            ),
            (Status::out_of_range("too large"), Code::ResourceExhausted),
            (Status::unimplemented(""), Code::Unimplemented),
            (Status::unknown("?"), Code::Unavailable),
            (Status::not_found("a bug"), Code::Unavailable),
            (Status::unavailable("without details"), Code::Unavailable),
        ];
        for (status, code) in cases {
            let status = of_framework(status);
            assert_eq!(status.code(), code);
            assert!(status.get_details_error_info().is_some());
        }
        assert_eq!(
            of_framework(invalid_credentials()).code(),
            Code::Unauthenticated
        );
    }
}
