//! Places where clients meet: rows of an unlogged table, and a bell for those who wait on this node.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::meeting::{Meetings, MeetingsUnavailable, Place};
use sqlx::postgres::PgListener;
use sqlx::{Acquire as _, PgPool};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// What nodes tell each other when something was brought somewhere: the place, in hex.
const CHANNEL: &str = "live_meetings";

/// Bounds how late somebody finds what was brought while no notification got through.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Between two attempts to listen.
const RESPITE: Duration = Duration::from_secs(1);

/// The places, as this node sees them. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct MeetingPlaces {
    database: PgPool,
    bells: Arc<Bells>,
    lifeline: Arc<Lifeline>,
}

/// By which the others see at once that this node does not live any more.
#[derive(Debug)]
struct Lifeline {
    number: i64,
    held: AtomicBool,
}

/// A bell for each place where somebody waits on this node.
#[derive(Debug, Default)]
struct Bells(Mutex<HashMap<Place, (usize, Arc<Notify>)>>);

/// Somebody who waits, for as long as this lives.
struct Waiting {
    place: Place,
    bell: Arc<Notify>,
    bells: Arc<Bells>,
}

impl Bells {
    fn all(&self) -> MutexGuard<'_, HashMap<Place, (usize, Arc<Notify>)>> {
        self.0
            .lock()
            .expect("nothing panics while it holds the bells")
    }

    fn ring(&self, place: &str) {
        let mut hash = [0; 32];
        if hex::decode_to_slice(place, &mut hash).is_ok()
            && let Some((_, bell)) = self.all().get(&Place::from_bytes(hash))
        {
            bell.notify_waiters();
        }
    }

    fn ring_all(&self) {
        self.all()
            .values()
            .for_each(|(_, bell)| bell.notify_waiters());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut bells = self.bells.all();
        if let Some((waiting, _)) = bells.get_mut(&self.place) {
            *waiting -= 1;
            if *waiting == 0 {
                bells.remove(&self.place);
            }
        }
    }
}

impl Lifeline {
    fn if_held(&self) -> Option<i64> {
        self.held.load(Ordering::Relaxed).then_some(self.number)
    }
}

impl MeetingPlaces {
    /// The places in this database, as seen by a node with this number, which no other has: drawn anew at each start.
    /// [`Self::run`] has to run beside them.
    pub fn new(database: PgPool, number: i64) -> Self {
        Self {
            database,
            bells: Arc::default(),
            lifeline: Arc::new(Lifeline {
                number,
                held: AtomicBool::new(false),
            }),
        }
    }

    /// Listens for what is brought on other nodes, and on this one, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let listen = async {
            loop {
                if let Err(error) = self.listen().await {
                    self.lifeline.held.store(false, Ordering::Relaxed);
                    debug!(
                        error = &error as &dyn std::error::Error,
                        "what is brought to meetings is not heard; trying again"
                    );
                }
                sleep(RESPITE).await;
            }
        };
        shutdown.run_until_cancelled(listen).await;
    }

    async fn listen(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.database).await?;
        listener.listen(CHANNEL).await?;
        loop {
            // The connection is new, or was lost and is back: something may have been missed.
            locks::hold_lifeline(listener.acquire().await?, self.lifeline.number).await?;
            self.lifeline.held.store(true, Ordering::Relaxed);
            self.bells.ring_all();
            while let Some(notification) = listener.try_recv().await? {
                self.bells.ring(notification.payload());
            }
        }
    }

    fn wait(&self, place: Place) -> Waiting {
        let mut bells = self.bells.all();
        let (waiting, bell) = bells.entry(place).or_default();
        *waiting += 1;
        Waiting {
            place,
            bell: Arc::clone(bell),
            bells: Arc::clone(&self.bells),
        }
    }

    /// Looks at a place whenever something may have happened there, until that is what is wanted.
    async fn wait_for<T>(
        &self,
        place: Place,
        wanted: impl Fn(Option<Bytes>) -> Option<T> + Send,
    ) -> Result<T, MeetingsUnavailable> {
        let waiting = self.wait(place);
        loop {
            let mut rung = pin!(waiting.bell.notified());
            rung.as_mut().enable(); // before looking, so that nothing falls in between
            if let Some(found) = wanted(self.look(place).await?) {
                return Ok(found);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, rung).await;
        }
    }

    async fn look(&self, place: Place) -> Result<Option<Bytes>, MeetingsUnavailable> {
        let thing: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT thing FROM live.meetings WHERE place = $1 AND until > now() AND thing IS NOT NULL",
        )
        .bind(place.as_bytes())
        .fetch_optional(&self.database)
        .await
        .map_err(unavailable)?;
        Ok(thing.map(Bytes::from))
    }
}

fn unavailable(error: sqlx::Error) -> MeetingsUnavailable {
    MeetingsUnavailable(Box::new(error))
}

#[async_trait]
impl Meetings for MeetingPlaces {
    async fn open(&self, place: Place, keep: Duration) -> Result<(), MeetingsUnavailable> {
        sqlx::query(
            "WITH gone AS (DELETE FROM live.meetings WHERE until < now() AND place <> $1)
             INSERT INTO live.meetings AS it (place, until, lifeline)
             VALUES ($1, now() + make_interval(secs => $2), $3)
             ON CONFLICT (place) DO UPDATE SET until = excluded.until, thing = NULL, lifeline = excluded.lifeline
             WHERE it.until < now()",
        )
        .bind(place.as_bytes())
        .bind(keep.as_secs_f64())
        .bind(self.lifeline.if_held())
        .execute(&self.database)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    async fn bring(&self, place: Place, thing: Bytes) -> Result<bool, MeetingsUnavailable> {
        // Whoever opened the place held their lifeline before, and who brings something learned of the place after that.
        let living = locks::lifelines(&self.database)
            .await
            .map_err(unavailable)?;
        let told: i64 = sqlx::query_scalar(
            "WITH brought AS (
                 UPDATE live.meetings SET thing = $2
                 WHERE place = $1 AND thing IS NULL AND until > now()
                   AND (lifeline IS NULL OR lifeline = ANY($4))
                 RETURNING place
             )
             SELECT count(pg_notify($3, encode(place, 'hex'))) FROM brought",
        )
        .bind(place.as_bytes())
        .bind(&*thing)
        .bind(CHANNEL)
        .bind(living)
        .fetch_one(&self.database)
        .await
        .map_err(unavailable)?;
        Ok(told > 0)
    }

    async fn leave(
        &self,
        place: Place,
        thing: Bytes,
        keep: Duration,
    ) -> Result<(), MeetingsUnavailable> {
        sqlx::query(
            "WITH gone AS (
                 DELETE FROM live.meetings WHERE until < now() AND place <> $1
             ), left_there AS (
                 INSERT INTO live.meetings (place, until, thing)
                 VALUES ($1, now() + make_interval(secs => $3), $2)
                 ON CONFLICT (place) DO UPDATE SET until = excluded.until, thing = excluded.thing
                 RETURNING place
             )
             SELECT count(pg_notify($4, encode(place, 'hex'))) FROM left_there",
        )
        .bind(place.as_bytes())
        .bind(&*thing)
        .bind(keep.as_secs_f64())
        .bind(CHANNEL)
        .execute(&self.database)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    async fn find(&self, place: Place) -> Result<Bytes, MeetingsUnavailable> {
        self.wait_for(place, |thing| thing).await
    }

    async fn replaced(&self, place: Place, thing: &[u8]) -> Result<(), MeetingsUnavailable> {
        let differs = |there: Option<Bytes>| (there.as_deref() != Some(thing)).then_some(());
        self.wait_for(place, differs).await
    }

    async fn close(&self, place: Place) -> Result<(), MeetingsUnavailable> {
        sqlx::query("DELETE FROM live.meetings WHERE place = $1")
            .bind(place.as_bytes())
            .execute(&self.database)
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}
