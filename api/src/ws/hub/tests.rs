use super::*;
use events::account::{AccountDeleted, DeviceRemoved};
use events::mailbox::{EnvelopeKind, MessageQueued};
use events::{
    Actor, EventId, MessageGuid, Metadata, Pni, RequestId, Revision, StreamId, Timestamp,
};
use uuid::Uuid;

pub(in crate::ws) fn address(device: u32, generation: u32) -> DeviceAddress {
    DeviceAddress {
        aci: Aci::from_random([1; 16]),
        device: DeviceId::try_from(device).unwrap(),
        generation: Generation(generation),
    }
}

pub(in crate::ws) fn fact(position: u64, stream: StreamId, event: AnyEvent) -> Fact {
    Fact {
        position: Position(position),
        stream,
        revision: Revision(0),
        id: EventId::from_random([0; 16]),
        metadata: Metadata {
            at: Timestamp::default(),
            actor: Actor::Anonymous,
            request: RequestId(Uuid::nil()),
            causation: None,
            correlation: None,
            schema_version: 1,
        },
        event,
    }
}

pub(in crate::ws) fn queued(position: u64, to: DeviceAddress) -> Fact {
    let message = MessageQueued {
        guid: MessageGuid::from_random([0; 16]),
        kind: EnvelopeKind::Ciphertext,
        client_timestamp: Timestamp::default(),
        source: None,
        destination: to.aci.into(),
        content: None,
        share: None,
        urgent: true,
        story: false,
        updated_pni: None,
    };
    fact(
        position,
        StreamId::mailbox(to),
        AnyEvent::Mailbox(message.into()),
    )
}

fn removed(position: u64, who: DeviceAddress) -> Fact {
    let event = DeviceRemoved {
        device: who.device,
        generation: who.generation,
    };
    fact(
        position,
        StreamId::account(who.aci),
        AnyEvent::Account(event.into()),
    )
}

fn signals(connection: &Connection) -> Signals {
    *connection.signals.borrow()
}

#[test]
fn a_message_wakes_the_session_of_its_device_and_no_other() {
    let hub = Hub::new();
    let (first, second) = (
        hub.connect(address(1, 1), true),
        hub.connect(address(2, 2), true),
    );
    let requests_only = hub.connect(address(1, 1), false);
    let facts = [
        queued(7, address(1, 1)),
        queued(5, address(1, 1)),
        queued(9, address(2, 1)),
    ];
    hub.observe(&facts);
    assert_eq!(signals(&first).queued, Position(7));
    assert_eq!(
        signals(&second),
        Signals::default(),
        "an earlier life of the device"
    );
    assert_eq!(signals(&requests_only), Signals::default());
}

#[test]
fn a_newer_socket_of_the_device_displaces_the_older() {
    let hub = Hub::new();
    let (first, other) = (
        hub.connect(address(1, 1), true),
        hub.connect(address(2, 2), true),
    );
    let second = hub.connect(address(1, 1), true);
    assert!(!first.is_current() && second.is_current() && other.is_current());
    hub.observe(&[queued(7, address(1, 1))]);
    assert_eq!(
        signals(&first).queued,
        Position::START,
        "it gets nothing any more"
    );
    assert_eq!(signals(&second).queued, Position(7));
    drop(second);
    assert!(!hub.is_connected(address(1, 1)) && hub.is_connected(address(2, 2)));
    drop((first, other));
    assert_eq!(hub.sockets(), 0);
}

#[test]
fn a_device_that_came_back_displaces_nobody_but_ends_its_earlier_life() {
    let hub = Hub::new();
    let before = hub.connect(address(2, 2), true);
    let _after = hub.connect(address(2, 3), true);
    assert!(before.is_current() && signals(&before).revoked.is_some());
}

#[test]
fn removal_reaches_the_device_and_deletion_all() {
    let hub = Hub::new();
    let (first, second) = (
        hub.connect(address(1, 1), true),
        hub.connect(address(2, 2), false),
    );
    hub.observe(&[removed(3, address(2, 1)), removed(4, address(2, 2))]);
    assert_eq!(
        (signals(&first).revoked, signals(&second).revoked),
        (None, Some(Position(4)))
    );
    let deleted = AccountDeleted {
        pni: Pni::from_random([1; 16]),
    };
    let stream = StreamId::account(address(1, 1).aci);
    hub.observe(&[fact(6, stream, AnyEvent::Account(deleted.into()))]);
    assert_eq!(signals(&first).revoked, Some(Position(6)));
}

#[tokio::test]
async fn a_successor_waits_until_its_predecessor_has_stored_what_it_knows() {
    let hub = Hub::new();
    let first = hub.connect(address(1, 1), true);
    let mut second = hub.connect(address(1, 1), true);
    let mut waiting = Box::pin(second.predecessor_settled());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    first.settle();
    waiting.await;
    let mut third = hub.connect(address(1, 1), true);
    drop(second);
    third.predecessor_settled().await;
}

#[test]
fn ephemeral_messages_are_dropped_by_who_does_not_keep_up() {
    let hub = Hub::new();
    assert!(!hub.deliver_here(address(1, 1), Bytes::new()));
    let mut connection = hub.connect(address(1, 1), true);
    for _ in 0..limits::EPHEMERAL {
        assert!(hub.deliver_here(address(1, 1), Bytes::from_static(b"x")));
    }
    assert!(!hub.deliver_here(address(1, 1), Bytes::new()));
    assert_eq!(connection.ephemeral.try_recv().unwrap(), "x");
}

/// Notes what the hub asks of the other nodes.
#[derive(Default)]
struct Notes(Mutex<Vec<(&'static str, DeviceAddress, u64)>>);

impl Notes {
    fn take(&self) -> Vec<(&'static str, DeviceAddress, u64)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note(&self, what: &'static str, address: DeviceAddress, socket: u64) {
        self.0.lock().unwrap().push((what, address, socket));
    }
}

impl Neighbours for Notes {
    fn claim(&self, address: DeviceAddress, socket: u64) -> oneshot::Receiver<()> {
        self.note("claim", address, socket);
        oneshot::channel().1
    }

    fn settled(&self, address: DeviceAddress) {
        self.note("settled", address, 0);
    }

    fn release(&self, address: DeviceAddress, socket: u64) {
        self.note("release", address, socket);
    }

    fn forward(&self, address: DeviceAddress, envelope: Bytes) {
        self.note("forward", address, envelope.len() as u64);
    }
}

#[test]
fn other_nodes_hear_of_sockets_and_get_what_is_not_for_this_one() {
    let notes = Arc::new(Notes::default());
    let hub = Hub::among(Arc::clone(&notes) as Arc<dyn Neighbours>);
    let here = address(1, 1);
    let first = hub.connect(here, true);
    let second = hub.connect(here, true);
    let requests_only = hub.connect(here, false);
    assert_eq!(notes.take(), [("claim", here, 0), ("claim", here, 1)]);
    drop((first, requests_only));
    assert_eq!(notes.take(), [], "whoever was displaced holds nothing");
    hub.deliver_ephemeral(here, Bytes::from_static(b"abc"));
    hub.deliver_ephemeral(address(2, 1), Bytes::from_static(b"abc"));
    assert_eq!(notes.take(), [("forward", address(2, 1), 3)]);
    drop(second);
    assert_eq!(notes.take(), [("release", here, 1)]);
}

#[test]
fn a_socket_on_another_node_displaces_the_one_it_names() {
    let notes = Arc::new(Notes::default());
    let hub = Hub::among(Arc::clone(&notes) as Arc<dyn Neighbours>);
    let (first, other) = (
        hub.connect(address(1, 1), true),
        hub.connect(address(2, 2), true),
    );
    notes.take();
    hub.displace(address(1, 1), 7); // long gone: nothing is left to be stored
    assert!(first.is_current());
    assert_eq!(notes.take(), [("settled", address(1, 1), 0)]);
    hub.displace(address(1, 1), 0);
    assert!(signals(&first).displaced && signals(&first).revoked.is_none());
    hub.displace(address(2, 3), 1);
    assert!(signals(&other).revoked.is_some() && !signals(&other).displaced);
    assert_eq!(notes.take(), [], "nothing is stored yet");
    first.settle();
    first.settle();
    assert_eq!(notes.take(), [("settled", address(1, 1), 0)]);
    drop((first, other));
    assert_eq!(notes.take(), [("settled", address(2, 3), 0)]);
}
