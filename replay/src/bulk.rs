//! Folding stretches of the log into the tables of one read model, as many events at once as make sense.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::Position;
use events::codec::Fact;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::{Connection as _, PgConnection};
use subscription::{Projection, Reader, Shard, Stretch};

use crate::control::Gate;
use crate::error::ReplayError;
use crate::meter::Meter;
use crate::reading::{Needs, read_ahead};

/// How many events are folded and written at once. The larger, the more of them fold into one change of a row.
pub(crate) const AT_ONCE: usize = 20_000;

/// Which of the log's events are meant: those of a projection that were not parked, or a share of them.
#[derive(Clone)]
pub(crate) struct Selection {
    projection: Arc<dyn Projection>,
    parked: Arc<BTreeSet<Position>>,
    /// Which share, of how many.
    share: (u64, u64),
}

impl Selection {
    pub(crate) fn new(projection: Arc<dyn Projection>, parked: BTreeSet<Position>) -> Self {
        Self {
            projection,
            parked: Arc::new(parked),
            share: (0, 1),
        }
    }

    /// One of several shares that have no row in common.
    pub(crate) fn share(&self, one: u64, of: u64) -> Self {
        Self {
            share: (one, of),
            ..self.clone()
        }
    }

    /// The events of a stretch that are meant, up to a position.
    pub(crate) fn of<'a>(
        &self,
        stretch: &'a Stretch,
        to: Position,
    ) -> Result<impl Iterator<Item = &'a Arc<Fact>> + use<'a>, ReplayError> {
        let Self {
            projection, parked, ..
        } = self.clone();
        let families = projection.families();
        let wanted = move |position: Position| position <= to && !parked.contains(&position);
        let unreadable =
            |it: &&subscription::Unreadable| families.contains(&it.family) && wanted(it.position);
        if let Some(it) = stretch.unreadable.iter().find(unreadable) {
            return Err(self.refused(it.position, it.what.clone()));
        }
        let (one, of) = self.share;
        let ours = move |fact: &Fact| match projection.shard(&fact.stream) {
            Shard::Of(number) => number % of == one,
            Shard::All => true,
        };
        Ok(stretch.facts.iter().filter(move |fact| {
            families.contains(&fact.stream.family()) && wanted(fact.position) && ours(fact)
        }))
    }

    /// How many of the facts count as this share's: those of all shares count as the first one's.
    pub(crate) fn counted(&self, facts: &[&Fact]) -> u64 {
        let (one, _) = self.share;
        let counts =
            |fact: &&&Fact| one == 0 || matches!(self.projection.shard(&fact.stream), Shard::Of(_));
        facts.iter().filter(counts).count() as u64
    }

    /// Why an event could not be folded.
    pub(crate) fn refused(&self, position: Position, what: String) -> ReplayError {
        ReplayError::Refused {
            model: self.projection.name(),
            position,
            what,
        }
    }

    /// Applies facts; if they are refused, halves them until the one is found that cannot be taken.
    pub(crate) fn apply<'a>(
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

    /// Applies facts that are shared with others, and forgets them.
    pub(crate) async fn apply_all(
        &self,
        connection: &mut PgConnection,
        facts: &mut Vec<Arc<Fact>>,
    ) -> Result<(), ReplayError> {
        let taken = std::mem::take(facts);
        let facts: Vec<&Fact> = taken.iter().map(AsRef::as_ref).collect();
        if facts.is_empty() {
            return Ok(());
        }
        self.apply(connection, &facts).await
    }
}

/// Folds the log into one read model's tables.
pub(crate) struct Bulk {
    reader: Reader,
    selection: Selection,
    gate: Gate,
}

impl Bulk {
    pub(crate) fn new(reader: Reader, selection: Selection, gate: Gate) -> Self {
        Self {
            reader,
            selection,
            gate,
        }
    }

    /// Folds everything after `from` up to `to` into the tables that `connection` works on, in transactions of its own
    /// or, inside one of the caller's, in that; tells how many events there were.
    pub(crate) async fn fold(
        &self,
        connection: &mut PgConnection,
        from: Position,
        to: Position,
        meter: &mut Meter<'_>,
    ) -> Result<u64, ReplayError> {
        // Whole: who verifies finds out, too, whether the model needs more than it says.
        let needs = Needs::all_of(self.selection.projection.families());
        let mut stretches = read_ahead(&self.reader, needs, from, to, self.gate.clone());
        let mut waiting = Vec::new();
        let mut events = 0;
        while let Some(stretch) = stretches.recv().await {
            let stretch = stretch?;
            let before = waiting.len();
            waiting.extend(self.selection.of(&stretch, to)?.cloned());
            let new = (waiting.len() - before) as u64;
            events += new;
            if waiting.len() >= AT_ONCE {
                self.selection.apply_all(connection, &mut waiting).await?;
            }
            meter.reached(stretch.through.min(to), new);
        }
        self.selection.apply_all(connection, &mut waiting).await?;
        Ok(events)
    }
}
