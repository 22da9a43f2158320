//! What operators do is recorded in the log.

use events::codec::SCHEMA_VERSION;
use events::operator::OperatorEvent;
use events::{
    Actor, Append, Event as _, EventId, Expected, Metadata, NewEvent, Position, RequestId, StreamId,
};
use uuid::Uuid;

use crate::environment::Environment;
use crate::error::ReplayError;

/// Records what the operator has done; tells the position.
pub(crate) async fn record(
    environment: &Environment,
    event: impl Into<OperatorEvent>,
) -> Result<Position, ReplayError> {
    let millis = environment.clock.now().epoch_millis();
    let random = environment.entropy.bytes();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    record_once(environment, EventId::from_uuid(id), event).await
}

/// The same, for an event whose id follows from what was done: it may have been recorded before.
pub(crate) async fn record_once(
    environment: &Environment,
    id: EventId,
    event: impl Into<OperatorEvent>,
) -> Result<Position, ReplayError> {
    let Environment {
        store,
        clock,
        operator,
        ..
    } = environment;
    let event = event.into();
    let at = clock.now();
    let request = fresh_id(environment);
    let metadata = Metadata {
        at,
        actor: Actor::Operator(operator.clone()),
        request: RequestId(request),
        causation: None,
        correlation: Some(request),
        schema_version: SCHEMA_VERSION,
    };
    let event = NewEvent {
        id,
        type_name: event.type_name(),
        data: event
            .to_json()
            .expect("what operators do holds no personal value")
            .into(),
        metadata: serde_json::to_vec(&metadata)
            .expect("metadata are plain data")
            .into(),
        payloads: Vec::new(),
    };
    let append = Append::one(StreamId::operator(operator), Expected::Any, vec![event]);
    let appended = store
        .append(append)
        .await
        .map_err(ReplayError::NotRecorded)?;
    Ok(appended.position)
}

fn fresh_id(environment: &Environment) -> Uuid {
    uuid::Builder::from_random_bytes(environment.entropy.bytes()).into_uuid()
}
