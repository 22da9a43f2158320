//! Delivers what waits for a device: in order, with a bounded number of messages and bytes on their way, and with the
//! notice that the queue is empty once, after the device has answered all that was waiting when it connected.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use events::Position;
use futures::FutureExt as _;
use futures::future::OptionFuture;
use projections::inbox::{InboxCursor, InboxMessage, InboxPage};
use prost::Message as _;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use crate::http::problem::chain;
use crate::ws::desk::{Desk, Flush, Sent};
use crate::ws::ending::Ending;
use crate::ws::hub::Connection;
use crate::ws::mailbox::{Mailbox, MailboxUnavailable, NotAcknowledged, delivered, envelope};
use crate::ws::wire::Wire;

/// Bytes of content that are read from the inbox at a time (or one message, if it has more).
const PAGE: usize = 128 * 1024;

/// How long a session waits for the one that it displaced to store its acknowledgements.
const SUCCESSION: Duration = Duration::from_secs(1);

/// How long the last acknowledgements may take to be stored when a session ends.
const SETTLEMENT: Duration = Duration::from_secs(5);

type Flushing = Pin<Box<dyn Future<Output = (Flush, Result<(), NotAcknowledged>)> + Send>>;

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
            return self.load_page().await.map_err(|error| unavailable(&error));
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
            Some((flush, outcome)) = flushed => self.flushed(flush, outcome)?,
            () = self.desk.answered.notified() => {}
            changed = connection.signals.changed() => {
                changed.map_err(|_| Ending::ShuttingDown)?;
                self.wanted = self.wanted.max(connection.signals.borrow_and_update().queued);
            }
            Some(envelope) = connection.ephemeral.recv() => self.send_ephemeral(outbox, envelope).await?,
        }
        Ok(())
    }

    async fn load_page(&mut self) -> Result<(), MailboxUnavailable> {
        let caught_up = self.mailbox.caught_up(self.wanted).await;
        if !caught_up {
            warn!(wanted = %self.wanted, "the inbox lags behind; delivering what it shows");
        }
        // Messages whose content is erased were acknowledged on another socket, or have expired.
        let InboxPage {
            messages,
            reached,
            more,
            erased: _,
        } = self.mailbox.page(self.cursor, PAGE).await?;
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
            self.flushing = self
                .desk
                .take_acknowledged()
                .map(|flush| self.storing(flush));
        }
    }

    fn storing(&self, flush: Flush) -> Flushing {
        let mailbox = Arc::clone(&self.mailbox);
        async move {
            let outcome = mailbox.acknowledge(flush.messages.clone()).await;
            (flush, outcome)
        }
        .boxed()
    }

    fn flushed(
        &mut self,
        flush: Flush,
        outcome: Result<(), NotAcknowledged>,
    ) -> Result<(), Ending> {
        self.flushing = None;
        match outcome {
            Ok(()) => {
                self.desk.stored(&flush);
                Ok(())
            }
            Err(NotAcknowledged::Later(wait)) => {
                let retry = self.storing(flush);
                self.flushing =
                    Some(async move { tokio::time::sleep(wait).then(|()| retry).await }.boxed());
                Ok(())
            }
            Err(error @ NotAcknowledged::Failed(_)) => Err(unavailable(&error)),
        }
    }

    /// Stores what is left of the acknowledgements, so that the device does not get these messages again.
    pub(crate) async fn settle(&mut self) {
        let all = async {
            loop {
                self.flush_if_due();
                let Some(flushing) = self.flushing.as_mut() else {
                    return;
                };
                let (flush, outcome) = flushing.await;
                if self.flushed(flush, outcome).is_err() {
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

fn size(message: &InboxMessage) -> usize {
    message.content.as_ref().map_or(0, Bytes::len)
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Ending {
    error!(cause = %chain(error), "ending a session: its mailbox cannot be served");
    Ending::MailboxUnavailable
}

#[cfg(test)]
mod tests;
