//! `heliograph`: see `heliograph --help`.

mod admin;
mod challenges;
mod cli;
mod config;
mod database;
mod dev;
mod doors;
mod effects;
mod environment;
mod events_feed;
mod keygen;
mod lifecycle;
mod listeners;
mod log;
mod neighbours;
mod objects;
mod push;
mod retention;
mod sections;
mod serve;
mod store;
mod store_contract;
mod telemetry;
mod tls;
mod verification;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

/// A fifth of the processor time of a busy server went into the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Once, before anything else could choose another: every TLS in this process uses the same provider. The cluster's
    // client insists on installing it; should that fail, only a cluster is out of reach, and it will say why.
    store_eventstore::install_crypto_provider().ok();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev(arguments) => Box::pin(dev::run(arguments)).await,
        Command::Serve(arguments) => serve::serve(arguments).await,
        Command::Worker(arguments) => serve::worker(arguments).await,
        Command::Migrate(arguments) => serve::migrate(arguments).await,
        Command::CheckConfig(arguments) => serve::check_config(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Replay(arguments) => database::replay(arguments).await,
        Command::Audit(arguments) => database::audit(arguments).await,
        Command::Retention(arguments) => database::retention(arguments).await,
        Command::StoreContract(arguments) => store_contract::run(arguments).await,
    }
}
