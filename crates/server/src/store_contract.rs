//! `heliograph store-contract`: whether a log keeps what Heliograph relies on, told without a toolchain.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use events::EventStore;
use events::personal::SubjectKeys;
use events::ports::Clock;
use events::store::PayloadStore;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use store_contract::{StoreUnderTest, check_all};
use store_postgres::{
    MAX_APPEND_BYTES, MAX_APPEND_EVENTS, MIGRATOR, PgPayloadStore, PgSubjectKeys,
};

use crate::cli::StoreContract;
use crate::environment::{SystemClock, SystemEntropy};
use crate::lifecycle::Lifecycle;
use crate::log;
use crate::telemetry::{LogFormat, start_logging};

/// One line a promise on standard output; fails if one is broken.
pub(crate) async fn run(arguments: StoreContract) -> anyhow::Result<ExitCode> {
    start_logging(LogFormat::Text);
    let lifecycle = Lifecycle::new();
    let pool = PgPoolOptions::new()
        .connect(&arguments.database_url)
        .await
        .context("--database-url: cannot connect to Postgres")?;
    MIGRATOR
        .run(&pool)
        .await
        .context("--database-url: cannot bring the schema up to date")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log: Arc<dyn EventStore> = match &arguments.eventstore_url {
        Some(url) => Arc::new(Box::pin(log::on_cluster(url, &pool, &clock)).await?),
        None => Arc::new(log::in_postgres(&pool, &clock, &lifecycle.store).await?),
    };
    let subject = Subject {
        log,
        pool,
        on_cluster: arguments.eventstore_url.is_some(),
    };
    // What a broken promise panics with stands in its line.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut kept, mut broken) = (0_u32, 0_u32);
    let sound = check_all(
        async || subject.clone(),
        |checked| {
            *(if checked.broken.is_none() {
                &mut kept
            } else {
                &mut broken
            }) += 1;
            println!("{checked}");
        },
    )
    .await;
    std::panic::set_hook(hook);
    println!("{kept} promises kept, {broken} broken");
    drop(subject);
    lifecycle.stop().await;
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A log that others may use as well.
#[derive(Clone)]
struct Subject {
    log: Arc<dyn EventStore>,
    pool: PgPool,
    on_cluster: bool,
}

impl StoreUnderTest for Subject {
    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.log)
    }

    fn payloads(&self) -> Arc<dyn PayloadStore> {
        Arc::new(PgPayloadStore::new(self.pool.clone()))
    }

    fn keys(&self) -> Arc<dyn SubjectKeys> {
        Arc::new(PgSubjectKeys::new(
            self.pool.clone(),
            Arc::new(SystemEntropy),
        ))
    }

    fn limits(&self) -> Option<(usize, usize)> {
        (!self.on_cluster).then_some((MAX_APPEND_EVENTS, MAX_APPEND_BYTES))
    }

    fn is_transactional(&self) -> bool {
        !self.on_cluster
    }

    fn knows_ids_everywhere(&self) -> bool {
        !self.on_cluster
    }

    fn has_a_log_of_its_own(&self) -> bool {
        false
    }
}
