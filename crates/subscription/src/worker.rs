//! One projection's worker: waits for the lease, then follows the log, through every failure.

use std::sync::Arc;
use std::time::Duration;

use events::Position;
use events::codec::Fact;
use events::ports::Clock;
use sqlx::postgres::PgConnectOptions;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::component::Timing;
use crate::decode::FeedError;
use crate::feed::{Feed, Portion, Tail};
use crate::lease::{Held, HeldLease};
use crate::measures::Measures;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::reactor::{Begins, Booked, Reactor, Trouble};
use crate::session::{Interruption, Session};

/// What every worker of a process shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) database: PgConnectOptions,
    pub(crate) node: Arc<str>,
    pub(crate) feed: Feed,
    pub(crate) progress: Progress,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timing: Timing,
    pub(crate) held: Held,
}

/// Works on one projection whenever nobody else does.
pub(crate) struct Worker {
    shared: Shared,
    projection: Arc<dyn Projection>,
    reactor: Option<Arc<dyn Reactor>>,
    measures: Measures,
}

impl Worker {
    pub(crate) fn new(shared: Shared, projection: Arc<dyn Projection>) -> Self {
        let measures = Measures::of(projection.name());
        Self {
            shared,
            projection,
            reactor: None,
            measures,
        }
    }

    /// A worker for effects instead of rows.
    pub(crate) fn reacting(shared: Shared, reactor: Arc<dyn Reactor>) -> Self {
        let booked = Booked(Arc::clone(&reactor));
        Self {
            reactor: Some(reactor),
            ..Self::new(shared, Arc::new(booked))
        }
    }

    /// Works until `shutdown`. What is under way then is finished.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let model = self.projection.name();
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            if let Err(interruption) = self.work(&shutdown, &mut backoff).await {
                tracing::warn!(
                    model,
                    error = &interruption as &dyn std::error::Error,
                    "the projection was interrupted; trying again"
                );
                shutdown.run_until_cancelled(backoff.wait()).await;
            }
            self.measures.let_go();
        }
    }

    /// Waits for the lease and works as long as the connection holds.
    async fn work(
        &self,
        shutdown: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<(), Interruption> {
        let Shared { database, node, .. } = &self.shared;
        let mut session = Session::open(
            database,
            node,
            self.projection.clone(),
            self.reactor.clone(),
        )
        .await?;
        let leased = shutdown.run_until_cancelled(self.lease(&mut session)).await;
        let Some(held) = leased.transpose()? else {
            return Ok(session.close().await?);
        };
        tracing::info!(
            model = self.projection.name(),
            node = &**node,
            "lease taken"
        );
        self.measures.leased();
        backoff.reset();
        let worked = self.follow(&mut session, shutdown).await;
        drop(held);
        match worked {
            Ok(()) => Ok(session.close().await?),
            Err(interruption) => {
                // The server may be gone: the socket is closed without a farewell, and the lease with it.
                drop(session);
                Err(interruption)
            }
        }
    }

    /// Asks for the lease until it is given.
    async fn lease(&self, session: &mut Session) -> Result<HeldLease, Interruption> {
        let Shared { held, timing, .. } = &self.shared;
        loop {
            let turn = held.turn(timing.courtesy).await;
            if session.take_lease().await? {
                return Ok(held.one_more());
            }
            drop(turn);
            if session.end_stalled(timing.stalled).await? {
                let model = self.projection.name();
                tracing::warn!(
                    model,
                    "the holder of the lease shows no sign of life; its session was ended"
                );
            }
            tokio::time::sleep(timing.retry).await;
        }
    }

    /// Follows the log from the checkpoint on, until `shutdown`.
    async fn follow(
        &self,
        session: &mut Session,
        shutdown: &CancellationToken,
    ) -> Result<(), Interruption> {
        self.begin(session).await?;
        self.reload(session).await?;
        let mut troubles = Backoff::default();
        let mut tail = self
            .shared
            .feed
            .tail(self.projection.families(), session.checkpoint);
        let mut heartbeat = tokio::time::interval(self.shared.timing.heartbeat);
        let mut saved = Instant::now();
        let pace = self.projection.pace();
        let mut next = saved;
        loop {
            let unsaved = tail.position() > session.checkpoint;
            let portion = async {
                tokio::time::sleep_until(next).await;
                tail.next().await
            };
            tokio::select! {
                () = shutdown.cancelled() => return Self::save(session, &tail).await,
                portion = portion => {
                    next = Instant::now() + pace;
                    let taken = self.take(session, &portion?, shutdown).await;
                    if !self.recover(session, &mut tail, shutdown, &mut troubles, taken).await? {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(saved + self.shared.timing.save_after), if unsaved => {
                    let taken = Self::save(session, &tail).await;
                    saved = Instant::now();
                    if !self.recover(session, &mut tail, shutdown, &mut troubles, taken).await? {
                        return Ok(());
                    }
                }
                _ = heartbeat.tick() => {
                    // What troubles it is reported as often as it tries.
                    if !troubles.is_waiting() {
                        // Events may have been parked that lie behind it: that shows, although it does not concern it.
                        self.measures.parked(session.report(&self.shared.node, None).await?);
                    }
                    self.measures.heartbeat(self.shared.clock.now());
                }
            }
        }
    }

    /// Applies what came, up to an event that nobody can read.
    async fn take(
        &self,
        session: &mut Session,
        portion: &Portion,
        shutdown: &CancellationToken,
    ) -> Result<(), Interruption> {
        let unreadable = portion
            .unreadable()
            .find(|it| !session.parked.contains(&it.position));
        let end = unreadable.map_or(portion.through, |it| portion.last_before(it.position));
        let parked = session.parked.clone();
        let facts: Vec<&Fact> = portion
            .facts()
            .map(AsRef::as_ref)
            .filter(|fact| fact.position <= end && !parked.contains(&fact.position))
            .collect();
        if let Some(first) = facts.first() {
            self.measures.due(first.metadata.at);
            match session.reactor() {
                None => session.advance(&facts, end).await?,
                Some(reactor) => react(session, &*reactor, &facts, end, shutdown).await?,
            }
            let oldest = facts.iter().map(|fact| fact.metadata.at).min();
            let delay = oldest.map_or(Duration::ZERO, |at| self.shared.clock.now().since(at));
            self.measures.batch(facts.len(), delay);
        }
        // Where nothing concerns this projection, being there is enough; the checkpoint is saved every now and then.
        if let Some(last) = facts.last() {
            self.measures.applied(last.metadata.at);
        }
        self.progressed(end);
        match unreadable {
            None => Ok(()),
            Some(it) => Err(Interruption::Poisoned {
                position: it.position,
                what: it.what.clone(),
            }),
        }
    }

    /// Sees to what kept a stretch from being applied, if it can be seen to here; tells whether to go on.
    async fn recover(
        &self,
        session: &mut Session,
        tail: &mut Tail,
        shutdown: &CancellationToken,
        troubles: &mut Backoff,
        taken: Result<(), Interruption>,
    ) -> Result<bool, Interruption> {
        match taken {
            Ok(()) => {
                self.untroubled(session, troubles).await?;
                return Ok(true);
            }
            Err(Interruption::Ending) => return Ok(false),
            Err(Interruption::Troubled(trouble)) => {
                self.troubled(session, &trouble).await?;
                let waited = shutdown.run_until_cancelled(troubles.wait()).await;
                if waited.is_none() {
                    return Ok(false);
                }
                session.reload().await?;
            }
            Err(Interruption::Poisoned { position, what }) => {
                if !self.stand(session, shutdown, position, &what).await? {
                    return Ok(false);
                }
            }
            Err(Interruption::Moved) => self.reload(session).await?,
            Err(interruption) => return Err(interruption),
        }
        tail.seek(session.checkpoint);
        Ok(true)
    }

    /// Stands before an event that cannot be taken until it is parked, or a rebuild has moved the checkpoint; tells
    /// whether to go on.
    async fn stand(
        &self,
        session: &mut Session,
        shutdown: &CancellationToken,
        position: Position,
        what: &str,
    ) -> Result<bool, Interruption> {
        let model = self.projection.name();
        tracing::error!(model, %position, what, "the projection is stopped: it cannot take an event");
        self.measures.stopped(true);
        let stood_at = session.checkpoint;
        loop {
            session
                .report(&self.shared.node, Some((position, what)))
                .await?;
            self.measures.heartbeat(self.shared.clock.now());
            let waited = tokio::time::sleep(self.shared.timing.retry);
            if shutdown.run_until_cancelled(waited).await.is_none() {
                return Ok(false);
            }
            self.reload(session).await?;
            if session.parked.contains(&position) || session.checkpoint != stood_at {
                tracing::info!(model, %position, "the projection goes on");
                session.report(&self.shared.node, None).await?;
                return Ok(true);
            }
            self.measures.stopped(true);
        }
    }

    /// Gives a reactor that never ran before the place where it begins.
    async fn begin(&self, session: &mut Session) -> Result<(), Interruption> {
        let position = match self.reactor.as_ref().map(|reactor| reactor.begins()) {
            None => return Ok(()),
            Some(Begins::AtTheStart) => Position::START,
            Some(Begins::Now) => self.shared.feed.head().await.map_err(FeedError::from)?,
        };
        Ok(session.begin(position).await?)
    }

    /// Lets it be seen that an effect did not come about.
    async fn troubled(&self, session: &mut Session, trouble: &Trouble) -> Result<(), Interruption> {
        let Trouble { position, what } = trouble;
        tracing::error!(
            reactor = self.projection.name(),
            %position,
            what,
            "an effect did not come about; trying again"
        );
        self.measures.stopped(true);
        self.progressed(session.checkpoint);
        session
            .report(&self.shared.node, Some((*position, what)))
            .await?;
        Ok(())
    }

    /// Takes back that an effect did not come about.
    async fn untroubled(
        &self,
        session: &mut Session,
        troubles: &mut Backoff,
    ) -> Result<(), Interruption> {
        if troubles.is_waiting() {
            troubles.reset();
            self.measures.stopped(false);
            session.report(&self.shared.node, None).await?;
        }
        Ok(())
    }

    async fn reload(&self, session: &mut Session) -> Result<(), Interruption> {
        session.reload().await?;
        self.measures.stopped(false);
        self.measures.parked(session.parked.len());
        self.progressed(session.checkpoint);
        Ok(())
    }

    /// Saves the checkpoint where nothing concerned the projection.
    async fn save(session: &mut Session, tail: &Tail) -> Result<(), Interruption> {
        if tail.position() > session.checkpoint {
            session.advance(&[], tail.position()).await?;
        }
        Ok(())
    }

    fn progressed(&self, position: Position) {
        let Shared {
            progress,
            feed,
            clock,
            ..
        } = &self.shared;
        progress.advance_here(self.projection.name(), position);
        let behind = feed.events_between(position, feed.seen());
        self.measures.position(position, behind, clock.now());
    }
}

/// Brings about the effects of a stretch, a portion at a time, unless the process ends in between.
async fn react(
    session: &mut Session,
    reactor: &dyn Reactor,
    facts: &[&Fact],
    end: Position,
    shutdown: &CancellationToken,
) -> Result<(), Interruption> {
    let mut portions = facts.chunks(reactor.at_once().max(1)).peekable();
    while let Some(portion) = portions.next() {
        if shutdown.is_cancelled() {
            return Err(Interruption::Ending);
        }
        let last = portion.last().map_or(end, |fact| fact.position);
        let through = if portions.peek().is_none() { end } else { last };
        session.react(reactor, portion, through).await?;
    }
    Ok(())
}
