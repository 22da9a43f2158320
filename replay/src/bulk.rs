//! Folding long stretches of the log: one task reads and decodes ahead, another folds and writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::codec::Fact;
use events::{Family, Position};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::{Connection as _, PgConnection};
use subscription::{FeedError, Projection, Reader, Stretch};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::error::ReplayError;
use crate::meter::Meter;

/// How many events are read, folded and written at once. The larger, the more of them fold into one change of a row.
const AT_ONCE: usize = 20_000;

/// How many stretches may wait to be folded.
const AHEAD: usize = 2;

/// Folds the log into one read model.
pub(crate) struct Bulk {
    reader: Reader,
    projection: Arc<dyn Projection>,
    parked: BTreeSet<Position>,
}

impl Bulk {
    /// Passes over the events that the projection was told to pass over.
    pub(crate) fn new(
        reader: Reader,
        projection: Arc<dyn Projection>,
        parked: BTreeSet<Position>,
    ) -> Self {
        Self {
            reader,
            projection,
            parked,
        }
    }

    /// Folds everything after `from` up to `to` into the tables that `connection` works on, in transactions of its own
    /// or, inside one of the caller's, in that; tells how many events there were.
    pub(crate) async fn fold(
        &self,
        connection: &mut PgConnection,
        from: Position,
        to: Position,
        meter: &mut Meter,
    ) -> Result<u64, ReplayError> {
        let mut stretches = self.read_ahead(from, to);
        let mut events = 0;
        while let Some(stretch) = stretches.recv().await {
            let stretch = stretch?;
            let facts = self.select(&stretch, to)?;
            self.apply(connection, &facts).await?;
            events += facts.len() as u64;
            meter.reached(stretch.through.min(to));
        }
        Ok(events)
    }

    /// The stretches from `from` to `to`, the last of which may reach further. Reading ends when nobody waits for them.
    fn read_ahead(
        &self,
        from: Position,
        to: Position,
    ) -> mpsc::Receiver<Result<Stretch, FeedError>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let reader = self.reader.clone();
        let families: &'static [Family] = self.projection.families();
        TaskTracker::new().spawn(async move {
            let mut position = from;
            while position < to {
                let stretch = reader.read(position, families, AT_ONCE).await;
                let through = stretch.as_ref().map_or(position, |stretch| stretch.through);
                if sender.send(stretch).await.is_err() {
                    return;
                }
                if through <= position {
                    return;
                }
                position = through;
            }
        });
        receiver
    }

    /// What has to be applied of a stretch.
    fn select<'a>(&self, stretch: &'a Stretch, to: Position) -> Result<Vec<&'a Fact>, ReplayError> {
        let wanted = |position: Position| position <= to && !self.parked.contains(&position);
        if let Some(it) = stretch.unreadable.iter().find(|it| wanted(it.position)) {
            return Err(self.refused(it.position, it.what.clone()));
        }
        Ok(stretch
            .facts
            .iter()
            .map(AsRef::as_ref)
            .filter(|fact: &&Fact| wanted(fact.position))
            .collect())
    }

    /// Applies facts; if they are refused, halves them until the one is found that cannot be taken.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        facts: &'a [&'a Fact],
    ) -> BoxFuture<'a, Result<(), ReplayError>> {
        async move {
            let mut transaction = connection.begin().await?;
            let Err(error) = self.projection.apply(&mut transaction, facts).await else {
                return Ok(transaction.commit().await?);
            };
            transaction.rollback().await?;
            let what = error.refusal()?;
            match facts {
                [] => Ok(()),
                [fact] => Err(self.refused(fact.position, what)),
                [.., _] => {
                    let (first, second) = facts.split_at(facts.len() / 2);
                    self.apply(connection, first).await?;
                    self.apply(connection, second).await
                }
            }
        }
        .boxed()
    }

    fn refused(&self, position: Position, what: String) -> ReplayError {
        ReplayError::Refused {
            model: self.projection.name(),
            position,
            what,
        }
    }
}
