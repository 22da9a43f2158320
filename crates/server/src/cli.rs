//! What can be typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Dialect;

/// A Signal-compatible chat server that remembers what it may and forgets what it must.
///
/// Start with `heliograph dev`: it needs no configuration and prints what to try next.
#[derive(Debug, Parser)]
#[command(
    name = "heliograph",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine: a private Postgres, TLS, the server, the workers.
    Dev(Dev),
    /// Run the server in production: doors, and projection workers unless told otherwise.
    Serve(Serve),
    /// Run projection workers only.
    Worker(Worker),
    /// Bring the database's schema up to date.
    Migrate(Configured),
    /// Read the configuration, say what is wrong with it, and change nothing.
    CheckConfig(Configured),
    /// Make the server's secret keys and write them to a file.
    Keygen(Keygen),
    /// Rebuild read models from the log, prove them equal to it, or look at their state.
    Replay(Replay),
    /// Ask the log what happened.
    Audit(Audit),
    /// Move old history of mailboxes to an object store, or look at what has moved.
    Retention(Retention),
    /// Put a log to the test: does it keep what Heliograph relies on? It leaves its events behind.
    #[command(hide = true)]
    StoreContract(StoreContract),
}

/// `heliograph dev`
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Where everything is kept: the database, certificates, secret keys.
    #[arg(long, value_name = "FOLDER", default_value = ".heliograph")]
    pub(crate) data_dir: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The port of plain HTTP.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,
    /// The port of HTTPS.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    pub(crate) https_port: u16,
    /// The port of health checks and metrics.
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    pub(crate) admin_port: u16,
    /// A verification code that is right for every number.
    #[arg(long, value_name = "CODE", default_value = "123456")]
    pub(crate) code: String,
    /// Which contract counts where two have been published for one path.
    #[arg(long, value_name = "CONTRACT", value_enum, default_value_t)]
    pub(crate) dialect: Dialect,
    /// Limit how often callers may call, as in production. Without it programs may call more often than people do.
    #[arg(long)]
    pub(crate) rate_limits: bool,
    /// Use this Postgres instead of a private one.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Keep the log on this EventStoreDB or KurrentDB cluster instead of in Postgres.
    #[arg(
        long,
        value_name = "URL",
        env = "EVENTSTORE_URL",
        hide_env_values = true
    )]
    pub(crate) eventstore_url: Option<String>,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The configuration (TOML). `HELIOGRAPH_SECTION__KEY`, `DATABASE_URL` and `EVENTSTORE_URL` in the environment
    /// win over it.
    #[arg(long, short, value_name = "FILE", env = "HELIOGRAPH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// `heliograph serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Leave the projections to `heliograph worker` processes.
    #[arg(long)]
    pub(crate) no_workers: bool,
}

/// `heliograph worker`
#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) configured: Configured,
}

/// `heliograph keygen`
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The file to write. It must not exist yet: keys that are overwritten are accounts that are lost.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Where the database is, for commands that need nothing else.
#[derive(Debug, Args)]
pub(crate) struct DatabaseAccess {
    /// The database. Without it: that of a running `heliograph dev` in this folder.
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    pub(crate) database_url: Option<String>,
    /// The cluster that holds the log, if Postgres does not. Without it: that of a running `heliograph dev` in this folder.
    #[arg(
        long,
        value_name = "URL",
        env = "EVENTSTORE_URL",
        hide_env_values = true,
        global = true
    )]
    pub(crate) eventstore_url: Option<String>,
    /// The data folder of `heliograph dev`.
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".heliograph",
        global = true
    )]
    pub(crate) data_dir: PathBuf,
}

/// `heliograph replay`
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) database: DatabaseAccess,
    #[command(subcommand)]
    pub(crate) command: replay::cli::ReplayCommand,
}

/// `heliograph audit`
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) database: DatabaseAccess,
    #[command(subcommand)]
    pub(crate) command: replay::cli::AuditCommand,
}

/// `heliograph retention`
#[derive(Debug, Args)]
pub(crate) struct Retention {
    #[command(flatten)]
    pub(crate) database: DatabaseAccess,
    #[command(subcommand)]
    pub(crate) command: replay::cli::RetentionCommand,
}

/// `heliograph store-contract`
#[derive(Debug, Args)]
pub(crate) struct StoreContract {
    /// The Postgres for payloads and keys, and for the log if no cluster is named. Its schema is brought up to date.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// The cluster to put to the test.
    #[arg(
        long,
        value_name = "URL",
        env = "EVENTSTORE_URL",
        hide_env_values = true
    )]
    pub(crate) eventstore_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_for_those_who_run_a_cluster_does_not_stand_in_everybodys_help() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("check-config") && !help.contains("store-contract"));
        let url = "postgres://localhost/scratch";
        let typed = ["heliograph", "store-contract", "--database-url", url];
        let parsed = Cli::try_parse_from(typed).unwrap();
        assert!(matches!(parsed.command, Command::StoreContract(_)));
    }
}
