//! Progress across nodes: telling what the workers here did, and hearing what those elsewhere did.

use std::collections::HashMap;
use std::error::Error;

use events::Position;
use sqlx::postgres::PgListener;
use sqlx::{PgPool, Row as _};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::component::Timing;
use crate::progress::Progress;

const CHANNEL: &str = "projection_progress";

/// Keeps [`Progress`] in step with the other nodes.
pub(crate) struct Hearsay {
    pool: PgPool,
    progress: Progress,
    /// Name by key: the key also says the version, since two may be at work while a release is rolled out.
    names: HashMap<String, &'static str>,
    timing: Timing,
}

fn key(name: &str, version: impl std::fmt::Display) -> String {
    format!("{name}_v{version}")
}

impl Hearsay {
    pub(crate) fn new(pool: PgPool, progress: Progress, timing: Timing) -> Self {
        let keyed = |(name, version)| (key(name, version), name);
        let names = progress.projections().map(keyed).collect();
        Self {
            pool,
            progress,
            names,
            timing,
        }
    }

    /// Tells and hears until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let all = async { tokio::join!(self.hear(), self.look(), self.tell()) };
        shutdown.run_until_cancelled(all).await;
    }

    /// Takes in what other nodes tell.
    async fn hear(&self) {
        let mut backoff = Backoff::default();
        loop {
            if let Err(error) = self.listen(&mut backoff).await {
                tracing::debug!(
                    error = &error as &dyn Error,
                    "progress of other nodes is not heard; trying again"
                );
            }
            backoff.wait().await;
        }
    }

    async fn listen(&self, backoff: &mut Backoff) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        backoff.reset();
        loop {
            let Some(notification) = listener.try_recv().await? else {
                continue; // the connection was lost and is back; `look` sees what was missed
            };
            if let Some((key, position)) = notification.payload().rsplit_once(':')
                && let (Some(name), Ok(position)) = (self.names.get(key), position.parse())
            {
                self.progress.advance(name, Position(position));
            }
        }
    }

    /// Looks at the checkpoints now and then: what was told while nobody listened is lost.
    async fn look(&self) {
        let mut interval = tokio::time::interval(self.timing.look_after);
        loop {
            interval.tick().await;
            let projections = self.progress.projections().map(|(name, _)| name);
            let seen = self.read().await;
            let seen = seen.and(crate::rebuilds::measure(&self.pool, projections).await);
            if let Err(error) = seen {
                tracing::debug!(
                    error = &error as &dyn Error,
                    "the checkpoints cannot be read; trying again"
                );
            }
        }
    }

    async fn read(&self) -> Result<(), sqlx::Error> {
        let rows = sqlx::query("SELECT model, version, position FROM projection.checkpoints")
            .fetch_all(&self.pool)
            .await?;
        for row in rows {
            let model: String = row.try_get("model")?;
            let version: i32 = row.try_get("version")?;
            if let Some(name) = self.names.get(&key(&model, version)) {
                self.progress
                    .advance(name, Position::from_i64(row.try_get("position")?));
            }
        }
        Ok(())
    }

    /// Tells the other nodes what the workers here did: all that is new, in one notification a projection, and not more
    /// often than need be. A commit that notifies waits for every other one that does, so workers do not.
    async fn tell(&self) {
        let mut told: HashMap<&str, Position> = HashMap::new();
        loop {
            self.progress.news().await;
            let mut news = Vec::new();
            for (key, name) in &self.names {
                let here = self.progress.here(name);
                if here > told.insert(name, here).unwrap_or_default() {
                    news.push(format!("{key}:{here}"));
                }
            }
            let telling = sqlx::query("SELECT pg_notify($1, news) FROM unnest($2::text[]) AS news")
                .bind(CHANNEL)
                .bind(news)
                .execute(&self.pool);
            if let Err(error) = telling.await {
                tracing::debug!(
                    error = &error as &dyn Error,
                    "other nodes cannot be told of progress"
                );
            }
            tokio::time::sleep(self.timing.tell_after).await;
        }
    }
}
