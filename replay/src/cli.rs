//! The subcommands `replay` and `audit`, for a binary to mount.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use events::Position;
use projections::{MODELS, Model};

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::import::{Imported, import};
use crate::parking::{self, Unparked};
use crate::rebuild::{Limits, Rebuilt};
use crate::scratch::sweep;
use crate::status;
use crate::steer::Wish;
use crate::verify::{Verified, verify};

pub use crate::audit::cli::AuditCommand;
pub use crate::retention::cli::RetentionCommand;

/// Rebuild read models from the log, prove them equal to it, or look at their state.
#[derive(Clone, Debug, Subcommand)]
pub enum ReplayCommand {
    /// Build read models anew from the first event and put them in place of the old ones; queries are not disturbed.
    Rebuild(Models),
    /// Build read models anew beside the live ones and compare them row by row; fails if any row differs.
    Verify {
        /// The read models; all, if none is named.
        #[arg(value_name = "MODEL")]
        models: Vec<Model>,
        /// All read models.
        #[arg(long, conflicts_with = "models")]
        all: bool,
    },
    /// Have rebuilds rest that run somewhere else. Those of one command rest together.
    Pause(Models),
    /// Have them go on.
    Resume(Models),
    /// End them. The old rows stay, and nothing is left of the new ones.
    Cancel(Models),
    /// Show how far each read model is, how far behind, who works on it, and what has stopped it.
    Status {
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have a read model or a reactor pass over the event that has stopped it. The log keeps who did so, and why.
    Park(Parking),
    /// Take back that a read model or a reactor passes over an event; rebuild the model to have the event in its rows.
    Unpark(Parking),
    /// Make an exported log (`audit export`, whole) the log of this empty instance, at the same positions. Afterwards rebuild
    /// the read models, or start a server: its workers fill them.
    Import {
        /// The export; `-` reads standard input.
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
}

/// Which read models are meant.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Models {
    /// The read models.
    #[arg(value_name = "MODEL")]
    models: Vec<Model>,
    /// All read models.
    #[arg(long)]
    all: bool,
}

impl Models {
    fn chosen(&self) -> &[Model] {
        if self.all { MODELS } else { &self.models }
    }
}

/// An event, and who is to pass over it.
#[derive(Args, Clone, Debug)]
pub struct Parking {
    /// The read model or the reactor, as `replay status` names it.
    #[arg(value_name = "NAME")]
    follower: String,
    /// The event's position in the log.
    #[arg(value_parser = position)]
    position: Position,
    /// Why; it is recorded in the log.
    #[arg(long)]
    reason: String,
}

pub(crate) fn position(text: &str) -> Result<Position, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("positions are numbers from 1".to_owned()),
        Ok(position) => Ok(Position(position)),
    }
}

/// What came of a command that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// A read model is not what the log says, or there was nothing to take back.
    Different,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fine => Self::SUCCESS,
            Outcome::Different => Self::FAILURE,
        }
    }
}

impl ReplayCommand {
    /// Carries the command out and writes what came of it to `out`; progress goes to standard error.
    pub async fn run(
        &self,
        environment: &Environment,
        out: &mut (dyn Write + Send),
    ) -> Result<Outcome, ReplayError> {
        // Before anything else, what killed commands have left.
        sweep(&environment.database).await?;
        match self {
            Self::Rebuild(models) => rebuild_all(environment, models.chosen(), out).await,
            Self::Pause(models) => steer(environment, models.chosen(), Wish::Pause, out).await,
            Self::Resume(models) => steer(environment, models.chosen(), Wish::Resume, out).await,
            Self::Cancel(models) => steer(environment, models.chosen(), Wish::Cancel, out).await,
            Self::Verify { models, .. } => {
                let models = if models.is_empty() { MODELS } else { models };
                verify_all(environment, models, out).await
            }
            Self::Status { json } => {
                let standings = status::status(environment).await?;
                let rebuilds = subscription::rebuilds(&environment.database).await?;
                if *json {
                    writeln!(out, "{}", status::json(&standings, &rebuilds))?;
                } else {
                    status::print(&standings, &rebuilds, out)?;
                }
                Ok(Outcome::Fine)
            }
            Self::Park(Parking {
                follower,
                position,
                reason,
            }) => {
                let recorded = parking::park(environment, follower, *position, reason).await?;
                writeln!(
                    out,
                    "{follower} passes over position {position}; recorded at position {recorded}"
                )?;
                Ok(Outcome::Fine)
            }
            Self::Unpark(parking) => unpark(environment, parking, out).await,
            Self::Import { file } => {
                let mut input = crate::audit::cli::open(file)?;
                let imported = import(environment, &mut *input).await?;
                let Imported {
                    through,
                    payloads,
                    keys,
                } = imported;
                writeln!(
                    out,
                    "imported {through} events, {payloads} payloads, {keys} keys"
                )?;
                Ok(Outcome::Fine)
            }
        }
    }
}

async fn rebuild_all(
    environment: &Environment,
    models: &[Model],
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let rebuilding = crate::rebuild::rebuild_all(environment, models, Limits::default());
    let mut failed = None;
    for outcome in Box::pin(rebuilding).await? {
        match outcome {
            Ok(Rebuilt {
                model,
                events,
                through,
                took,
                rate,
            }) => {
                let seconds = took.as_secs_f64();
                writeln!(
                    out,
                    "{model}: rebuilt from {events} events through position {through} in {seconds:.1} s ({rate} events/s)"
                )?;
            }
            // The others are done all the same. The last failure is told by whoever called; earlier ones here.
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    writeln!(out, "{earlier}")?;
                }
            }
        }
    }
    failed.map_or(Ok(Outcome::Fine), Err)
}

async fn steer(
    environment: &Environment,
    models: &[Model],
    wish: Wish,
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let told = crate::steer::steer(environment, models, wish).await?;
    if told.is_empty() {
        writeln!(out, "none of these is being rebuilt")?;
        return Ok(Outcome::Different);
    }
    let done = match wish {
        Wish::Pause => "rests",
        Wish::Resume => "goes on",
        Wish::Cancel => "ends",
    };
    for model in told {
        writeln!(out, "the rebuild of {model} {done}")?;
    }
    Ok(Outcome::Fine)
}

async fn verify_all(
    environment: &Environment,
    models: &[Model],
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let mut outcome = Outcome::Fine;
    for model in models {
        let verified = verify(environment, *model).await?;
        let Verified {
            model,
            through,
            events,
            rows,
            different,
            took,
            rate,
            ..
        } = &verified;
        let seconds = took.as_secs_f64();
        if verified.is_clean() {
            writeln!(
                out,
                "{model}: clean; {rows} rows follow from {events} events through position {through} ({seconds:.1} s, {rate} events/s)"
            )?;
            continue;
        }
        outcome = Outcome::Different;
        writeln!(
            out,
            "{model}: NOT what the log says; {different} of {rows} rows differ at position {through}"
        )?;
        for difference in &verified.first {
            writeln!(out, "  {difference}")?;
        }
        writeln!(out, "  `replay rebuild {model}` makes it right")?;
    }
    Ok(outcome)
}

async fn unpark(
    environment: &Environment,
    parking: &Parking,
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let Parking {
        follower,
        position,
        reason,
    } = parking;
    let unparked = parking::unpark(environment, follower, *position, reason).await?;
    let Some(Unparked { recorded, rebuild }) = unparked else {
        writeln!(
            out,
            "{follower} does not pass over position {position}; nothing was changed"
        )?;
        return Ok(Outcome::Different);
    };
    writeln!(
        out,
        "{follower} no longer passes over position {position}; recorded at position {recorded}"
    )?;
    match rebuild {
        Some(model) => writeln!(
            out,
            "`replay rebuild {model}` brings the event into its rows"
        )?,
        None => writeln!(
            out,
            "if {follower} is past it already, it does not go back: what the event asked for is not made up for"
        )?,
    }
    Ok(Outcome::Fine)
}
