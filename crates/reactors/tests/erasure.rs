//! What has served its purpose is destroyed, nothing else is, and the log says so.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::codec::{AnyEvent, Fact};
use events::erasure::ErasureEvent;
use events::ids::DeviceAddress;
use events::keys::PreKeyKind;
use events::mailbox::MailboxEvent;
use events::personal::Subject;
use events::{
    Append, DeviceId, EventId, EventStore as _, Expected, Family, Generation, NewEvent, PayloadId,
    Position, Revision, ServiceId, StreamId,
};
use reactors::erasure::{Erasure, Sweep, SweepOptions, Swept, Tools};
use store_postgres::{PgEventStore, PgPayloadStore, PgSubjectKeys};
use subscription::{Reactor as _, Reader};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::History;
use testkit::history::samples::{self, Address};
use testkit::postgres::TestDatabase;

/// Between two sweeps.
const EVERY: Duration = Duration::from_hours(24);

struct World {
    database: TestDatabase,
    store: Arc<PgEventStore>,
    clock: Arc<FrozenClock>,
    tools: Tools,
    erasure: Erasure,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Arc::new(database.event_store().await);
        let entropy = Arc::new(SeededEntropy::default());
        let clock = Arc::new(FrozenClock::default());
        let tools = Tools {
            store: store.clone(),
            payloads: Arc::new(PgPayloadStore::new(database.pool.clone())),
            keys: Arc::new(PgSubjectKeys::new(database.pool.clone(), entropy)),
            clock: clock.clone(),
        };
        Self {
            erasure: Erasure::new(tools.clone()),
            database,
            store,
            clock,
            tools,
        }
    }

    async fn append(&self, history: &History) {
        history.append(&*self.store, &*self.tools.keys).await;
    }

    /// Lets the reactor take all that is in the log after `after`.
    async fn react(&self, after: Position) {
        let reader = Reader::new(self.store.clone(), self.tools.keys.clone());
        let stretch = reader.read(after, &Family::ALL, 10_000).await.unwrap();
        let wanted = self.erasure.families();
        let facts: Vec<&Fact> = stretch
            .facts
            .iter()
            .map(AsRef::as_ref)
            .filter(|fact| wanted.contains(&fact.stream.family()))
            .collect();
        self.erasure.react(&facts).await.unwrap();
    }

    /// Those of the first event.
    async fn metadata(&self) -> Bytes {
        let first = self.store.read_all(Position::START, &Family::ALL, 1).await;
        first.unwrap().events.remove(0).metadata
    }

    async fn payloads(&self) -> BTreeSet<PayloadId> {
        let stored = self.tools.payloads.stored(None, 10_000).await.unwrap();
        stored.into_iter().collect()
    }

    async fn subjects(&self) -> BTreeSet<Subject> {
        let subjects = self.tools.keys.subjects(None, 10_000).await.unwrap();
        subjects.into_iter().collect()
    }

    async fn recorded(&self, stream: StreamId) -> Vec<(Fact, ErasureEvent)> {
        let events = self
            .store
            .read(&stream, Revision::FIRST, 100)
            .await
            .unwrap();
        let facts = events.iter().map(|event| Fact::decode(event).unwrap());
        facts
            .map(|fact| match fact.event.clone() {
                AnyEvent::Erasure(event) => (fact, event),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn sweep(&self) -> Sweep {
        Sweep::new(SweepOptions {
            tools: self.tools.clone(),
            database: self.database.pool.clone(),
            entropy: Arc::new(SeededEntropy::new(5)),
            every: EVERY,
        })
    }

    /// Says that the reactor has come to the end of the log.
    async fn came_to_the_end(&self) {
        let head = self.store.head().await.unwrap();
        sqlx::query(
            "INSERT INTO projection.checkpoints (model, version, position, reactor) VALUES ('erasure', 1, $1, true)
             ON CONFLICT (model, version) DO UPDATE SET position = excluded.position",
        )
        .bind(head.to_i64())
        .execute(&self.database.pool)
        .await
        .unwrap();
    }
}

fn message(n: u32) -> PayloadId {
    PayloadId(samples::guid(n).uuid())
}

fn mailbox(to: Address) -> StreamId {
    StreamId::mailbox(DeviceAddress::from(to))
}

const PHONE: Address = Address(1, 1, 1);
const LAPTOP: Address = Address(1, 2, 2);
const OTHER: Address = Address(2, 1, 1);

/// Account 1 with a phone and a laptop, and account 2; messages 1 to 4, of which 1 waits for the phone, 2 and 3 for the
/// laptop, and 4 for the other account.
fn people() -> History {
    let mut history = History::default();
    for n in [1, 2] {
        history.then(
            StreamId::verification(samples::session(n)),
            samples::started(n),
        );
        history.then(
            StreamId::account(samples::aci(n)),
            samples::registered(n, 1),
        );
    }
    history.then(StreamId::account(samples::aci(1)), samples::linked(2, 2));
    for (to, n) in [(PHONE, 1), (LAPTOP, 2), (LAPTOP, 3), (OTHER, 4)] {
        history.message(to, n, b"a ciphertext");
    }
    history
}

#[tokio::test]
async fn what_was_delivered_or_has_expired_is_erased_and_recorded_together() {
    let world = World::new().await;
    let mut history = people();
    history.then(mailbox(PHONE), samples::delivered(&[1]));
    history.then(mailbox(LAPTOP), samples::expired(&[2]));
    world.append(&history).await;
    world.react(Position::START).await;
    assert_eq!(world.payloads().await, [message(3), message(4)].into());
    assert!(world.recorded(StreamId::erased_payloads()).await.is_empty());
    world.clock.advance(Duration::from_mins(2));
    world.react(Position::START).await;
    let recorded = world.recorded(StreamId::erased_payloads()).await;
    let [(fact, ErasureEvent::PayloadsErased(erased))] = &recorded[..] else {
        panic!("{recorded:?}");
    };
    assert_eq!((erased.through, erased.payloads), (history.head(), 2));
    assert_eq!(fact.metadata.actor.to_string(), "system:erasure");
    assert!(fact.metadata.causation.is_some() && fact.metadata.correlation.is_some());
}

#[tokio::test]
async fn a_page_of_pre_keys_is_erased_when_it_is_spent_or_replaced() {
    let world = World::new().await;
    let identity = ServiceId::from(samples::aci(1));
    let stream = StreamId::keys(identity, DeviceId::PRIMARY, Generation(1));
    let mut history = people();
    history.then(stream.clone(), samples::uploaded(PreKeyKind::Ec, 1, 2));
    history.then(stream.clone(), samples::taken(PreKeyKind::Ec, 1, 0));
    history.then(stream.clone(), samples::uploaded(PreKeyKind::Kyber, 2, 2));
    world.append(&history).await;
    let page = samples::page_id;
    world.keep(&[page(1), page(2), page(3)]).await;
    world.react(Position::START).await;
    assert!(
        world
            .payloads()
            .await
            .is_superset(&[page(1), page(2)].into())
    );
    let before = history.head();
    history.then(stream.clone(), samples::taken(PreKeyKind::Ec, 1, 1));
    history.then(stream, samples::uploaded(PreKeyKind::Kyber, 3, 2));
    let known = usize::try_from(before.0).unwrap();
    history
        .append_from(known, &*world.store, &*world.tools.keys)
        .await;
    world.react(before).await;
    let left = world.payloads().await;
    assert!(left.is_disjoint(&[page(1), page(2)].into()));
    assert!(left.contains(&page(3)));
}

#[tokio::test]
async fn what_waits_for_a_device_that_is_gone_is_erased() {
    let world = World::new().await;
    let mut history = people();
    let removal = history.then(StreamId::account(samples::aci(1)), samples::removed(2, 2));
    world.append(&history).await;
    world.react(Position::START).await;
    world.react(Position::START).await;
    assert_eq!(world.payloads().await, [message(1), message(4)].into());
    let recorded = world.recorded(StreamId::erasure(samples::aci(1))).await;
    let [(_, ErasureEvent::DeviceErased(erased))] = &recorded[..] else {
        panic!("{recorded:?}");
    };
    assert_eq!((erased.removal, erased.payloads), (removal, 2));
}

#[tokio::test]
async fn a_deleted_account_loses_its_payloads_and_keys_and_nobody_else_does() {
    let world = World::new().await;
    let mut history = people();
    let deletion = history.then(StreamId::account(samples::aci(1)), samples::deleted(1));
    // The number comes back at once, before the reactor has seen that it went.
    history.then(
        StreamId::verification(samples::session(3)),
        samples::started(1),
    );
    world.append(&history).await;
    let back = Subject::Session(samples::session(3), samples::pni(1));
    assert!(world.subjects().await.contains(&back));
    world.react(Position::START).await;
    world.react(Position::START).await;
    assert_eq!(world.payloads().await, [message(4)].into());
    let left = [
        Subject::Account(samples::aci(2)),
        Subject::Session(samples::session(2), samples::pni(2)),
        back,
    ];
    assert_eq!(world.subjects().await, left.into());
    let recorded = world.recorded(StreamId::erasure(samples::aci(1))).await;
    let [(_, ErasureEvent::AccountErased(erased))] = &recorded[..] else {
        panic!("{recorded:?}");
    };
    assert_eq!((erased.deletion, erased.payloads), (deletion, 3));
    assert!(erased.account_key && erased.session_keys == 1);
}

#[tokio::test]
async fn a_sweep_finds_leftovers_and_nothing_that_lives() {
    let world = World::new().await;
    let mut history = people();
    history.then(mailbox(PHONE), samples::delivered(&[1]));
    history.then(StreamId::account(samples::aci(1)), samples::removed(2, 2));
    // It comes too late: the device is gone.
    history.message(LAPTOP, 5, b"too late");
    history.then(StreamId::account(samples::aci(2)), samples::deleted(2));
    world.append(&history).await;
    let orphan = PayloadId(uuid::Uuid::from_u128(0x0042));
    world.keep(&[orphan]).await;
    let mut sweep = world.sweep();
    // The reactor has not come so far: nothing is left over yet.
    assert_eq!(sweep.sweep().await.unwrap(), Swept::default());
    world.came_to_the_end().await;
    let swept = sweep.sweep().await.unwrap();
    let expected = Swept {
        payloads: 5,
        orphans: 0,
        keys: 1,
    };
    assert_eq!(swept, expected);
    assert_eq!(world.payloads().await, [orphan].into());
    world.clock.advance(Duration::from_hours(48));
    let again = sweep.sweep().await.unwrap();
    assert_eq!((again.payloads, again.orphans, again.keys), (0, 0, 2));
    assert_eq!(
        world.subjects().await,
        [Subject::Account(samples::aci(1))].into()
    );
}

#[tokio::test]
async fn what_has_no_event_is_looked_at_again_soon_and_goes_unless_its_event_has_come() {
    let world = World::new().await;
    let mut history = people();
    world.append(&history).await;
    world.came_to_the_end().await;
    let mut sweep = world.sweep();
    assert_eq!(sweep.next().await.unwrap(), Swept::default());
    assert_eq!(sweep.pause(), EVERY, "nothing is suspect");

    let (orphan, late) = (PayloadId(uuid::Uuid::from_u128(0x0042)), message(5));
    world.keep(&[orphan, late]).await;
    let nobody = Subject::Account(samples::aci(9));
    world.tools.keys.obtain(nobody).await.unwrap();
    assert_eq!(sweep.next().await.unwrap(), Swept::default());
    assert_eq!(sweep.pause(), Duration::from_mins(10));

    // The event of one was on its way.
    let known = history.facts().len();
    history.message(PHONE, 5, b"a ciphertext");
    history
        .append_from(known, &*world.store, &*world.tools.keys)
        .await;
    let expected = Swept {
        payloads: 0,
        orphans: 1,
        keys: 1,
    };
    assert_eq!(sweep.next().await.unwrap(), expected);
    assert_eq!(sweep.pause(), EVERY, "nothing is suspect any more");
    let left = world.payloads().await;
    assert!(left.contains(&late) && !left.contains(&orphan), "{left:?}");
    assert!(!world.subjects().await.contains(&nobody));
}

#[tokio::test]
async fn as_long_as_an_event_cannot_be_read_no_payload_is_taken_for_left_over() {
    let world = World::new().await;
    let history = people();
    world.append(&history).await;
    world.came_to_the_end().await;
    let orphan = PayloadId(uuid::Uuid::from_u128(0x0042));
    world.keep(&[orphan]).await;
    let of_tomorrow = NewEvent {
        id: EventId::from_random([7; 16]),
        type_name: "MessageQueued",
        data: r#"{"a form":"that nobody knows yet"}"#.into(),
        metadata: world.metadata().await,
        payloads: vec![],
    };
    let append = Append::one(mailbox(PHONE), Expected::Any, vec![of_tomorrow]);
    world.store.append(append).await.unwrap();
    let mut sweep = world.sweep();
    for _ in 0..2 {
        assert_eq!(sweep.next().await.unwrap(), Swept::default());
    }
    assert!(world.payloads().await.contains(&orphan));
}

/// Message `n` for a device, whose ciphertext others share.
fn shared(to: Address, n: u32, payload: PayloadId) -> MailboxEvent {
    let (event, _) = samples::message(to, n, b"a ciphertext");
    let MailboxEvent::MessageQueued(mut queued) = event else {
        panic!("{event:?}");
    };
    queued.content.as_mut().unwrap().id = payload;
    queued.into()
}

#[tokio::test]
async fn a_message_to_many_stays_until_the_last_of_them_needs_it_no_more() {
    let world = World::new().await;
    let payload = PayloadId(uuid::Uuid::from_u128(0x0043));
    let mut history = people();
    for (to, n) in [(PHONE, 11), (LAPTOP, 12), (OTHER, 13)] {
        history.then(mailbox(to), shared(to, n, payload));
    }
    history.then(mailbox(PHONE), samples::delivered(&[11]));
    history.then(StreamId::account(samples::aci(1)), samples::removed(2, 2));
    world.append(&history).await;
    world.keep(&[payload]).await;
    world.react(Position::START).await;
    world.came_to_the_end().await;
    let mut sweep = world.sweep();
    for _ in 0..2 {
        sweep.sweep().await.unwrap();
        assert!(world.payloads().await.contains(&payload), "one still waits");
    }
    let before = history.head();
    history.then(mailbox(OTHER), samples::delivered(&[13]));
    let known = usize::try_from(before.0).unwrap();
    history
        .append_from(known, &*world.store, &*world.tools.keys)
        .await;
    world.react(before).await;
    world.came_to_the_end().await;
    assert_eq!(sweep.sweep().await.unwrap().payloads, 1);
    assert!(!world.payloads().await.contains(&payload));
}

impl World {
    /// Puts payloads beside the log, as a client's bytes.
    async fn keep(&self, ids: &[PayloadId]) {
        let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
        sqlx::query(
            "INSERT INTO log.payloads SELECT id, 'bytes' FROM unnest($1::uuid[]) AS t(id) ON CONFLICT DO NOTHING",
        )
        .bind(ids)
        .execute(&self.database.pool)
        .await
        .unwrap();
    }
}
