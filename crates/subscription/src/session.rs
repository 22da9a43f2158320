//! One worker's connection: the lease it holds, and the transactions that move rows and checkpoint together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::Position;
use events::codec::Fact;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use locks::Task;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use crate::bookkeeping;
use crate::decode::FeedError;
use crate::projection::{ApplyError, Projection};
use crate::reactor::{Reactor, Trouble};

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interruption {
    /// An event cannot be taken. Nothing will help but a new version, or parking it.
    #[error("it cannot take the event at position {position}: {what}")]
    Poisoned { position: Position, what: String },
    /// An effect did not come about. Try again, and let it be seen.
    #[error(transparent)]
    Troubled(#[from] Trouble),
    /// The process ends. What was not taken stays for whoever comes next.
    #[error("the process ends")]
    Ending,
    /// Somebody else moved the checkpoint: a rebuild took over. Go on from there.
    #[error("its checkpoint was moved by somebody else")]
    Moved,
    /// The connection is gone or Postgres cannot serve. Try again.
    #[error("the database failed it")]
    Database(#[from] sqlx::Error),
    /// The log cannot be read. Try again.
    #[error("the log failed it")]
    Log(#[from] FeedError),
}

/// The live copies of the tables.
const LIVE_SCHEMA: &str = "read_models";

/// Postgres cuts longer names.
const LONGEST_NAME: usize = 63;

/// A connection that may come to hold a projection's lease.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    projection: Arc<dyn Projection>,
    /// Whose effects take the place of rows.
    reactor: Option<Arc<dyn Reactor>>,
    /// What the row says.
    pub(crate) checkpoint: Position,
    /// Events to pass over.
    pub(crate) parked: BTreeSet<Position>,
}

impl Session {
    /// Connects. Commits wait for the disk, although rows could be derived again: after a crash of Postgres, nobody may be
    /// told that an account does not exist that was shown before.
    pub(crate) async fn open(
        database: &PgConnectOptions,
        node: &str,
        projection: Arc<dyn Projection>,
        reactor: Option<Arc<dyn Reactor>>,
    ) -> Result<Self, sqlx::Error> {
        let name: String = node.chars().take(LONGEST_NAME).collect();
        let options = database
            .clone()
            .application_name(&name)
            // Rows come and go so fast that no statistics tell how many there are, and all are found by their keys.
            .options([("search_path", LIVE_SCHEMA), ("enable_seqscan", "off")]);
        let connection = PgConnection::connect_with(&options).await?;
        Ok(Self {
            connection,
            projection,
            reactor,
            checkpoint: Position::START,
            parked: BTreeSet::new(),
        })
    }

    /// The lock that lets one process at a time write the projection.
    fn lease(&self) -> Task<'static> {
        Task::Follow {
            name: self.projection.name(),
            version: self.projection.version(),
        }
    }

    /// Takes the lease, if nobody has it.
    pub(crate) async fn take_lease(&mut self) -> Result<bool, sqlx::Error> {
        let lease = self.lease();
        locks::try_take(&mut self.connection, lease).await
    }

    /// Ends the session that has the lease, if it shows no sign of life; tells whether it did.
    pub(crate) async fn end_stalled(&mut self, stalled: Duration) -> Result<bool, sqlx::Error> {
        let lease = self.lease();
        locks::end_stalled(&mut self.connection, lease, stalled).await
    }

    /// Reads again where the projection stands and what it passes over.
    pub(crate) async fn reload(&mut self) -> Result<(), sqlx::Error> {
        let projection = &*self.projection;
        self.checkpoint = bookkeeping::checkpoint(&mut self.connection, projection).await?;
        self.parked = bookkeeping::parked(&mut self.connection, projection.name()).await?;
        Ok(())
    }

    /// Makes sure that a reactor has a checkpoint: at `position`, if it never ran before.
    pub(crate) async fn begin(&mut self, position: Position) -> Result<(), sqlx::Error> {
        bookkeeping::begin(&mut self.connection, &*self.projection, position).await
    }

    /// Says that the worker is alive, and what stopped it; tells how many events it is to pass over.
    pub(crate) async fn report(
        &mut self,
        node: &str,
        stopped: Option<(Position, &str)>,
    ) -> Result<usize, sqlx::Error> {
        bookkeeping::report(&mut self.connection, &*self.projection, node, stopped).await
    }

    /// Closes the connection, which gives the lease to whoever comes next.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }

    /// Applies a stretch that ends at `through`. If Postgres or the projection refuses it, halves it until the one
    /// event is found that cannot be taken; what comes before that event is applied then.
    pub(crate) fn advance<'a>(
        &'a mut self,
        facts: &'a [&'a Fact],
        through: Position,
    ) -> BoxFuture<'a, Result<(), Interruption>> {
        async move {
            let refusal = match self.commit(facts, through).await {
                Ok(()) => return Ok(()),
                Err(Failure::Interrupted(interruption)) => return Err(interruption),
                Err(Failure::Refused(what)) => what,
            };
            match facts {
                [] => Err(
                    sqlx::Error::Protocol(format!("an empty batch was refused: {refusal}")).into(),
                ),
                [fact] => Err(Interruption::Poisoned {
                    position: fact.position,
                    what: refusal,
                }),
                [.., _] => {
                    let (first, second) = facts.split_at(facts.len() / 2);
                    let middle = first.last().map_or(self.checkpoint, |fact| fact.position);
                    self.advance(first, middle).await?;
                    self.advance(second, through).await
                }
            }
        }
        .boxed()
    }

    /// Brings about the effects of a stretch that ends at `through`, then moves the checkpoint. If the reactor panics, the
    /// stretch is halved until the one event is found over which it does; effects of the first half may come about twice.
    pub(crate) fn react<'a>(
        &'a mut self,
        reactor: &'a dyn Reactor,
        facts: &'a [&'a Fact],
        through: Position,
    ) -> BoxFuture<'a, Result<(), Interruption>> {
        async move {
            let reacted = std::panic::AssertUnwindSafe(reactor.react(facts)).catch_unwind();
            let trouble = match (reacted.await, facts) {
                (Ok(Ok(())), _) | (_, []) => return self.move_on(through).await,
                (Ok(Err(trouble)), _) => trouble,
                (Err(panic), [fact]) => Trouble {
                    position: fact.position,
                    what: panicked("the reactor", &*panic),
                },
                (Err(_), [.., _]) => {
                    let (first, second) = facts.split_at(facts.len() / 2);
                    let middle = first.last().map_or(self.checkpoint, |fact| fact.position);
                    self.react(reactor, first, middle).await?;
                    return self.react(reactor, second, through).await;
                }
            };
            // What came before it has had its effects, and need not have them again. The number before its position need
            // not be one.
            let before = facts.iter().map(|fact| fact.position);
            let before = before.filter(|position| *position < trouble.position).max();
            self.move_on(before.unwrap_or(self.checkpoint)).await?;
            Err(trouble.into())
        }
        .boxed()
    }

    async fn move_on(&mut self, through: Position) -> Result<(), Interruption> {
        if through <= self.checkpoint {
            return Ok(());
        }
        match self.commit(&[], through).await {
            Ok(()) => Ok(()),
            Err(Failure::Interrupted(interruption)) => Err(interruption),
            Err(Failure::Refused(what)) => Err(sqlx::Error::Protocol(what).into()),
        }
    }

    /// Whose effects take the place of rows.
    pub(crate) fn reactor(&self) -> Option<Arc<dyn Reactor>> {
        self.reactor.clone()
    }

    async fn commit(&mut self, facts: &[&Fact], through: Position) -> Result<(), Failure> {
        let projection = &*self.projection;
        let mut transaction = self.connection.begin().await?;
        // First of all: its row lock decides between this worker and a rebuild before any table is touched.
        if !bookkeeping::advance(&mut transaction, projection, self.checkpoint, through).await? {
            transaction.rollback().await?;
            return Err(Failure::Interrupted(Interruption::Moved));
        }
        if !facts.is_empty() {
            let applying = projection.apply(&mut transaction, facts);
            let applied = std::panic::AssertUnwindSafe(applying).catch_unwind().await;
            if let Err(refusal) = applied
                .map_err(|panic| Failure::panicked(&*panic))
                .and_then(|it| Ok(it?))
            {
                transaction.rollback().await?;
                return Err(refusal);
            }
        }
        transaction.commit().await?;
        self.checkpoint = through;
        Ok(())
    }
}

/// Why a transaction did not come about.
enum Failure {
    /// The events are at fault.
    Refused(String),
    /// They are not.
    Interrupted(Interruption),
}

impl Failure {
    /// A panic is a fault in the fold that one of the events brought to light.
    fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        Self::Refused(panicked("its fold", panic))
    }
}

fn panicked(who: &str, panic: &(dyn std::any::Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("{who} panicked: {}", message.unwrap_or_default())
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error.refusal() {
            Ok(refusal) => Self::Refused(refusal),
            Err(error) => Self::Interrupted(error.into()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        ApplyError::from(error).into()
    }
}
