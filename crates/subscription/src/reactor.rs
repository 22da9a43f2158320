//! What a reactor is to the loop that feeds it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::codec::Fact;
use events::{Family, Position};
use sqlx::PgConnection;

use crate::projection::{ApplyError, Projection};

/// Does something outside because of events: wakes a phone, erases what has served its purpose.
///
/// Its checkpoint moves after the effects of a stretch, so that each takes place **at least once**: after a crash, or
/// when the lease went to another node, the stretch comes again. An effect must therefore bear repetition. A rebuild
/// cannot bring one about: it calls [`Projection::apply`], and a reactor has none.
#[async_trait]
pub trait Reactor: Send + Sync + 'static {
    /// Its name: what its checkpoint, lease, status and metrics are filed under.
    fn name(&self) -> &'static str;

    /// The families whose events it answers.
    fn families(&self) -> &'static [Family];

    /// Where it begins the first time that it ever runs.
    fn begins(&self) -> Begins;

    /// The most events that it is given at once. Between two portions the process can end.
    fn at_once(&self) -> usize {
        500
    }

    /// The least time from one stretch to the next (see [`Projection::pace`]).
    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    /// Brings about what `facts` ask for, in their order. They are of [`Self::families`] only.
    async fn react(&self, facts: &[&Fact]) -> Result<(), Trouble>;
}

/// Where a reactor begins the first time that it ever runs. From then on its checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// With the first event of the log: what was due before counts as well.
    AtTheStart,
    /// With the next event: nobody is to be told old news.
    Now,
}

/// An effect did not come about. The reactor stands before the event, visibly, and tries again, less and less often,
/// until it succeeds or the event is parked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the event at position {position} asks for did not come about: {what}")]
pub struct Trouble {
    /// The first event whose effect is missing. All before it have had theirs.
    pub position: Position,
    /// What went wrong; never a personal value.
    pub what: String,
}

impl Trouble {
    /// The effect of `fact` is missing because of `error`.
    pub fn at(fact: &Fact, error: &dyn std::error::Error) -> Self {
        let mut what = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            what = format!("{what}: {deeper}");
            cause = deeper.source();
        }
        Self {
            position: fact.position,
            what,
        }
    }
}

/// A reactor's place in the books that projections have: the same checkpoint, lease and status, and no rows.
pub(crate) struct Booked(pub(crate) Arc<dyn Reactor>);

#[async_trait]
impl Projection for Booked {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        1
    }

    fn families(&self) -> &'static [Family] {
        self.0.families()
    }

    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    fn pace(&self) -> Duration {
        self.0.pace()
    }

    async fn apply(&self, _: &mut PgConnection, _: &[&Fact]) -> Result<(), ApplyError> {
        Ok(())
    }
}
