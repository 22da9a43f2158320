//! The log and what stands beside it: what everything else is built on.

use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::Context as _;
use api::DoorEntropy;
use commands::Executor;
use events::EventStore;
use events::personal::SubjectKeys;
use events::ports::{Clock, Entropy};
use events::store::PayloadStore;
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use store_postgres::{MIGRATOR, PgPayloadStore, PgSubjectKeys};

use crate::config::Config;
use crate::environment::{SystemClock, SystemEntropy};
use crate::lifecycle::Lifecycle;
use crate::log;

/// Connections for reading streams, payloads and keys. The appender and each projection have one of their own.
const LOG_CONNECTIONS: u32 = 8 + LISTENERS;

/// Connections that do nothing but listen: for appends of other nodes, for their progress, for what they hand this one, and for
/// what is brought to meetings.
const LISTENERS: u32 = 4;

/// What needs the log needs.
pub(crate) struct Store {
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) payloads: Arc<dyn PayloadStore>,
    pub(crate) keys: Arc<dyn SubjectKeys>,
    pub(crate) database: PgConnectOptions,
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Opens the log and what stands beside it.
pub(crate) async fn start_store(config: &Config, lifecycle: &Lifecycle) -> anyhow::Result<Store> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(DoorEntropy::new(Arc::new(SystemEntropy)));
    let pool = pool(config, LOG_CONNECTIONS).await?;
    let eventstore = config.eventstore.as_ref();
    let eventstore = eventstore.map(|eventstore| eventstore.url.expose_secret());
    let log = log::open(&pool, eventstore, &clock, &lifecycle.store).await?;
    Ok(Store {
        log,
        payloads: Arc::new(PgPayloadStore::new(pool.clone())),
        keys: Arc::new(PgSubjectKeys::new(pool.clone(), Arc::clone(&entropy))),
        database: database(config)?,
        pool,
        clock,
        entropy,
    })
}

/// The database of the configuration.
fn database(config: &Config) -> anyhow::Result<PgConnectOptions> {
    let options =
        PgConnectOptions::from_str(config.database.url.expose_secret()).map_err(|_| {
            anyhow::anyhow!(
                "database.url is not of the form postgres://user:password@host:port/database"
            )
        })?;
    // A process that was stopped in the middle of a transaction must not hold the others up: positions and leases wait
    // for its locks.
    Ok(options.options([("idle_in_transaction_session_timeout", "10s")]))
}

async fn pool(config: &Config, connections: u32) -> anyhow::Result<PgPool> {
    let options = database(config)?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false);
    pool.connect_with(options)
        .await
        .with_context(|| format!("database.url: cannot connect to Postgres at {place}"))
}

/// Brings the schema up to date.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = pool(config, 1).await?;
    MIGRATOR
        .run(&pool)
        .await
        .context("cannot bring the database's schema up to date")?;
    pool.close().await;
    Ok(())
}

/// Runs commands against the log.
pub(crate) fn executor(store: &Store) -> Arc<Executor> {
    Arc::new(Executor::new(
        Arc::clone(&store.log),
        Arc::clone(&store.keys),
        Arc::clone(&store.payloads),
        Arc::clone(&store.clock),
        Arc::clone(&store.entropy),
    ))
}
