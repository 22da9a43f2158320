//! The subcommands of `audit`.

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use events::operator::LogExported;
use events::{Aci, Batch, Position};
use tree::{PublicKey, SignedHead};

use super::search::{Filter, Moment, search};
use super::tamper::{self, Proof};
use super::{as_of, describe, erasures, history, json, print};
use crate::cli::{Outcome, position};
use crate::environment::Environment;
use crate::error::ReplayError;
use crate::export::{self, Format};
use crate::{operator, secrets};

/// Ask the log what happened.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Show what happened to an account (`--account`): everything, or what fits. Erased values are shown as erased, secrets never.
    Show {
        /// Which events.
        #[command(flatten)]
        filter: Filter,
        /// Write JSON, one event a line.
        #[arg(long)]
        json: bool,
    },
    /// Find events over the whole log.
    Search {
        /// Which events.
        #[command(flatten)]
        filter: Filter,
        /// Stop after so many.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
        /// Write JSON, one event a line.
        #[arg(long)]
        json: bool,
    },
    /// Write events as they are stored, one a line. Personal values stay sealed. The log keeps who exported, and how much.
    Export(Export),
    /// Show what was true of an account at some moment.
    AsOf {
        /// The account's id.
        #[arg(long, value_name = "ACI")]
        account: Aci,
        /// A position, or a time (RFC 3339).
        #[arg(long, value_name = "POSITION|TIME")]
        at: Moment,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// List what was destroyed of an account, when, and because of which event.
    ErasureReport {
        /// The account's id.
        #[arg(long, value_name = "ACI")]
        account: Aci,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare the whole log with every signed head; name the first event that somebody has changed.
    Check {
        /// What heads are checked with.
        #[command(flatten)]
        key: Key,
        /// A head that was kept elsewhere (`audit head`); may be given more than once.
        #[arg(long = "head", value_name = "FILE")]
        heads: Vec<PathBuf>,
    },
    /// Write the last signed head, to be kept where nobody of this machine can change it.
    Head,
    /// Write the proof that an event stands in the log.
    Prove {
        /// The event.
        #[arg(long, value_parser = position)]
        position: Position,
    },
    /// Write the proof that the log of one signed head is the beginning of that of another.
    Consistency {
        /// How many events the older head covers.
        #[arg(long, value_name = "SIZE")]
        from: u64,
        /// How many events the newer head covers.
        #[arg(long, value_name = "SIZE")]
        to: u64,
    },
    /// Check a proof. Needs the public key, and neither database nor network.
    VerifyProof {
        /// What heads are checked with.
        #[command(flatten)]
        key: Key,
        /// The proof; `-` reads standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What heads are checked with.
#[derive(Args, Clone, Debug)]
pub struct Key {
    /// The server's public key for heads of the log, as `heliograph keygen` prints it.
    #[arg(long, value_name = "BASE64", env = "HELIOGRAPH_LOG_PUBLIC_KEY")]
    pub public_key: Option<PublicKey>,
}

/// `audit export`
#[derive(Args, Clone, Debug)]
pub struct Export {
    #[command(flatten)]
    filter: Filter,
    /// How events are written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where to write; standard output otherwise.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Add the keys to personal values and the payloads: an import of such a file is the whole instance. Keep it as
    /// carefully as the database itself.
    #[arg(long)]
    with_secrets: bool,
}

impl AuditCommand {
    /// Carries the command out and writes what came of it to `out`. `key` is the public key that is at hand.
    pub async fn run(
        &self,
        environment: &Environment,
        key: Option<&PublicKey>,
        out: &mut (dyn Write + Send),
    ) -> Result<Outcome, ReplayError> {
        match self {
            Self::Show {
                filter,
                json: as_json,
            } => show(environment, filter, *as_json, out).await,
            Self::Search {
                filter,
                limit,
                json: as_json,
            } => find(environment, filter, *limit, *as_json, out).await,
            Self::Export(export) => export.run(environment, out).await,
            Self::AsOf { account, at, json } => {
                let answer = as_of::as_of(environment, *account, *at).await?;
                if *json {
                    writeln!(out, "{}", as_of::json(&answer))?;
                } else {
                    as_of::print(&answer, out)?;
                }
                Ok(Outcome::Fine)
            }
            Self::ErasureReport { account, json } => {
                let report = erasures::report(environment, *account).await?;
                if *json {
                    writeln!(out, "{}", erasures::json(&report))?;
                } else {
                    erasures::print(&report, out)?;
                }
                Ok(Outcome::Fine)
            }
            Self::Check { key: given, heads } => {
                let kept = heads.iter().map(|file| read_head(file));
                let kept = kept.collect::<Result<Vec<_>, _>>()?;
                let checked = tamper::check(environment, given.or(key)?, kept).await?;
                tamper::print(&checked, out)?;
                Ok(outcome(checked.is_clean()))
            }
            Self::Head => {
                let heads = tamper::heads(environment).await?;
                let head = heads.last().ok_or(ReplayError::NoSuchHead(0))?;
                write_json(head, out)
            }
            Self::Prove { position } => {
                let proof = tamper::prove(environment, *position).await?;
                write_json(&Proof::Inclusion(Box::new(proof)), out)
            }
            Self::Consistency { from, to } => {
                let proof = tamper::prove_consistency(environment, *from, *to).await?;
                write_json(&Proof::Consistency(Box::new(proof)), out)
            }
            Self::VerifyProof { key: given, file } => verify_proof(given.or(key)?, file, out),
        }
    }
}

impl Key {
    /// The key that was given, or the one at hand.
    pub fn or<'a>(&'a self, at_hand: Option<&'a PublicKey>) -> Result<&'a PublicKey, ReplayError> {
        self.public_key
            .as_ref()
            .or(at_hand)
            .ok_or(ReplayError::NoPublicKey)
    }
}

/// Checks a proof with nothing but a key.
pub fn verify_proof(
    key: &PublicKey,
    file: &Path,
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let proof: Proof = read_json(file)?;
    match proof.verify(key) {
        Ok(shown) => {
            writeln!(out, "proved: {shown}")?;
            Ok(Outcome::Fine)
        }
        Err(why) => {
            writeln!(out, "NOT proved: {why}")?;
            Ok(Outcome::Different)
        }
    }
}

const fn outcome(fine: bool) -> Outcome {
    if fine {
        Outcome::Fine
    } else {
        Outcome::Different
    }
}

fn write_json(
    value: &impl serde::Serialize,
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::from)?;
    writeln!(out, "{text}")?;
    Ok(Outcome::Fine)
}

fn read_json<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, ReplayError> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let unreadable = |what: String| ReplayError::Input {
        file: file.to_owned(),
        what,
    };
    let text = text.map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn read_head(file: &Path) -> Result<SignedHead, ReplayError> {
    read_json(file)
}

async fn show(
    environment: &Environment,
    filter: &Filter,
    as_json: bool,
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let account = filter.account.ok_or(ReplayError::NoAccount)?;
    if !filter.is_account_only() {
        return find(environment, filter, usize::MAX, as_json, out).await;
    }
    let entries = history(environment, account).await?;
    if as_json {
        for entry in &entries {
            writeln!(out, "{}", json(entry))?;
        }
    } else {
        print(account, &entries, out)?;
    }
    Ok(outcome(!entries.is_empty()))
}

async fn find(
    environment: &Environment,
    filter: &Filter,
    limit: usize,
    as_json: bool,
    out: &mut (dyn Write + Send),
) -> Result<Outcome, ReplayError> {
    let reader = environment.reader();
    let mut found = Vec::new();
    let mut left_out = false;
    search(environment, filter, async |batch: Batch| {
        let room = limit.saturating_sub(found.len());
        left_out |= batch.events.len() > room;
        let events = batch.events.into_iter().take(room).collect();
        let batch = Batch {
            through: batch.through,
            events,
        };
        let stretch = reader.decode(Position::START, &batch).await?;
        let facts = super::gather::legible(stretch)?;
        found.extend(facts.iter().map(|fact| describe::entry(fact)));
        Ok(())
    })
    .await?;
    if as_json {
        for entry in &found {
            writeln!(out, "{}", json(entry))?;
        }
    } else {
        super::table(&found, out)?;
    }
    if left_out {
        eprintln!("only the first {limit} are shown; --limit shows more");
    }
    Ok(outcome(!found.is_empty()))
}

impl Export {
    async fn run(
        &self,
        environment: &Environment,
        out: &mut (dyn Write + Send),
    ) -> Result<Outcome, ReplayError> {
        let mut file = match &self.out {
            None => None,
            Some(path) => Some(std::io::BufWriter::new(std::fs::File::create_new(path)?)),
        };
        let out: &mut (dyn Write + Send) = match &mut file {
            None => out,
            Some(file) => file,
        };
        let mut events = 0_u64;
        let through = search(environment, &self.filter, async |batch: Batch| {
            for event in &batch.events {
                writeln!(out, "{}", export::line(event, self.format)?)?;
                events += 1;
            }
            Ok(())
        })
        .await?;
        if self.with_secrets {
            secrets::export(environment, out).await?;
        }
        out.flush()?;
        let exported = LogExported {
            through,
            events,
            whole: self.filter.is_all(),
            secrets: self.with_secrets,
        };
        operator::record(environment, exported).await?;
        Ok(Outcome::Fine)
    }
}

/// Reads an export.
pub(crate) fn open(file: &Path) -> Result<Box<dyn std::io::BufRead + Send>, ReplayError> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let opened = std::fs::File::open(file).map_err(|error| ReplayError::Input {
        file: file.to_owned(),
        what: error.to_string(),
    })?;
    Ok(Box::new(BufReader::new(opened)))
}
