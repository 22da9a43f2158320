//! Following the log, over every break of the connection; for a long stretch of it, too, since here the server filters.
//!
//! A task owns the client's subscription and passes on what it gives: its `next` loses the subscription if it is not
//! awaited to its end, so it is never put beside a timeout. The client's own retrying is not used, since it forgets
//! checkpoints.

use std::sync::Arc;
use std::time::Duration;

use events::{Batch, Family, Position, ReadError, Recorded};
use eventstore::{
    RecordedEvent, SubscribeToAllOptions, Subscription, SubscriptionEvent, SubscriptionFilter,
};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cluster::{CallError, Cluster, Link};
use crate::envelope::{position, to_recorded};
use crate::{Error, Options, read};

/// How many events one batch holds at the most, and how many wait for a slow reader.
const BATCH: usize = 1_000;

/// How many events the server looks at between two checkpoints, while it catches up.
const CATCH_UP_WINDOW: u32 = 1_000;

/// The same afterwards: each event that the filter skips moves the checkpoint. A follower that waits for a position
/// would wait for the end of the window otherwise.
const LIVE_WINDOW: u32 = 1;

enum Step {
    Event(Recorded),
    /// Everything up to here was looked at.
    Checkpoint(Position),
}

/// Everything of `families` after `after`.
pub(crate) fn follow(
    cluster: &Arc<Cluster>,
    after: Position,
    families: &[Family],
) -> BoxStream<'static, Result<Batch, ReadError>> {
    let (steps, receiver) = mpsc::channel(BATCH);
    let follower = Follower {
        cluster: cluster.clone(),
        families: families.to_vec(),
        through: after,
        steps,
    };
    cluster.tasks().spawn(follower.run());
    let batches = Batches {
        receiver,
        through: after,
        failure: None,
    };
    stream::unfold(batches, async |mut batches| {
        let batch = batches.next().await?;
        Some((batch, batches))
    })
    .boxed()
}

/// Everything of `families` after `after` up to `through`, in stretches of at most `limit` events. Unlike a follower it does not
/// wait for ever for a server that is away: each stretch has a deadline.
pub(crate) fn scan(
    cluster: &Arc<Cluster>,
    after: Position,
    through: Position,
    families: &[Family],
    limit: usize,
) -> BoxStream<'static, Result<Batch, ReadError>> {
    if after >= through {
        return stream::empty().boxed();
    }
    let deadline = cluster.options().deadline;
    let following = follow(cluster, after, families);
    stream::try_unfold(
        (following, after),
        move |(mut following, reached)| async move {
            if reached >= through {
                return Ok(None);
            }
            let mut batch = match timeout(deadline, following.next()).await {
                Ok(Some(batch)) => batch?,
                Ok(None) => return Err(Error::Other("the subscription ended".to_owned()).into()),
                Err(_) => return Err(ReadError::from(Error::Deadline { after: deadline })),
            };
            if batch.through > through {
                batch.events.retain(|event| event.position <= through);
                batch.through = through;
            }
            let reached = batch.through;
            let parts = parts(batch, limit).into_iter().map(Ok);
            Ok(Some((stream::iter(parts), (following, reached))))
        },
    )
    .try_flatten()
    .boxed()
}

/// The batch, in parts of at most `limit` events.
fn parts(batch: Batch, limit: usize) -> Vec<Batch> {
    let mut parts: Vec<_> = batch
        .events
        .chunks(limit.max(1))
        .map(|events| Batch {
            events: events.to_vec(),
            through: events.last().map_or(batch.through, |last| last.position),
        })
        .collect();
    match parts.last_mut() {
        Some(last) => last.through = batch.through,
        None => parts.push(batch),
    }
    parts
}

/// Gathers what is waiting.
struct Batches {
    receiver: mpsc::Receiver<Result<Step, ReadError>>,
    through: Position,
    failure: Option<ReadError>,
}

impl Batches {
    async fn next(&mut self) -> Option<Result<Batch, ReadError>> {
        let mut steps = Vec::new();
        while self.failure.is_none() {
            if self.receiver.recv_many(&mut steps, BATCH).await == 0 {
                return None;
            }
            let mut events = Vec::new();
            let before = self.through;
            for step in steps.drain(..) {
                match step {
                    Ok(Step::Event(event)) => {
                        self.through = event.position;
                        events.push(event);
                    }
                    Ok(Step::Checkpoint(position)) => self.through = position,
                    // The last step of all: told after what came before it.
                    Err(error) => self.failure = Some(error),
                }
            }
            if self.through > before {
                return Some(Ok(Batch {
                    events,
                    through: self.through,
                }));
            }
        }
        self.failure.take().map(|failure| {
            self.receiver.close();
            Err(failure)
        })
    }
}

/// Reads the log for one stream of batches, until that is dropped.
struct Follower {
    cluster: Arc<Cluster>,
    families: Vec<Family>,
    /// Everything up to here was passed on.
    through: Position,
    steps: mpsc::Sender<Result<Step, ReadError>>,
}

/// Why a subscription came to its end.
enum End {
    /// Nobody listens any more.
    Dropped,
    /// It has caught up, and goes on with closer checkpoints.
    CaughtUp,
    /// Its connection broke. `true` if it had given anything.
    Broken(Error, bool),
    /// It cannot go on.
    Failed(ReadError),
}

impl Follower {
    async fn run(mut self) {
        let Options {
            first_pause,
            longest_pause,
            ..
        } = *self.cluster.options();
        let mut window = CATCH_UP_WINDOW;
        let mut pause = first_pause;
        loop {
            match self.subscribe(window).await {
                End::Dropped => return,
                End::CaughtUp => window = LIVE_WINDOW,
                End::Failed(error) => {
                    // If nobody listens, nobody needs to know.
                    drop(self.steps.send(Err(error)).await);
                    return;
                }
                End::Broken(error, gave) => {
                    pause = if gave { first_pause } else { pause };
                    tracing::warn!(%error, through = %self.through, ?pause, "following again");
                    if !self.wait(pause).await {
                        return;
                    }
                    window = CATCH_UP_WINDOW;
                    pause = longest_pause.min(pause * 2);
                }
            }
        }
    }

    /// `false` if nobody listens any more.
    async fn wait(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.steps.closed() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    async fn subscribe(&mut self, window: u32) -> End {
        let link = match self.cluster.link().await {
            Ok(link) => link,
            Err(error) => return End::Broken(error, false),
        };
        let names = self.families.iter().map(|family| format!("{family}-"));
        let filter = SubscriptionFilter::on_stream_name().max(window);
        let options = SubscribeToAllOptions::default()
            .position(read::start(self.through))
            .filter(names.fold(filter, SubscriptionFilter::add_prefix));
        let subscription = link.client.subscribe_to_all(&options).await;
        // Checkpoints are only needed for what is skipped, and of ours nothing is.
        let closer =
            window != LIVE_WINDOW && Family::ALL.iter().any(|f| !self.families.contains(f));
        self.pass_on(&link, subscription, closer).await
    }

    async fn pass_on(&mut self, link: &Link, mut subscription: Subscription, closer: bool) -> End {
        let mut gave = false;
        loop {
            let event = tokio::select! {
                () = self.steps.closed() => return End::Dropped,
                event = subscription.next_subscription_event() => event,
            };
            let event = match event {
                Ok(event) => event,
                Err(error) => return self.ended(link, &error, gave),
            };
            gave = true;
            let step = match event {
                SubscriptionEvent::EventAppeared(event) => self.event(event.get_original_event()),
                SubscriptionEvent::Checkpoint(at) => Ok(self.checkpoint(at)),
                SubscriptionEvent::CaughtUp if closer => return End::CaughtUp,
                _ => Ok(None),
            };
            match step {
                Ok(None) => {}
                Ok(Some(step)) => {
                    if self.steps.send(Ok(step)).await.is_err() {
                        return End::Dropped;
                    }
                }
                Err(error) => return End::Failed(error),
            }
        }
    }

    fn ended(&self, link: &Link, error: &eventstore::Error, gave: bool) -> End {
        match self.cluster.note(link, error) {
            CallError::Failed(Error::AccessDenied) => End::Failed(Error::AccessDenied.into()),
            error => End::Broken(error.on_stream("$all"), gave),
        }
    }

    fn event(&mut self, event: &RecordedEvent) -> Result<Option<Step>, ReadError> {
        let recorded = to_recorded(event)?;
        if recorded.position <= self.through {
            return Ok(None);
        }
        self.through = recorded.position;
        Ok(Some(Step::Event(recorded)))
    }

    /// A checkpoint that is not one position but two could be before an event at the same place; there will be others.
    fn checkpoint(&mut self, at: eventstore::Position) -> Option<Step> {
        let at = position(at).filter(|at| *at > self.through)?;
        self.through = at;
        Some(Step::Checkpoint(at))
    }
}
