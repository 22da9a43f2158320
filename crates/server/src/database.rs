//! `replay`, `audit` and `retention`: commands that need the database and nothing else. A server may run on it meanwhile.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use events::ports::{Clock, Entropy};
use replay::Environment;
use replay::audit::cli::verify_proof;
use replay::cli::{AuditCommand, Outcome};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store_postgres::PgSubjectKeys;
use tokio_util::sync::CancellationToken;
use tree::PublicKey;

use crate::cli::{Audit, DatabaseAccess, Replay, Retention};
use crate::environment::{SystemClock, SystemEntropy};
use crate::keygen;
use crate::lifecycle::{Lifecycle, any_signal};
use crate::log;
use crate::telemetry::{LogFormat, start_logging};

/// Where a running `dev` leaves the address of its database.
pub(crate) const URL_FILE: &str = "database.url";

/// Where it leaves that of the cluster which holds its log, if one does.
pub(crate) const CLUSTER_FILE: &str = "eventstore.url";

/// Where `dev` keeps its secret keys.
pub(crate) const SECRETS_FILE: &str = "secrets.toml";

/// Connections of one command: rebuilding reads and writes at once.
const CONNECTIONS: u32 = 8;

/// `heliograph replay …`
pub(crate) async fn replay(arguments: Replay) -> anyhow::Result<ExitCode> {
    let command = arguments.command;
    with_environment(&arguments.database, async |environment| {
        command.run(environment, &mut std::io::stdout()).await
    })
    .await
}

/// `heliograph audit …`
pub(crate) async fn audit(arguments: Audit) -> anyhow::Result<ExitCode> {
    let command = arguments.command;
    let at_hand = public_key(&arguments.database);
    let key = at_hand.as_ref();
    if let AuditCommand::VerifyProof { key: given, file } = &command {
        // Whoever checks a proof needs no database, and may have none.
        let verified = given
            .or(key)
            .and_then(|key| verify_proof(key, file, &mut std::io::stdout()));
        return Ok(verified?.into());
    }
    with_environment(&arguments.database, async |environment| {
        command.run(environment, key, &mut std::io::stdout()).await
    })
    .await
}

/// `heliograph retention …`
pub(crate) async fn retention(arguments: Retention) -> anyhow::Result<ExitCode> {
    let command = arguments.command;
    let at_hand = public_key(&arguments.database);
    with_environment(&arguments.database, async |environment| {
        command
            .run(environment, at_hand.as_ref(), &mut std::io::stdout())
            .await
    })
    .await
}

/// The key for heads of the log, if `dev` keeps its secrets in this folder.
fn public_key(access: &DatabaseAccess) -> Option<PublicKey> {
    let secrets = keygen::read(&access.data_dir.join(SECRETS_FILE)).ok()?;
    Some(keygen::head_key(&secrets).public())
}

/// Opens the log, runs the command, and closes the log again. A signal asks the command to end without residue.
async fn with_environment(
    access: &DatabaseAccess,
    command: impl AsyncFnOnce(&Environment) -> Result<Outcome, replay::ReplayError>,
) -> anyhow::Result<ExitCode> {
    start_logging(LogFormat::Text);
    let lifecycle = Lifecycle::new();
    let environment = environment(access, &lifecycle).await?;
    let interrupted = environment.shutdown.clone();
    let outcome = {
        let mut running = std::pin::pin!(command(&environment));
        tokio::select! {
            outcome = &mut running => outcome,
            _ = any_signal() => {
                interrupted.cancel();
                running.await
            }
        }
    };
    lifecycle.stop().await;
    Ok(outcome?.into())
}

async fn environment(
    access: &DatabaseAccess,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Environment> {
    let options: PgConnectOptions = url(access)?
        .trim()
        .parse()
        .context("the database's address is not of the form postgres://…")?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await
        .with_context(|| {
            format!("cannot connect to Postgres at {place}; does `heliograph dev` run?")
        })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let cluster = cluster(access)?;
    let store = log::open(&pool, cluster.as_deref(), &clock, &lifecycle.store).await?;
    Ok(Environment {
        store,
        keys: Arc::new(PgSubjectKeys::new(pool.clone(), Arc::clone(&entropy))),
        database: pool,
        clock,
        entropy,
        operator: operator(),
        shutdown: CancellationToken::new(),
    })
}

/// Whose name the log keeps for what is done here: the user that the machine knows.
fn operator() -> Box<str> {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
        .into()
}

/// The database that was named, or that of `dev`.
fn url(access: &DatabaseAccess) -> anyhow::Result<String> {
    if let Some(url) = &access.database_url {
        return Ok(url.clone());
    }
    let file = Path::new(&access.data_dir).join(URL_FILE);
    std::fs::read_to_string(&file).with_context(|| {
        format!(
            "no --database-url given, and no `heliograph dev` has left {}",
            file.display()
        )
    })
}

/// The cluster that was named, or that of `dev`, if its database is meant.
fn cluster(access: &DatabaseAccess) -> anyhow::Result<Option<String>> {
    if access.eventstore_url.is_some() || access.database_url.is_some() {
        return Ok(access.eventstore_url.clone());
    }
    let file = Path::new(&access.data_dir).join(CLUSTER_FILE);
    match std::fs::read_to_string(&file) {
        Ok(url) => Ok(Some(url)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}
