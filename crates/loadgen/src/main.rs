//! `heliograph-load`: see the crate's front page.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use loadgen::fleet::{Fleet, Recruiting};
use loadgen::load::{Pace, Plan, Recipients};
use loadgen::servers::{Servers, Version};
use loadgen::{demo, idle, load};
use serde::Serialize;

/// Plays devices against a Signal-compatible server, over the public protocol, and checks what they are told.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// A server. Several: devices that lose their connection go on with the next.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: Vec<String>,
    /// The root certificate of servers that have one of their own (PEM).
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Open sockets over HTTP/2, like official clients.
    #[arg(long, global = true)]
    http2: bool,
    /// The verification code that is right for every number.
    #[arg(long, global = true, value_name = "CODE", default_value = "123456")]
    code: String,
    /// Other seeds have other phone numbers, passwords and keys (0 to 699).
    #[arg(long, global = true, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..700))]
    seed: u16,
    /// Where the accounts are kept, to be used again by the next run.
    #[arg(long, global = true, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Writes the report as JSON, too.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Registers accounts and keeps them in --fleet.
    Register {
        /// How many.
        #[arg(long, value_name = "N")]
        accounts: usize,
    },
    /// A crowd writes to each other; every message is checked.
    Run(Run),
    /// A crowd only listens; the server's memory is measured.
    Idle {
        /// How many sockets.
        #[arg(long, value_name = "N", default_value_t = 1000)]
        sockets: usize,
        /// For how long all of them are held.
        #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
        seconds: f64,
        /// The server's process, on this machine. Several: their memory is summed up.
        #[arg(long, value_name = "PID")]
        pid: Vec<u32>,
    },
    /// Two people register and talk.
    Demo,
}

#[derive(Debug, Args)]
struct Run {
    /// Devices, each of an account of its own.
    #[arg(long, value_name = "N", default_value_t = 100)]
    devices: usize,
    /// Messages that are due each second, over all devices.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200.0,
        conflicts_with = "saturate"
    )]
    rate: f64,
    /// Send whenever the last message was answered, instead of at a rate.
    #[arg(long)]
    saturate: bool,
    /// For how long messages are sent.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    seconds: f64,
    /// How long those that are under way then may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    grace: f64,
    /// Bytes of content.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    size: usize,
    /// How many others each device writes to.
    #[arg(long, value_name = "N", default_value_t = 4)]
    peers: usize,
    /// After how long without hearing anything a connection is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 45.0)]
    patience: f64,
    /// Half of the devices send; the others connect when the sending is over, and find their queues.
    #[arg(long)]
    away: bool,
    /// The server's process, on this machine, to see what processor time it takes, with all that it started. Several:
    /// summed up (the postmaster of its database, say).
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
}

impl Common {
    /// So many accounts: those of the file, if it has enough, or new ones.
    async fn fleet(&self, servers: &Servers, accounts: usize) -> anyhow::Result<Fleet> {
        if let Some(file) = self.fleet.as_deref().filter(|file| file.exists()) {
            let mut fleet = Fleet::read(file)?;
            anyhow::ensure!(
                fleet.accounts.len() >= accounts,
                "{} has {} accounts, and {accounts} are needed",
                file.display(),
                fleet.accounts.len()
            );
            fleet.accounts.truncate(accounts);
            return Ok(fleet);
        }
        eprintln!("registering {accounts} accounts");
        let wanted = Recruiting {
            accounts,
            seed: self.seed,
            code: self.code.clone(),
        };
        let fleet = Fleet::recruit(servers, &wanted).await?;
        if let Some(file) = &self.fleet {
            fleet.write(file)?;
        }
        Ok(fleet)
    }

    fn keep(&self, report: &impl Serialize) -> anyhow::Result<()> {
        if let Some(file) = &self.json {
            let text = serde_json::to_vec_pretty(report)?;
            std::fs::write(file, text)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Cli { command, common } = Cli::parse();
    let version = if common.http2 {
        Version::Http2
    } else {
        Version::Http1
    };
    let servers = Servers::new(&common.url, common.ca.as_deref(), version)?;
    match command {
        Command::Register { accounts } => {
            anyhow::ensure!(common.fleet.is_some(), "--fleet says where they are kept");
            common.fleet(&servers, accounts).await?;
        }
        Command::Run(options) => return run(&common, servers, &options).await,
        Command::Idle {
            sockets,
            seconds,
            pid,
        } => {
            let fleet = common.fleet(&servers, sockets).await?;
            let report = idle::run(servers, &fleet, Duration::from_secs_f64(seconds), &pid).await?;
            print!("{report}");
            common.keep(&report)?;
            if report.closed > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Demo => demo::run(&servers, common.seed, &common.code).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(common: &Common, servers: Servers, options: &Run) -> anyhow::Result<ExitCode> {
    let fleet = common.fleet(&servers, options.devices).await?;
    let plan = Plan {
        pace: if options.saturate {
            Pace::Saturate
        } else {
            Pace::Open { rate: options.rate }
        },
        time: Duration::from_secs_f64(options.seconds),
        grace: Duration::from_secs_f64(options.grace),
        size: options.size,
        peers: options.peers,
        patience: Duration::from_secs_f64(options.patience),
        recipients: if options.away {
            Recipients::Away
        } else {
            Recipients::Connected
        },
        run: run_number(),
        pids: options.pid.clone(),
    };
    let report = load::run(servers, fleet, &plan).await?;
    print!("{report}");
    common.keep(&report)?;
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        eprintln!("messages were lost, out of order, or not accepted at all");
        ExitCode::FAILURE
    })
}

/// A number that no other run has: what an earlier one left in the queues is not taken for this one's.
#[expect(
    clippy::disallowed_methods,
    reason = "a run is named by when it began; nothing else looks at the clock"
)]
fn run_number() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    u64::try_from(micros).unwrap_or_default()
}
