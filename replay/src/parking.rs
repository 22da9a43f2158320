//! Passing over an event that a projection or a reactor cannot take, and taking that back.

use events::Position;
use events::operator::{EventParked, EventUnparked};
use projections::{MODELS, Model};
use subscription::{Follower, reactors};

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::operator::record;

/// What became of an event that is no longer parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unparked {
    /// The position at which the log says so.
    pub recorded: Position,
    /// The read model that takes the event in with its next rebuild. A reactor has no rows: it does not go back.
    pub rebuild: Option<Model>,
}

/// Has a read model or a reactor pass over an event: the one that has stopped it, or one that lies behind it, for its next
/// rebuild. Tells the position at which the log says so.
pub async fn park(
    environment: &Environment,
    name: &str,
    position: Position,
    reason: &str,
) -> Result<Position, ReplayError> {
    let follower = named(environment, name).await?;
    let mut connection = environment.database.acquire().await?;
    subscription::may_park(&mut connection, &follower, position).await?;
    let event = EventParked {
        model: name.into(),
        position,
        reason: reason.into(),
    };
    // First of all: whoever is killed here has said so and done nothing, and says it again. The other way round, an event would
    // be passed over without a word.
    let recorded = record(environment, event).await?;
    subscription::park(&mut connection, &follower, position, reason).await?;
    Ok(recorded)
}

/// Takes back that a read model or a reactor passes over an event; nothing if the event was not parked. The event comes
/// into the rows with the next rebuild.
pub async fn unpark(
    environment: &Environment,
    name: &str,
    position: Position,
    reason: &str,
) -> Result<Option<Unparked>, ReplayError> {
    let follower = named(environment, name).await?;
    let mut connection = environment.database.acquire().await?;
    let parked = subscription::parked(&mut connection, &follower.name).await?;
    if !parked.contains(&position) {
        return Ok(None);
    }
    let event = EventUnparked {
        model: name.into(),
        position,
        reason: reason.into(),
    };
    let recorded = record(environment, event).await?;
    subscription::unpark(&mut connection, &follower, position).await?;
    Ok(Some(Unparked {
        recorded,
        rebuild: name.parse().ok(),
    }))
}

/// The read model of this name, or the reactor, if it has ever run here.
async fn named(environment: &Environment, name: &str) -> Result<Follower, ReplayError> {
    if let Ok(model) = name.parse::<Model>() {
        return Ok(Follower::from(&*model.projection()));
    }
    let mut reactors = reactors(&environment.database).await?;
    if let Some(found) = reactors.iter().position(|reactor| reactor.name == name) {
        return Ok(reactors.swap_remove(found));
    }
    let models = MODELS.iter().map(|model| model.name());
    let known = models.chain(reactors.iter().map(|reactor| &*reactor.name));
    Err(ReplayError::NoFollower {
        name: name.into(),
        known: known.collect::<Vec<_>>().join(", "),
    })
}
