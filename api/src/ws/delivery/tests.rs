use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::extract::ws::Message;
use commands::message::acknowledge::Delivered;
use events::ids::DeviceAddress;
use events::mailbox::EnvelopeKind;
use events::{Aci, DeviceId, Generation, MessageGuid, Timestamp};
use projections::inbox::InboxEntry;
use testkit::environment::FrozenClock;

use crate::limits::socket as limits;
use crate::ws::frame::Frame;
use crate::ws::hub::Hub;
use crate::ws::mailbox::Present;
use crate::ws::wire::SocketWire;

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

    async fn page(&self, after: Position, bytes: usize) -> Result<Page, MailboxUnavailable> {
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
        Ok(Page {
            reached: page.last().map(|message| message.entry.cursor),
            more: ahead.count() > page.len(),
            messages: page,
        })
    }

    async fn contents(
        &self,
        arrivals: &[Arrival],
    ) -> Result<Vec<InboxMessage>, MailboxUnavailable> {
        let messages = self.messages.lock().unwrap();
        let there = |arrival: &Arrival| {
            let mut messages = messages.iter();
            messages.find(|message| message.entry.cursor == arrival.entry.cursor)
        };
        Ok(arrivals.iter().filter_map(there).cloned().collect())
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
    let wire = SocketWire(Arc::new(FrozenClock::default()));
    let mut delivery = Delivery::new(Arc::clone(shelf), wire, Arc::clone(&desk), false);
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
            share: None,
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
    let mut delivery = Delivery::new(
        shelf,
        SocketWire(Arc::new(FrozenClock::default())),
        desk,
        false,
    );
    let (sender, mut outbox) = mpsc::channel(1);
    let mut connection = hub.connect(address(), true);
    let ending = delivery
        .run(&mut connection, &OnceLock::new(), sender)
        .await;
    assert_eq!(ending, Ending::Reauthenticate);
    assert!(outbox.recv().await.is_none());
}
