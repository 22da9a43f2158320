//! Reads of streams that come at the same time go to Postgres together: a command reads two or three short tails, and a query of
//! its own for each of them costs more than everything else that the command does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::store::{ReadError, Recorded, Revision};
use events::stream::StreamId;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::limit_of;
use crate::rows::{event_columns, recorded, unreadable};

/// So many wait at the most before a second query goes out beside the one under way. What waits goes together: that costs
/// less than it delays.
const CROWD: usize = 32;

/// Queries under way at a time.
const AT_ONCE: usize = 2;

/// Streams that one query reads at the most.
const TOGETHER: usize = 128;

/// Reads streams. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    line: Mutex<Line>,
}

/// Those who wait, and how many tasks see to them.
#[derive(Debug, Default)]
struct Line {
    waiting: Vec<Request>,
    attendants: usize,
}

/// At most `limit` events of a stream from a revision on.
#[derive(Debug)]
struct Request {
    stream: StreamId,
    from: Revision,
    limit: usize,
    answer: oneshot::Sender<Result<Vec<Recorded>, ReadError>>,
}

impl Streams {
    pub(super) fn new(pool: PgPool) -> Self {
        Self(Arc::new(Shared {
            pool,
            line: Mutex::default(),
        }))
    }

    /// Everything that was committed before the call is seen.
    ///
    /// Tasks of their own ask the database, so that nobody's reading depends on whether another caller is still polled.
    pub(super) async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let (answer, answered) = oneshot::channel();
        self.line_up(Request {
            stream: stream.clone(),
            from,
            limit,
            answer,
        });
        answered
            .await
            .unwrap_or_else(|gone| Err(ReadError::Unavailable(gone.into())))
    }

    fn line_up(&self, request: Request) {
        let mut line = self.line();
        line.waiting.push(request);
        let crowded = line.waiting.len() > CROWD && line.attendants < AT_ONCE;
        if line.attendants == 0 || crowded {
            line.attendants += 1;
            let mut attendant = Attendant {
                streams: self.clone(),
                on_duty: true,
            };
            TaskTracker::new().spawn(async move {
                while let Some(requests) = attendant.next() {
                    attendant.streams.attend(requests).await;
                }
            });
        }
    }

    async fn attend(&self, requests: Vec<Request>) {
        if let Ok(rows) = self.query(&requests).await {
            return hand_out(requests, &rows);
        }
        // An error cannot be shared out. Each gets its own.
        for request in requests {
            match self.query(std::slice::from_ref(&request)).await {
                Ok(rows) => hand_out(vec![request], &rows),
                // Whoever does not wait any more need not know.
                Err(error) => drop(request.answer.send(Err(unreadable(error)))),
            }
        }
    }

    async fn query(&self, requests: &[Request]) -> Result<Vec<PgRow>, sqlx::Error> {
        let families: Vec<i16> = requests
            .iter()
            .map(|it| it.stream.family().code())
            .collect();
        let streams: Vec<&str> = requests.iter().map(|it| it.stream.key()).collect();
        let revisions: Vec<i64> = requests.iter().map(|it| it.from.to_i64()).collect();
        let limits: Vec<i64> = requests.iter().map(|it| limit_of(it.limit)).collect();
        sqlx::query(concat!(
            "SELECT ",
            event_columns!(),
            ", r.place
             FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
                  AS r(family, stream, revision, most, place)
             CROSS JOIN LATERAL (
                 SELECT * FROM log.events
                 WHERE family = r.family AND stream = r.stream AND revision >= r.revision
                 ORDER BY revision LIMIT r.most
             ) e
             ORDER BY r.place, e.revision"
        ))
        .bind(families)
        .bind(streams)
        .bind(revisions)
        .bind(limits)
        .fetch_all(&self.0.pool)
        .await
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing is half done in there, ever.
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to those who wait, until nobody does.
struct Attendant {
    streams: Streams,
    on_duty: bool,
}

impl Attendant {
    /// Whose turn it is. Whoever lines up after there is nobody finds that this one has left.
    fn next(&mut self) -> Option<Vec<Request>> {
        let mut line = self.streams.line();
        if line.waiting.is_empty() {
            line.attendants -= 1;
            self.on_duty = false;
            return None;
        }
        let count = line.waiting.len().min(TOGETHER);
        Some(line.waiting.drain(..count).collect())
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        if self.on_duty {
            self.streams.line().attendants -= 1; // it panicked
        }
    }
}

/// Gives each what it asked for. A row that cannot be read is the trouble of its own stream only.
fn hand_out(requests: Vec<Request>, rows: &[PgRow]) {
    let mut rows = rows.iter().peekable();
    for (place, request) in (1_i64..).zip(requests) {
        let own = std::iter::from_fn(|| rows.next_if(|row| row.try_get(9).ok() == Some(place)));
        let own: Vec<_> = own.collect();
        // An error means that nobody waits for it any more.
        let _ = request.answer.send(own.into_iter().map(recorded).collect());
    }
}
