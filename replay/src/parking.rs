//! Passing over an event that a projection cannot take, and taking that back.

use events::Position;
use events::operator::{EventParked, EventUnparked};
use projections::Model;

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::operator::record;

/// Has a projection pass over an event: the one that has stopped it, or one that lies behind it, for its next rebuild.
/// Tells the position at which the log says so.
pub async fn park(
    environment: &Environment,
    model: Model,
    position: Position,
    reason: &str,
) -> Result<Position, ReplayError> {
    let mut connection = environment.database.acquire().await?;
    subscription::park(&mut connection, &*model.projection(), position, reason).await?;
    let event = EventParked {
        model: model.name().into(),
        position,
        reason: reason.into(),
    };
    record(environment, event).await
}

/// Takes back that a projection passes over an event; tells the position at which the log says so, or nothing if the
/// event was not parked. The event comes into the rows with the next rebuild.
pub async fn unpark(
    environment: &Environment,
    model: Model,
    position: Position,
    reason: &str,
) -> Result<Option<Position>, ReplayError> {
    let mut connection = environment.database.acquire().await?;
    if !subscription::unpark(&mut connection, &*model.projection(), position).await? {
        return Ok(None);
    }
    let event = EventUnparked {
        model: model.name().into(),
        position,
        reason: reason.into(),
    };
    record(environment, event).await.map(Some)
}
