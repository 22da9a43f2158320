//! Where the log stands: in Postgres beside everything else, or on a cluster.

use std::sync::Arc;

use anyhow::Context as _;
use events::ports::Clock;
use events::{EventStore, Family, Position};
use sqlx::PgPool;
use store_eventstore::EventStoreDb;
use store_postgres::{PgEventStore, PgPayloadStore};
use tokio_util::task::TaskTracker;

use crate::lifecycle::Stage;

/// Opens the log: on the cluster at `eventstore`, if there is one, otherwise in the database of `pool`.
///
/// Refuses a log that is not the one from which the read models of that database were built.
pub(crate) async fn open(
    pool: &PgPool,
    eventstore: Option<&str>,
    clock: &Arc<dyn Clock>,
    stage: &Stage,
) -> anyhow::Result<Arc<dyn EventStore>> {
    let log: Arc<dyn EventStore> = match eventstore {
        Some(url) => Arc::new(Box::pin(on_cluster(url, pool, clock)).await?),
        None => Arc::new(in_postgres(pool, clock, stage).await?),
    };
    let place = if eventstore.is_some() {
        "cluster"
    } else {
        "postgres"
    };
    same_as_before(pool, &*log, place).await?;
    Ok(log)
}

/// The log in the database of `pool`.
pub(crate) async fn in_postgres(
    pool: &PgPool,
    clock: &Arc<dyn Clock>,
    stage: &Stage,
) -> anyhow::Result<PgEventStore> {
    let options = store_postgres::Options::new(pool.clone());
    PgEventStore::start(
        options,
        Arc::clone(clock),
        &stage.tracker,
        stage.token.clone(),
    )
    .await
    .context("cannot open the log; `heliograph migrate` brings the schema up to date")
}

/// The log on a cluster; payloads go to the database of `pool`.
pub(crate) async fn on_cluster(
    url: &str,
    pool: &PgPool,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<EventStoreDb> {
    let options = store_eventstore::Options::new(address(url)?);
    let payloads = Arc::new(PgPayloadStore::new(pool.clone()));
    // Its tasks live as long as somebody uses the log, and have nothing to finish.
    EventStoreDb::connect(options, Arc::clone(clock), payloads, &TaskTracker::new())
        .await
        .context("eventstore.url: cannot open the log on the cluster")
}

/// The cluster's address, as far as it is one. It may hold a password, so it is not repeated.
pub(crate) fn address(url: &str) -> anyhow::Result<store_eventstore::ConnectionString> {
    url.trim().parse().context("eventstore.url")
}

/// Checkpoints are positions of one log; of another one they would pass over events, or wait for ever. So the database
/// remembers from which log its read models come: where it stands, and the id of its first event.
async fn same_as_before(pool: &PgPool, log: &dyn EventStore, place: &str) -> anyhow::Result<()> {
    let first = log.read_all(Position::START, &Family::ALL, 1).await?;
    let first = first.events.first().map(|event| event.id.uuid());
    let same: bool = sqlx::query_scalar(
        "INSERT INTO projection.log AS known (place, first_event) VALUES ($1, $2)
         ON CONFLICT (one) DO UPDATE SET
             first_event = CASE WHEN known.place = excluded.place AND known.first_event IS NULL
                                THEN excluded.first_event ELSE known.first_event END
         RETURNING place = $1 AND first_event IS NOT DISTINCT FROM $2",
    )
    .bind(place)
    .bind(first)
    .fetch_one(pool)
    .await
    .context("cannot tell which log the read models come from; `heliograph migrate` brings the schema up to date")?;
    anyhow::ensure!(
        same,
        "the read models of this database were built from another log than this one ({place}): was eventstore.url \
         changed, or one of the two restored from a copy? Give the log that belongs to the database, or a new database"
    );
    Ok(())
}
