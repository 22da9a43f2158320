//! What the log says about one account.

pub mod as_of;
pub mod cli;
pub mod erasures;
pub mod search;
pub mod tamper;

mod describe;
mod gather;

use std::io::{self, Write};

use events::{Aci, Actor, EventId, Position, RequestId, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::table::Table;

pub use describe::Detail;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub position: Position,
    /// When.
    pub at: Timestamp,
    /// The stream it stands in.
    pub stream: String,
    /// What kind of thing it is.
    pub event: String,
    /// On whose authority.
    pub actor: Actor,
    /// Through which request.
    pub request: RequestId,
    /// The event because of which, where a reactor or job did it.
    pub causation: Option<EventId>,
    /// The chain of requests that it belongs to.
    pub correlation: Uuid,
    /// What else is known of it.
    pub details: Vec<Detail>,
}

/// Everything that happened to an account, in order: in its own stream, and in those of its number, its keys, its
/// mailboxes and its verifications. Empty if there never was one.
pub async fn history(environment: &Environment, account: Aci) -> Result<Vec<Entry>, ReplayError> {
    let facts = gather::gather(environment, account).await?;
    Ok(facts.iter().map(|fact| describe::entry(fact)).collect())
}

/// Writes a table for people.
pub fn print(account: Aci, entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(out, "the log knows no account {account}");
    }
    table(entries, out)
}

/// Entries as a table.
pub(crate) fn table(entries: &[Entry], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(["POSITION", "TIME", "EVENT", "STREAM", "BY", "DETAILS"]);
    for entry in entries {
        let details: Vec<_> = entry
            .details
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        table.row([
            entry.position.to_string(),
            time(entry.at),
            entry.event.clone(),
            entry.stream.clone(),
            entry.actor.to_string(),
            details.join(" "),
        ]);
    }
    table.write(out)
}

/// One entry as JSON.
pub fn json(entry: &Entry) -> Value {
    let details: Map<String, Value> = entry
        .details
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
        .collect();
    json!({
        "position": entry.position,
        "at": time(entry.at),
        "event": entry.event,
        "stream": entry.stream,
        "actor": entry.actor,
        "request": entry.request,
        "causation": entry.causation,
        "correlation": entry.correlation,
        "details": details,
    })
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn time(at: Timestamp) -> String {
    chrono::DateTime::from_timestamp_millis(at.to_i64()).map_or_else(
        || at.to_string(),
        |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    )
}
