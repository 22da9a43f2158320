//! Delivers what waits for a device: in order, with a bounded number of messages and bytes on their way, and with the
//! notice that the queue is empty once, after the device has answered all that was waiting when it connected.

use std::collections::VecDeque;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use events::Position;
use futures::future::OptionFuture;
use projections::inbox::{Arrival, InboxCursor};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use crate::contents::InboxMessage;
use crate::http::problem::chain;
use crate::ws::desk::{Desk, Sent};
use crate::ws::ending::Ending;
use crate::ws::hub::Connection;
use crate::ws::mailbox::{Mailbox, MailboxUnavailable, NotAcknowledged, Page, delivered, envelope};
use crate::ws::wire::Wire;

/// Bytes of content that are read from the inbox at a time (or one message, if it has more).
const PAGE: usize = 128 * 1024;

/// How long a session waits for the one that it displaced to store its acknowledgements.
const SUCCESSION: Duration = Duration::from_secs(1);

/// How long the last acknowledgements may take to be stored when a session ends.
const SETTLEMENT: Duration = Duration::from_secs(5);

/// So often is tried again what the database did not answer, and so long after the first time; then twice as long.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);

/// Acknowledgements are stored by a task of their own, whatever else the session waits for.
type Flushing = JoinHandle<Result<(), NotAcknowledged>>;

/// A device that has nothing left from before acknowledges one message at a time. Those of so long are stored together.
const GATHER: Duration = Duration::from_millis(20);

/// The delivery of one session.
pub(crate) struct Delivery<M, W> {
    mailbox: Arc<M>,
    wire: W,
    desk: Arc<Desk>,
    /// Whether the client asked for stories. They count as delivered otherwise.
    stories: bool,
    /// The number of the next request to the client.
    next_id: u64,
    /// Everything up to here has been paged.
    cursor: Position,
    /// Something may wait up to here.
    wanted: Position,
    /// Paged and not sent.
    page: VecDeque<InboxMessage>,
    /// Where the backlog ends, until the client has been told that it is done with it.
    backlog: Option<Position>,
    /// Whoever has paged everything up to here has heard of all that came since.
    heard_since: Position,
    flushing: Option<Flushing>,
}

impl<M: Mailbox + 'static, W: Wire> Delivery<M, W> {
    pub(crate) fn new(mailbox: Arc<M>, wire: W, desk: Arc<Desk>, stories: bool) -> Self {
        Self {
            mailbox,
            wire,
            desk,
            stories,
            next_id: 1,
            cursor: Position::START,
            wanted: Position::START,
            page: VecDeque::new(),
            backlog: None,
            heard_since: Position::START,
            flushing: None,
        }
    }

    /// Runs until the session has to end because of it. Dropping this future loses nothing that [`Self::settle`] needs.
    pub(crate) async fn run(
        &mut self,
        connection: &mut Connection,
        established: &OnceLock<Position>,
        outbox: mpsc::Sender<W::Frame>,
    ) -> Ending {
        match self.begin(connection, established).await {
            Ok(true) => {}
            Ok(false) => return Ending::Reauthenticate,
            Err(error) => return unavailable(&error),
        }
        loop {
            match self.step(connection, &outbox).await {
                Ok(()) => {}
                Err(ending) => return ending,
            }
        }
    }

    /// In place of [`Self::run`] on sockets that are for requests only.
    pub(crate) async fn watch_over(
        &mut self,
        connection: &mut Connection,
        established: &OnceLock<Position>,
    ) -> Ending {
        match self.begin(connection, established).await {
            Ok(true) => pending().await,
            Ok(false) => Ending::Reauthenticate,
            Err(error) => unavailable(&error),
        }
    }

    /// Finds out where the log stands, and whether the device is still who it was when it was asked for its password.
    async fn begin(
        &mut self,
        connection: &mut Connection,
        established: &OnceLock<Position>,
    ) -> Result<bool, MailboxUnavailable> {
        if tokio::time::timeout(SUCCESSION, connection.predecessor_settled())
            .await
            .is_err()
        {
            debug!("the displaced socket takes long to settle; its last messages may come again");
        }
        let present = self.mailbox.present().await?;
        let _ = established.set(present.head);
        let signals = *connection.signals.borrow_and_update();
        self.wanted = present.head.max(signals.queued);
        self.backlog = Some(present.head);
        self.heard_since = present.head;
        Ok(present.authentic && signals.revoked <= Some(present.head))
    }

    /// Does one thing that can be done, or waits until there is one.
    async fn step(
        &mut self,
        connection: &mut Connection,
        outbox: &mpsc::Sender<W::Frame>,
    ) -> Result<(), Ending> {
        self.flush_if_due();
        if self.page.is_empty() && self.cursor < self.wanted {
            let loaded = match self.arrived(connection) {
                Some(arrivals) => self.load_arrivals(&arrivals).await,
                None => self.load_page().await,
            };
            return loaded.map_err(|error| unavailable(&error));
        }
        let room = self.desk.room();
        if self
            .page
            .front()
            .is_some_and(|next| room.admits(self.to_send(next)))
        {
            return self.send_next(outbox).await;
        }
        if self.backlog_is_done() {
            self.backlog = None;
            let notice = self.wire.queue_empty(self.next_id);
            return self.push(outbox, notice).await;
        }
        let flushed: OptionFuture<_> = self.flushing.as_mut().into();
        tokio::select! {
            Some(stored) = flushed => self.flushed(stored)?,
            () = self.desk.answered.notified() => {}
            changed = connection.signals.changed() => {
                changed.map_err(|_| Ending::ShuttingDown)?;
                self.wanted = self.wanted.max(connection.signals.borrow_and_update().queued);
            }
            Some(envelope) = connection.ephemeral.recv() => self.send_ephemeral(outbox, envelope).await?,
        }
        Ok(())
    }

    /// The messages that came since, if none is missing.
    fn arrived(&self, connection: &Connection) -> Option<Vec<Arrival>> {
        if self.cursor < self.heard_since {
            return None;
        }
        connection.arrivals.behind(self.cursor, PAGE)
    }

    /// Takes messages from their events. The inbox may not show them yet.
    async fn load_arrivals(&mut self, arrivals: &[Arrival]) -> Result<(), MailboxUnavailable> {
        let messages = insist(|| self.mailbox.contents(arrivals)).await?;
        if let Some(last) = arrivals.last() {
            self.cursor = self.cursor.max(last.entry.cursor.0);
        }
        self.page = messages.into();
        Ok(())
    }

    async fn load_page(&mut self) -> Result<(), MailboxUnavailable> {
        let caught_up = self.mailbox.caught_up(self.wanted).await;
        if !caught_up {
            warn!(wanted = %self.wanted, "the inbox lags behind; delivering what it shows");
        }
        let Page {
            messages,
            reached,
            more,
        } = insist(|| self.mailbox.page(self.cursor, PAGE)).await?;
        if let Some(InboxCursor(reached)) = reached {
            self.cursor = self.cursor.max(reached);
        }
        if caught_up && !more {
            self.cursor = self.cursor.max(self.wanted);
        }
        self.page = messages.into();
        Ok(())
    }

    /// The bytes that a message puts in flight.
    fn to_send(&self, message: &InboxMessage) -> usize {
        if self.is_passed_over(message) {
            0
        } else {
            size(message)
        }
    }

    fn is_passed_over(&self, message: &InboxMessage) -> bool {
        message.entry.story && !self.stories
    }

    /// Sends the first message of the page, or passes it over.
    async fn send_next(&mut self, outbox: &mpsc::Sender<W::Frame>) -> Result<(), Ending> {
        let Some(next) = self.page.pop_front() else {
            return Ok(());
        };
        if self.page.is_empty() {
            self.page = VecDeque::new(); // an idle session keeps no room for a page
        }
        let backlog = self.backlog.is_some_and(|end| next.entry.cursor.0 <= end);
        let message = delivered(&next.entry);
        if self.is_passed_over(&next) {
            self.desk.pass_over(message, backlog);
            return Ok(());
        }
        let sent = Sent {
            message: Some(message),
            bytes: size(&next),
            backlog,
        };
        let envelope = envelope(&next.entry, next.content).encode_to_vec().into();
        self.send(outbox, sent, envelope).await
    }

    async fn send_ephemeral(
        &mut self,
        outbox: &mpsc::Sender<W::Frame>,
        envelope: Bytes,
    ) -> Result<(), Ending> {
        if !self.desk.room().admits(envelope.len()) {
            return Ok(()); // like a device that is not there
        }
        let sent = Sent {
            message: None,
            bytes: envelope.len(),
            backlog: false,
        };
        self.send(outbox, sent, envelope).await
    }

    async fn send(
        &mut self,
        outbox: &mpsc::Sender<W::Frame>,
        sent: Sent,
        envelope: Bytes,
    ) -> Result<(), Ending> {
        metrics::counter!("websocket_envelopes_sent_total").increment(1);
        self.desk.send(self.next_id, sent);
        let message = self.wire.message(self.next_id, envelope);
        self.push(outbox, message).await
    }

    async fn push(
        &mut self,
        outbox: &mpsc::Sender<W::Frame>,
        frame: W::Frame,
    ) -> Result<(), Ending> {
        self.next_id += 1;
        outbox.send(frame).await.map_err(|_| Ending::Left)
    }

    fn backlog_is_done(&self) -> bool {
        self.backlog.is_some_and(|end| {
            self.cursor >= end
                && self
                    .page
                    .front()
                    .is_none_or(|next| next.entry.cursor.0 > end)
                && self.desk.backlog_is_settled()
        })
    }

    /// Starts to store acknowledgements, unless some are on their way already.
    fn flush_if_due(&mut self) {
        if self.flushing.is_none() {
            let gather = if self.backlog.is_some() {
                Duration::ZERO
            } else {
                GATHER
            };
            self.flushing = self.desk.has_acknowledged().then(|| {
                let storing = store(Arc::clone(&self.mailbox), Arc::clone(&self.desk), gather);
                TaskTracker::new().spawn(storing)
            });
        }
    }

    fn flushed(
        &mut self,
        stored: Result<Result<(), NotAcknowledged>, JoinError>,
    ) -> Result<(), Ending> {
        self.flushing = None;
        let outcome = stored.unwrap_or_else(|failed| resume_unwind(failed.into_panic()));
        outcome.map_err(|error| unavailable(&error))
    }

    /// Stores what is left of the acknowledgements, so that the device does not get these messages again.
    pub(crate) async fn settle(&mut self) {
        let all = async {
            loop {
                self.flush_if_due();
                let Some(flushing) = self.flushing.as_mut() else {
                    return;
                };
                let stored = flushing.await;
                if self.flushed(stored).is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(SETTLEMENT, all).await.is_err() {
            warn!(
                "acknowledgements were not stored within {SETTLEMENT:?}; these messages will be delivered again"
            );
        }
    }
}

/// Stores the acknowledgements that there are after a while, if need be a little later.
async fn store<M: Mailbox>(
    mailbox: Arc<M>,
    desk: Arc<Desk>,
    gather: Duration,
) -> Result<(), NotAcknowledged> {
    tokio::time::sleep(gather).await;
    let Some(flush) = desk.take_acknowledged() else {
        return Ok(());
    };
    insist(|| async {
        loop {
            match mailbox.acknowledge(flush.messages.clone()).await {
                Err(NotAcknowledged::Later(wait)) => tokio::time::sleep(wait).await,
                outcome => return outcome,
            }
        }
    })
    .await?;
    desk.stored(&flush);
    Ok(())
}

/// Tries until it succeeds, or until it has failed too often: a session outlives a database that is away for a few seconds.
async fn insist<T, E, F>(attempt: impl Fn() -> F) -> Result<T, E>
where
    E: std::error::Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => {
                warn!(cause = %chain(&error), "the mailbox cannot be served; trying again");
            }
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    attempt().await
}

fn size(message: &InboxMessage) -> usize {
    message.content.as_ref().map_or(0, Bytes::len)
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Ending {
    error!(cause = %chain(error), "ending a session: its mailbox cannot be served");
    Ending::MailboxUnavailable
}

#[cfg(test)]
mod tests;
