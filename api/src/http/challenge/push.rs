//! `POST /v1/challenge/push`: has a challenge sent to the account's primary device, which answers it within five minutes.
//! 401; 404 if the primary cannot be reached by push; 429, counted with the attempts to answer one.

use std::time::Duration;

use axum::extract::State;
use commands::ports::Notification;
use events::DeviceId;
use events::values::Redacted;
use http::StatusCode;

use crate::http::extract::Authenticated;
use crate::http::problem::Problem;
use crate::limits::rates::Limit;
use crate::state::Api;

/// How long a challenge can be answered.
pub const LIFETIME: Duration = Duration::from_mins(5);

pub(crate) async fn handler(
    State(api): State<Api>,
    caller: Authenticated,
) -> Result<StatusCode, Problem> {
    let aci = caller.address.aci;
    let primary = api.queries.devices().one(aci, DeviceId::PRIMARY).await;
    let primary = primary.map_err(|error| Problem::unavailable(&error))?;
    let token = primary.and_then(|device| device.push);
    let Redacted(token) = token.ok_or_else(Problem::not_found)?;
    let limit = Limit::PushChallengeAttempt;
    api.limits.take(limit, &aci.to_string()).await?;
    let challenge: [u8; 16] = api.entropy.bytes();
    let until = api.clock.now().plus(LIFETIME);
    api.challenges
        .remember(aci, challenge, until)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let notification = Notification::RateLimitChallenge(Redacted(hex::encode(challenge).into()));
    // A push that does not go out is like one that does not arrive: the client asks again, or solves a captcha.
    if let Err(failed) = api.push.push(&token, &notification).await {
        tracing::debug!(%failed, "a challenge did not go out");
    }
    Ok(StatusCode::OK)
}
