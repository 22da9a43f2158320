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
    let Environment {
        store,
        clock,
        entropy,
        operator,
        ..
    } = environment;
    let event = event.into();
    let at = clock.now();
    let metadata = Metadata {
        at,
        actor: Actor::Operator(operator.clone()),
        request: RequestId(fresh_id(environment)),
        causation: None,
        correlation: None,
        schema_version: SCHEMA_VERSION,
    };
    let millis = at.epoch_millis();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &entropy.bytes()).into_uuid();
    let event = NewEvent {
        id: EventId::from_uuid(id),
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
