//! What was destroyed of an account, when, and because of which event; and what is still there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

use events::codec::{AnyEvent, Fact};
use events::erasure::ErasureEvent;
use events::mailbox::MailboxEvent;
use events::{Aci, Position, StreamId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{describe, gather, time};
use crate::environment::Environment;
use crate::error::ReplayError;
use crate::table::Table;

/// What became of one payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFate {
    /// The position of the event that it came with.
    pub position: Position,
    /// What that was.
    pub event: &'static str,
    /// Its stream.
    pub stream: String,
    /// How many bytes it had.
    pub length: u32,
    /// The position of the event that ended its purpose, where that event names it.
    pub ended_by: Option<Position>,
    /// Whether it is still there.
    pub present: bool,
    /// The log has it from this time that it was destroyed; what was destroyed last is recorded within minutes.
    pub recorded: Option<Timestamp>,
}

/// What was destroyed of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureReport {
    /// The account.
    pub account: Aci,
    /// What the log records of destruction, in order.
    pub records: Vec<super::Entry>,
    /// Every payload that there ever was.
    pub payloads: Vec<PayloadFate>,
    /// How many keys to the account's personal values there are.
    pub keys: u64,
}

/// Puts the report together.
pub async fn report(environment: &Environment, account: Aci) -> Result<ErasureReport, ReplayError> {
    let facts = gather::gather(environment, account).await?;
    let reader = environment.reader();
    let own = gather::stream(&reader, &StreamId::erasure(account)).await?;
    let all = gather::stream(&reader, &StreamId::erased_payloads()).await?;
    let present = present(environment, &facts).await?;
    let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM log.subject_keys WHERE owner = $1")
        .bind(account.uuid())
        .fetch_one(&environment.database)
        .await?;
    let endings = endings(&facts);
    let recorded = recorded(own.iter().chain(&all));
    let fate = |fact: &Arc<Fact>| {
        let payload = fact.event.payload()?;
        let ended_by = endings.get(&payload.id.0).copied();
        let present = present.contains(&payload.id.0);
        let due = ended_by.unwrap_or(fact.position);
        let first = recorded.range(due..).next().map(|(_, at)| *at);
        Some(PayloadFate {
            position: fact.position,
            event: fact.event.type_name(),
            stream: fact.stream.to_string(),
            length: payload.length,
            ended_by,
            present,
            recorded: first.filter(|_| !present),
        })
    };
    Ok(ErasureReport {
        account,
        payloads: facts.iter().filter_map(fate).collect(),
        records: own.iter().map(|fact| describe::entry(fact)).collect(),
        keys: u64::try_from(keys).unwrap_or_default(),
    })
}

async fn present(
    environment: &Environment,
    facts: &[Arc<Fact>],
) -> Result<HashSet<Uuid>, ReplayError> {
    let ids: Vec<Uuid> = facts
        .iter()
        .filter_map(|fact| fact.event.payload().map(|payload| payload.id.0))
        .collect();
    let present: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM log.payloads WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(&environment.database)
        .await?;
    Ok(present.into_iter().collect())
}

/// By payload: the event that ended its purpose. Messages are named, and stand under their own names.
fn endings(facts: &[Arc<Fact>]) -> HashMap<Uuid, Position> {
    let mut endings = HashMap::new();
    for fact in facts {
        let guids = match &fact.event {
            AnyEvent::Mailbox(MailboxEvent::MessagesDelivered(e)) => &e.guids,
            AnyEvent::Mailbox(MailboxEvent::MessagesExpired(e)) => &e.guids,
            _ => continue,
        };
        for guid in guids {
            endings.entry(guid.uuid()).or_insert(fact.position);
        }
    }
    endings
}

/// By place in the log: when it was recorded that nothing is left of what was due by then.
fn recorded<'a>(facts: impl Iterator<Item = &'a Arc<Fact>>) -> BTreeMap<Position, Timestamp> {
    facts
        .filter_map(|fact| {
            let through = match &fact.event {
                AnyEvent::Erasure(ErasureEvent::AccountErased(e)) => e.deletion,
                AnyEvent::Erasure(ErasureEvent::DeviceErased(e)) => e.removal,
                AnyEvent::Erasure(ErasureEvent::PayloadsErased(e)) => e.through,
                AnyEvent::Erasure(ErasureEvent::LeftoversErased(e)) => e.through,
                _ => return None,
            };
            Some((through, fact.metadata.at))
        })
        .collect()
}

/// The report as JSON.
pub fn json(report: &ErasureReport) -> Value {
    let payload = |fate: &PayloadFate| {
        json!({
            "position": fate.position,
            "event": fate.event,
            "stream": fate.stream,
            "bytes": fate.length,
            "endedBy": fate.ended_by,
            "present": fate.present,
            "recordedAt": fate.recorded.map(time),
        })
    };
    json!({
        "account": report.account.to_string(),
        "keys": report.keys,
        "records": report.records.iter().map(super::json).collect::<Vec<_>>(),
        "payloads": report.payloads.iter().map(payload).collect::<Vec<_>>(),
    })
}

/// Writes it for people.
pub fn print(report: &ErasureReport, out: &mut dyn Write) -> io::Result<()> {
    let ErasureReport {
        account,
        records,
        payloads,
        keys,
    } = report;
    writeln!(out, "account {account}")?;
    match keys {
        0 => writeln!(out, "no key to its personal values is left")?,
        keys => writeln!(out, "keys to its personal values: {keys}")?,
    }
    let mut table = Table::new(["RECORDED", "WHAT", "DETAILS"]);
    for entry in records {
        let details: Vec<_> = entry
            .details
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        table.row([time(entry.at), entry.event.clone(), details.join(" ")]);
    }
    table.write(out)?;
    let mut table = Table::new(["POSITION", "EVENT", "STREAM", "BYTES", "ENDED BY", "FATE"]);
    for fate in payloads {
        let what = match (fate.present, fate.recorded) {
            (true, _) => "present".to_owned(),
            (false, Some(at)) => format!("destroyed by {}", time(at)),
            (false, None) => "destroyed; to be recorded".to_owned(),
        };
        table.row([
            fate.position.to_string(),
            fate.event.to_owned(),
            fate.stream.clone(),
            fate.length.to_string(),
            fate.ended_by
                .map_or_else(|| "-".to_owned(), |it| it.to_string()),
            what,
        ]);
    }
    table.write(out)
}
