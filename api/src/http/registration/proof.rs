//! How a client says that it proves a number.

use commands::ports::Notification;
use commands::registration::{Locked, NumberProof, Unproved};
use events::values::Redacted;
use events::{Aci, DeviceId};
use http::StatusCode;
use projections::Model;
use serde_json::json;

use crate::http::extract::path::session_id;
use crate::http::problem::{Problem, chain};
use crate::state::Api;

/// The two ways: exactly one of them.
pub(crate) struct Proofs {
    pub(crate) session_id: Option<String>,
    pub(crate) recovery_password: Option<Vec<u8>>,
}

impl Proofs {
    pub(crate) const fn is_none(&self) -> bool {
        self.session_id.is_none() && self.recovery_password.is_none()
    }

    pub(crate) const fn is_one(&self) -> bool {
        self.session_id.is_some() != self.recovery_password.is_some()
    }

    /// What a name in the credentials that is no number comes to: it is not the number that was proved.
    pub(super) fn of_no_number(&self) -> Problem {
        match self.session_id {
            Some(_) => Problem::bad_request("the session is about another number"),
            None => Problem::of(StatusCode::FORBIDDEN),
        }
    }

    pub(crate) fn parse(self) -> Result<NumberProof, Problem> {
        let Some(session) = self.session_id else {
            let password = self.recovery_password.unwrap_or_default();
            return Ok(NumberProof::RecoveryPassword(Redacted(password.into())));
        };
        match session_id(&session) {
            Some(Some(session)) => Ok(NumberProof::Session(session)),
            Some(None) => Err(Problem::unauthorized()),
            None => Err(Problem::unprocessable("Malformed session ID")),
        }
    }
}

impl From<Unproved> for Problem {
    fn from(unproved: Unproved) -> Self {
        match unproved {
            Unproved::SessionUnknown | Unproved::NotVerified => Self::unauthorized(),
            Unproved::NumberMismatch => Self::bad_request("the session is about another number"),
            Unproved::RecoveryPasswordRejected => Self::of(StatusCode::FORBIDDEN),
        }
    }
}

/// A failed registration lock voids every password of the account, which the roster has to show before anybody hears of
/// the refusal. The account's owner is told, too, as far as a push reaches them.
pub(crate) async fn lock_failed(api: &Api, aci: Aci) {
    match api.queries.head().await {
        Ok(head) => {
            let (models, within) = (&[Model::Devices], api.config.read_your_writes);
            api.queries.caught_up(models, head, within).await;
        }
        Err(error) => tracing::warn!(cause = %chain(&error), "the lock-out may show a moment late"),
    }
    let api = api.clone();
    api.shutdown.tracker.clone().spawn(async move {
        let primary = api.queries.devices().one(aci, DeviceId::PRIMARY).await;
        let Some(Redacted(token)) = primary.ok().flatten().and_then(|device| device.push) else {
            return;
        };
        if let Err(failed) = api.push.push(&token, &Notification::AttemptLogin).await {
            tracing::debug!(%failed, "nobody was told of an attempt to log in");
        }
    });
}

/// 423: the registration lock was not opened. The credentials are for the service where its owner has left what opens it.
pub(crate) fn locked(api: &Api, locked: Locked) -> Problem {
    let recovery = &api.issuing.keys.external.svr2;
    let credentials = recovery.issue(locked.aci, api.clock.now());
    let millis = u64::try_from(locked.time_remaining.as_millis()).unwrap_or(u64::MAX);
    Problem::with(
        StatusCode::LOCKED,
        &json!({
            "timeRemaining": millis,
            "svr2Credentials": {
                "username": credentials.username,
                "password": credentials.password,
            },
        }),
    )
}
