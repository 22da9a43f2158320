//! Delivers what waits for a device: in order, with a bounded number of messages and bytes on their way, and with the
//! notice that the queue is empty once, after the device has answered all that was waiting when it connected.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::ws::Message;
use bytes::Bytes;
use events::Position;
use events::ports::Clock;
use futures::FutureExt as _;
use futures::future::OptionFuture;
use projections::inbox::{InboxCursor, InboxMessage, InboxPage};
use prost::Message as _;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use crate::http::problem::chain;
use crate::ws::desk::{Desk, Flush, Sent};
use crate::ws::ending::Ending;
use crate::ws::frame::{Frame, RequestFrame};
use crate::ws::hub::Connection;
use crate::ws::mailbox::{Mailbox, MailboxUnavailable, NotAcknowledged, delivered, envelope};

/// Bytes of content that are read from the inbox at a time (or one message, if it has more).
const PAGE: usize = 128 * 1024;

/// How long a session waits for the one that it displaced to store its acknowledgements.
const SUCCESSION: Duration = Duration::from_secs(1);

/// How long the last acknowledgements may take to be stored when a session ends.
const SETTLEMENT: Duration = Duration::from_secs(5);

type Flushing = Pin<Box<dyn Future<Output = (Flush, Result<(), NotAcknowledged>)> + Send>>;

/// The delivery of one session.
pub(crate) struct Delivery<M> {
    mailbox: Arc<M>,
    clock: Arc<dyn Clock>,
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

impl<M: Mailbox + 'static> Delivery<M> {
    pub(crate) fn new(
        mailbox: Arc<M>,
        clock: Arc<dyn Clock>,
        desk: Arc<Desk>,
        stories: bool,
    ) -> Self {
        Self {
            mailbox,
            clock,
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
        outbox: mpsc::Sender<Message>,
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
        self.wanted = present.head;
        self.backlog = Some(present.head);
        let revoked = connection.signals.borrow_and_update().revoked;
        Ok(present.authentic && revoked <= Some(present.head))
    }

    /// Does one thing that can be done, or waits until there is one.
    async fn step(
        &mut self,
        connection: &mut Connection,
        outbox: &mpsc::Sender<Message>,
    ) -> Result<(), Ending> {
        self.flush_if_due();
        if self.page.is_empty() && self.cursor < self.wanted {
            return self.load_page().await.map_err(|error| unavailable(&error));
        }
        if self
            .page
            .front()
            .is_some_and(|next| self.is_passed_over(next) || self.desk.room().admits(size(next)))
        {
            return self.send_next(outbox).await;
        }
        if self.backlog_is_done() {
            self.backlog = None;
            return self
                .push(outbox, "/api/v1/queue/empty", None)
                .await
                .map(drop);
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
        self.page.extend(messages);
        Ok(())
    }

    fn is_passed_over(&self, message: &InboxMessage) -> bool {
        message.entry.story && !self.stories
    }

    /// Sends the first message of the page, or passes it over.
    async fn send_next(&mut self, outbox: &mpsc::Sender<Message>) -> Result<(), Ending> {
        let Some(next) = self.page.pop_front() else {
            return Ok(());
        };
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
        outbox: &mpsc::Sender<Message>,
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
        outbox: &mpsc::Sender<Message>,
        sent: Sent,
        envelope: Bytes,
    ) -> Result<(), Ending> {
        self.desk.send(self.next_id, sent);
        self.push(outbox, "/api/v1/message", Some(envelope)).await
    }

    async fn push(
        &mut self,
        outbox: &mpsc::Sender<Message>,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<(), Ending> {
        let frame = push_frame(self.next_id, path, body, &*self.clock);
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

/// A request of the server.
pub(crate) fn push_frame(id: u64, path: &str, body: Option<Bytes>, clock: &dyn Clock) -> Message {
    let frame = RequestFrame {
        verb: Some("PUT".to_owned()),
        path: Some(path.to_owned()),
        body,
        id: Some(id),
        headers: vec![format!("X-Signal-Timestamp: {}", clock.now())],
    };
    Message::Binary(Frame::Request(frame).encode())
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Ending {
    error!(cause = %chain(error), "closing a socket with 1011: its mailbox cannot be served");
    Ending::MailboxUnavailable
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use commands::message::acknowledge::Delivered;
    use events::ids::DeviceAddress;
    use events::mailbox::EnvelopeKind;
    use events::{Aci, DeviceId, Generation, MessageGuid, Timestamp};
    use projections::inbox::InboxEntry;
    use testkit::environment::FrozenClock;

    use crate::limits::socket as limits;
    use crate::ws::hub::Hub;
    use crate::ws::mailbox::Present;

    /// A mailbox in memory, that counts what it gives out.
    struct Shelf {
        messages: Mutex<Vec<InboxMessage>>,
        bytes_read: AtomicUsize,
        authentic: bool,
        /// Answers to acknowledgements, before they succeed.
        refusals: Mutex<Vec<NotAcknowledged>>,
    }

    fn at(position: u64, size: usize) -> InboxMessage {
        let mut guid = [0; 16];
        guid[..8].copy_from_slice(&position.to_be_bytes());
        InboxMessage {
            entry: InboxEntry {
                cursor: InboxCursor(Position(position)),
                guid: MessageGuid::from_random(guid),
                kind: EnvelopeKind::Ciphertext,
                client_timestamp: Timestamp::from_epoch_millis(position).unwrap(),
                server_timestamp: Timestamp::default(),
                source: None,
                destination: Aci::from_random([1; 16]).into(),
                urgent: true,
                story: false,
                updated_pni: None,
            },
            content: Some(Bytes::from(vec![1; size])),
        }
    }

    #[async_trait]
    impl Mailbox for Shelf {
        async fn present(&self) -> Result<Present, MailboxUnavailable> {
            let last = self
                .messages
                .lock()
                .unwrap()
                .last()
                .map(|message| message.entry.cursor.0);
            Ok(Present {
                head: last.unwrap_or_default(),
                authentic: self.authentic,
            })
        }

        async fn caught_up(&self, _: Position) -> bool {
            true
        }

        async fn page(
            &self,
            after: Position,
            bytes: usize,
        ) -> Result<InboxPage, MailboxUnavailable> {
            let messages = self.messages.lock().unwrap();
            let ahead = messages
                .iter()
                .filter(|message| message.entry.cursor.0 > after);
            let mut sum = 0;
            let page: Vec<_> = ahead
                .clone()
                .take_while(|message| {
                    let first = sum == 0;
                    sum += size(message);
                    first || sum <= bytes
                })
                .cloned()
                .collect();
            self.bytes_read
                .fetch_add(page.iter().map(size).sum(), Ordering::Relaxed);
            Ok(InboxPage {
                reached: page.last().map(|message| message.entry.cursor),
                more: ahead.count() > page.len(),
                messages: page,
                erased: Vec::new(),
            })
        }

        async fn acknowledge(&self, messages: Vec<Delivered>) -> Result<(), NotAcknowledged> {
            if let Some(refusal) = self.refusals.lock().unwrap().pop() {
                return Err(refusal);
            }
            let guids: Vec<_> = messages.iter().map(|message| message.guid).collect();
            self.messages
                .lock()
                .unwrap()
                .retain(|message| !guids.contains(&message.entry.guid));
            Ok(())
        }
    }

    impl Shelf {
        fn of(messages: Vec<InboxMessage>) -> Arc<Self> {
            Arc::new(Self {
                messages: Mutex::new(messages),
                bytes_read: AtomicUsize::new(0),
                authentic: true,
                refusals: Mutex::default(),
            })
        }

        fn len(&self) -> usize {
            self.messages.lock().unwrap().len()
        }
    }

    /// A delivery with its client's side.
    struct Scene {
        hub: Hub,
        desk: Arc<Desk>,
        outbox: mpsc::Receiver<Message>,
    }

    fn address() -> DeviceAddress {
        DeviceAddress {
            aci: Aci::from_random([1; 16]),
            device: DeviceId::PRIMARY,
            generation: Generation(1),
        }
    }

    /// Plays `client` against the delivery, which must not end before it. Then settles.
    async fn play<F: Future<Output = ()>>(shelf: &Arc<Shelf>, client: impl FnOnce(Scene) -> F) {
        let (hub, desk) = (Hub::new(), Arc::new(Desk::default()));
        let clock = Arc::new(FrozenClock::default());
        let mut delivery = Delivery::new(Arc::clone(shelf), clock, Arc::clone(&desk), false);
        let mut connection = hub.connect(address(), true);
        let (sender, outbox) = mpsc::channel(limits::FRAMES);
        let established = OnceLock::new();
        tokio::select! {
            ending = delivery.run(&mut connection, &established, sender) => panic!("{ending:?}"),
            () = client(Scene { hub, desk, outbox }) => {}
        }
        delivery.settle().await;
    }

    impl Scene {
        /// The next request: its number, path and body.
        async fn next(&mut self) -> (u64, String, Option<Bytes>) {
            let Some(Message::Binary(bytes)) = self.outbox.recv().await else {
                panic!("the delivery has ended");
            };
            let Ok(Frame::Request(request)) = Frame::decode(bytes) else {
                panic!("not a request");
            };
            (request.id.unwrap(), request.path.unwrap(), request.body)
        }

        /// The next message: its number and the sender's time.
        async fn message(&mut self) -> (u64, u64) {
            let (id, path, body) = self.next().await;
            assert_eq!(path, "/api/v1/message");
            let envelope = crate::ws::frame::Envelope::decode(body.unwrap()).unwrap();
            (id, envelope.client_timestamp.unwrap())
        }

        /// Whether nothing comes although the delivery had every chance.
        async fn is_quiet(&mut self) -> bool {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            self.outbox.is_empty()
        }
    }

    #[tokio::test]
    async fn a_client_that_answers_nothing_gets_a_bounded_number_of_bytes() {
        const SIZE: usize = 64 * 1024;
        let shelf = Shelf::of((1..=1000).map(|position| at(position, SIZE)).collect());
        play(&shelf, |mut scene| async move {
            let mut sent = 0;
            while !scene.is_quiet().await {
                scene.message().await;
                sent += SIZE;
            }
            assert_eq!(sent, limits::ENVELOPE_BYTES);
        })
        .await;
        let read = shelf.bytes_read.load(Ordering::Relaxed);
        assert!(
            read <= limits::ENVELOPE_BYTES + PAGE,
            "{read} bytes were read"
        );
    }

    #[tokio::test]
    async fn a_client_that_does_not_even_read_gets_less() {
        let shelf = Shelf::of((1..=1000).map(|position| at(position, 64 * 1024)).collect());
        play(&shelf, |mut scene| async move {
            scene.is_quiet().await;
            assert_eq!(scene.outbox.len(), limits::FRAMES);
        })
        .await;
    }

    #[tokio::test]
    async fn small_messages_are_bounded_in_number() {
        let shelf = Shelf::of((1..=1000).map(|position| at(position, 1)).collect());
        play(&shelf, |mut scene| async move {
            let mut ids = Vec::new();
            while !scene.is_quiet().await {
                ids.push(scene.message().await.0);
            }
            assert_eq!(ids.len(), limits::ENVELOPES);
            scene.desk.answer(ids[7], 200);
            assert_eq!(
                scene.message().await.1,
                257,
                "each answer makes room for one"
            );
        })
        .await;
        assert_eq!(shelf.len(), 999);
    }

    #[tokio::test]
    async fn every_message_comes_once_and_in_order_and_then_the_notice() {
        let shelf = Shelf::of((1..=1000).map(|position| at(position * 2, 3000)).collect());
        play(&shelf, |mut scene| async move {
            for position in 1..=1000 {
                let (id, timestamp) = scene.message().await;
                assert_eq!(timestamp, position * 2);
                scene.desk.answer(id, 200);
            }
            assert_eq!(scene.next().await.1, "/api/v1/queue/empty");
            assert!(scene.is_quiet().await);
        })
        .await;
        assert_eq!(shelf.len(), 0);
    }

    #[tokio::test]
    async fn an_empty_queue_is_announced_at_once_and_news_follow() {
        let shelf = Shelf::of(Vec::new());
        let shelf = &shelf;
        play(shelf, |mut scene| async move {
            assert_eq!(scene.next().await.1, "/api/v1/queue/empty");
            shelf.messages.lock().unwrap().push(at(9, 1));
            let entry = events::mailbox::MessageQueued {
                guid: MessageGuid::from_random([0; 16]),
                kind: EnvelopeKind::Ciphertext,
                client_timestamp: Timestamp::default(),
                source: None,
                destination: address().aci.into(),
                content: None,
                urgent: true,
                story: false,
                updated_pni: None,
            };
            let fact = crate::ws::hub::tests::fact(
                9,
                events::StreamId::mailbox(address()),
                events::AnyEvent::Mailbox(entry.into()),
            );
            scene.hub.observe(&[fact]);
            assert_eq!(scene.message().await.1, 9);
            assert!(scene.is_quiet().await);
        })
        .await;
    }

    #[tokio::test]
    async fn acknowledgements_that_have_to_wait_are_stored_later() {
        let shelf = Shelf::of(vec![at(1, 1)]);
        shelf
            .refusals
            .lock()
            .unwrap()
            .push(NotAcknowledged::Later(Duration::from_millis(1)));
        play(&shelf, |mut scene| async move {
            let (id, _) = scene.message().await;
            scene.desk.answer(id, 200);
            assert_eq!(
                scene.next().await.1,
                "/api/v1/queue/empty",
                "after the second attempt"
            );
        })
        .await;
        assert_eq!(shelf.len(), 0);
    }

    #[tokio::test]
    async fn the_last_acknowledgements_are_stored_when_the_socket_ends() {
        let shelf = Shelf::of((1..=3).map(|position| at(position, 1)).collect());
        play(&shelf, |mut scene| async move {
            for _ in 0..3 {
                let (id, _) = scene.message().await;
                scene.desk.answer(id, 200);
            }
        })
        .await;
        assert_eq!(shelf.len(), 0);
    }

    #[tokio::test]
    async fn a_device_that_is_gone_by_now_gets_nothing() {
        let mut shelf = Shelf::of(vec![at(1, 1)]);
        Arc::get_mut(&mut shelf).unwrap().authentic = false;
        let (hub, desk) = (Hub::new(), Arc::new(Desk::default()));
        let mut delivery = Delivery::new(shelf, Arc::new(FrozenClock::default()), desk, false);
        let (sender, mut outbox) = mpsc::channel(1);
        let mut connection = hub.connect(address(), true);
        let ending = delivery
            .run(&mut connection, &OnceLock::new(), sender)
            .await;
        assert_eq!(ending, Ending::Reauthenticate);
        assert!(outbox.recv().await.is_none());
    }
}
