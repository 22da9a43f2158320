//! The subcommands of `retention`.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tree::PublicKey;

use super::{Moved, Policy, Status, check, run, status};
use crate::audit::cli::Key;
use crate::cli::Outcome;
use crate::environment::Environment;
use crate::error::ReplayError;

/// Move old history of mailboxes to an object store. It stays part of the log: audits, proofs and rebuilds read it there.
#[derive(Clone, Debug, Subcommand)]
pub enum RetentionCommand {
    /// Move what is older than the horizon, is signed, and in nobody's inbox.
    Run {
        /// What is old.
        #[command(flatten)]
        horizon: Horizon,
        /// Where it goes: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
        #[arg(long, value_name = "URL", env = "HELIOGRAPH_RETENTION__URL")]
        to: String,
    },
    /// Show what has moved, and what keeps the rest.
    Status {
        /// What is old.
        #[command(flatten)]
        horizon: Horizon,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetch all that has moved, and compare it with what was signed.
    Check {
        /// What heads are checked with.
        #[command(flatten)]
        key: Key,
    },
}

/// What is old.
#[derive(Args, Clone, Copy, Debug)]
pub struct Horizon {
    /// How many days an event stays in the database. A request that is repeated after a longer time is a new one: two at
    /// least are needed where clients repeat requests for a day.
    #[arg(long, value_name = "DAYS", env = "HELIOGRAPH_RETENTION__MAILBOX_DAYS")]
    mailbox_days: u32,
}

impl From<Horizon> for Duration {
    fn from(horizon: Horizon) -> Self {
        Self::from_hours(24) * horizon.mailbox_days
    }
}

impl RetentionCommand {
    /// Carries the command out and writes what came of it to `out`. `key` is the public key that is at hand.
    pub async fn run(
        &self,
        environment: &Environment,
        key: Option<&PublicKey>,
        out: &mut (dyn Write + Send),
    ) -> Result<Outcome, ReplayError> {
        match self {
            Self::Run { horizon, to } => {
                let policy = Policy {
                    place: to.clone(),
                    horizon: (*horizon).into(),
                };
                let moved = run(environment, &policy, key).await?;
                say(&moved, to, out)?;
                Ok(Outcome::Fine)
            }
            Self::Status { horizon, json } => {
                let status = status(environment, (*horizon).into()).await?;
                if *json {
                    writeln!(out, "{}", as_json(&status))?;
                } else {
                    print(&status, out)?;
                }
                Ok(Outcome::Fine)
            }
            Self::Check { key: given } => {
                let checked = check(environment, given.or(key)?).await?;
                for complaint in &checked.complaints {
                    writeln!(out, "NOT as signed: {complaint}")?;
                }
                if !checked.complaints.is_empty() {
                    return Ok(Outcome::Different);
                }
                writeln!(
                    out,
                    "clean: {} events in {} segments are those that were signed",
                    checked.events, checked.segments
                )?;
                Ok(Outcome::Fine)
            }
        }
    }
}

fn say(moved: &Moved, to: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let Moved {
        segments,
        events,
        bytes,
        cleared,
    } = moved;
    if *cleared > 0 {
        writeln!(
            out,
            "removed what {cleared} interrupted moves had left in the archive"
        )?;
    }
    writeln!(
        out,
        "moved {events} events to {to}: {segments} segments, {bytes} bytes"
    )
}

fn print(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    let Status {
        segments,
        in_database,
        bounds,
    } = status;
    let events: u64 = segments.iter().map(|segment| segment.events).sum();
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    writeln!(
        out,
        "{events} events of mailboxes are in the archive ({} segments, {bytes} bytes), {in_database} in the database",
        segments.len()
    )?;
    if let Some(last) = segments.last() {
        writeln!(out, "the last segment ends with position {}", last.through)?;
    }
    writeln!(
        out,
        "old enough: through position {}; in nobody's inbox: through position {}",
        bounds.horizon, bounds.inbox
    )?;
    for segment in segments {
        writeln!(
            out,
            "  {} to {}: {} events, {}/{}",
            segment.after.0 + 1,
            segment.through,
            segment.events,
            segment.place.trim_end_matches('/'),
            segment.name
        )?;
    }
    Ok(())
}

fn as_json(status: &Status) -> Value {
    let segments: Vec<Value> = status
        .segments
        .iter()
        .map(|segment| {
            json!({
                "after": segment.after,
                "through": segment.through,
                "events": segment.events,
                "bytes": segment.bytes,
                "place": segment.place,
                "name": segment.name,
            })
        })
        .collect();
    json!({
        "segments": segments,
        "inDatabase": status.in_database,
        "oldEnoughThrough": status.bounds.horizon,
        "inNoInboxThrough": status.bounds.inbox,
    })
}
