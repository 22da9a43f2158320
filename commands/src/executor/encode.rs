//! From what a run recorded to what the store takes: sealed, serialised, with ids.

use bytes::Bytes;
use events::codec::SCHEMA_VERSION;
use events::store::StreamWrite;
use events::{AnyEvent, Append, Metadata, NewEvent, StreamId, Subject};

use super::work::Write;
use super::{Executor, RequestContext, event_id};
use crate::account::Account;
use crate::command::Unavailable;

/// Whose key protects the personal values of an event. An account that was deleted and has come back has another key
/// than it had before; `account` is its state with the event in it.
fn subject(stream: &StreamId, event: &AnyEvent, account: Option<&Account>) -> Option<Subject> {
    use events::verification::VerificationEvent::{PushChallengeIssued, SessionStarted};
    match event {
        AnyEvent::Account(_) => {
            let deleted = account.and_then(|account| account.deleted);
            let aci = stream.as_account()?;
            Some(Subject::life(aci, deleted.map(|deletion| deletion.at)))
        }
        AnyEvent::Verification(SessionStarted(started)) => {
            Some(Subject::Session(stream.as_verification()?, started.pni))
        }
        AnyEvent::Verification(PushChallengeIssued(issued)) => {
            Some(Subject::Session(stream.as_verification()?, issued.pni))
        }
        AnyEvent::Verification(_)
        | AnyEvent::Keys(_)
        | AnyEvent::Mailbox(_)
        | AnyEvent::Number(_)
        | AnyEvent::Operator(_)
        | AnyEvent::Username(_)
        | AnyEvent::Profile(_)
        | AnyEvent::Erasure(_)
        | AnyEvent::Tree(_)
        | AnyEvent::Picture(_) => None,
    }
}

/// Seals the personal values and writes the stored forms.
pub(super) async fn encode(
    executor: &Executor,
    writes: &mut [Write],
    context: &RequestContext,
) -> Result<Append, Unavailable> {
    let metadata = encode_metadata(context);
    let mut append = Append::default();
    for write in writes {
        let mut events = Vec::with_capacity(write.events.len());
        for (index, mut recording) in write.events.drain(..).enumerate() {
            let account = write.advanced.as_deref();
            let account = account.and_then(|state| state.downcast_ref::<Account>());
            let subject = subject(&write.stream, &recording.event, account);
            seal(executor, subject, &mut recording.event).await?;
            let data = recording
                .event
                .to_json()
                .expect("events are plain data, and sealed by now");
            events.push(NewEvent {
                id: event_id::derive(context.request, &write.stream, write.expected, index),
                type_name: recording.event.type_name(),
                data: data.into(),
                metadata: metadata.clone(),
                payloads: recording.payload.into_iter().collect(),
            });
        }
        append.writes.push(StreamWrite {
            stream: write.stream.clone(),
            expected: write.expected,
            events,
        });
    }
    Ok(append)
}

fn encode_metadata(context: &RequestContext) -> Bytes {
    let metadata = Metadata {
        at: context.at,
        actor: context.actor.clone(),
        request: context.request,
        causation: context.causation,
        correlation: Some(context.chain()),
        schema_version: SCHEMA_VERSION,
    };
    serde_json::to_vec(&metadata)
        .expect("metadata are plain data")
        .into()
}

async fn seal(
    executor: &Executor,
    subject: Option<Subject>,
    event: &mut AnyEvent,
) -> Result<(), Unavailable> {
    let mut clear = false;
    event.visit_personal(&mut |field| clear |= field.key().is_none());
    let Some(subject) = subject.filter(|_| clear) else {
        return Ok(());
    };
    let key = executor
        .keys
        .obtain(subject)
        .await
        .map_err(Unavailable::from_source)?;
    event.visit_personal(&mut |field| field.seal(&key, &*executor.entropy));
    Ok(())
}
