//! The executor when others are faster, stores fail, and answers are lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use events::account::AccountEvent;
use events::personal::SubjectKeys as _;
use events::{
    Actor, Append, AppendError, Appended, Batch, EventStore, Family, MessageGuid, Position,
    ReadError, Recorded, Revision, StreamId, Subject,
};
use futures::stream::BoxStream;
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::memory::MemoryStore;

use crate::account::Account;
use crate::account::delete_account::DeleteAccount;
use crate::account::mark_seen::MarkSeen;
use crate::device::link_device::LinkDeviceRefused;
use crate::device::remove_device::RemoveDevice;
use crate::executor::{Executor, Failure, MAX_ATTEMPTS};
use crate::message::send_message::{SendMessage, SendMessageRefused, Sender};
use crate::testing::fixtures::{self, aci, device, link, register};
use crate::testing::world::World;

/// A store on which somebody else is always a little faster: before each append comes one of theirs.
struct Rivalry {
    store: MemoryStore,
    rivals: Mutex<Vec<Append>>,
    reads: AtomicUsize,
}

#[async_trait]
impl EventStore for Rivalry {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let rival = self.rivals.lock().unwrap().pop();
        if let Some(rival) = rival {
            self.store.append(rival).await?;
        }
        self.store.append(append).await
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.store.read(stream, from, limit).await
    }

    async fn read_all(
        &self,
        after: Position,
        families: &[Family],
        limit: usize,
    ) -> Result<Batch, ReadError> {
        self.store.read_all(after, families, limit).await
    }

    fn follow(
        &self,
        after: Position,
        families: &[Family],
    ) -> BoxStream<'static, Result<Batch, ReadError>> {
        self.store.follow(after, families)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.store.head().await
    }

    fn checks_guards(&self) -> bool {
        self.store.checks_guards()
    }
}

impl Rivalry {
    /// An executor on this world's log, and `times` rivals that each write into the account of person 1.
    fn in_world(world: &World, times: u8) -> Executor {
        Self::watched(world, times).0
    }

    /// The same, and the store to see how often it was read.
    fn watched(world: &World, times: u8) -> (Executor, Arc<Self>) {
        let seen = |n: u8| events::NewEvent {
            id: events::EventId::from_random([n; 16]),
            type_name: "DeviceSeen",
            data: r#"{"device":1}"#.into(),
            metadata: world.store.events()[0].metadata.clone(),
            payloads: vec![],
        };
        let write = |n| {
            Append::one(
                StreamId::account(aci(1)),
                events::Expected::Any,
                vec![seen(n)],
            )
        };
        let rivals = Mutex::new((0..times).map(write).collect());
        let store = world.store.clone();
        let payloads = Arc::new(store.clone());
        let rivalry = Arc::new(Self {
            store,
            rivals,
            reads: AtomicUsize::default(),
        });
        let executor = Executor::new(
            rivalry.clone(),
            payloads.clone(),
            payloads,
            Arc::<FrozenClock>::default(),
            Arc::<SeededEntropy>::default(),
        );
        (executor, rivalry)
    }
}

#[tokio::test]
async fn whoever_is_overtaken_looks_and_decides_again() {
    let world = World::with_people([1]).await;
    let node = Rivalry::in_world(&world, 3);
    let request = node.request_by(Actor::Anonymous);
    let linked = node.execute(&link(1, 1), &request).await.unwrap();
    assert_eq!(linked.done.address.device, device(2));
    let history = world.history(&StreamId::account(aci(1)));
    assert!(matches!(
        &history[..],
        [.., events::AnyEvent::Account(AccountEvent::DeviceLinked(_))]
    ));
    assert_eq!(history.len(), 1 + 3 + 1);
}

#[tokio::test]
async fn whoever_is_overtaken_every_time_gives_up_and_changes_nothing() {
    let world = World::with_people([1]).await;
    let rivals = u8::try_from(MAX_ATTEMPTS).unwrap();
    let node = Rivalry::in_world(&world, rivals);
    let outcome = node
        .execute(&link(1, 1), &node.request_by(Actor::Anonymous))
        .await;
    assert!(matches!(
        outcome,
        Err(Failure::Contended {
            attempts: MAX_ATTEMPTS
        })
    ));
    assert_eq!(
        world.history(&StreamId::account(aci(1))).len(),
        1 + usize::from(rivals)
    );
    assert_eq!(
        world
            .state::<Account>(aci(1))
            .await
            .live
            .unwrap()
            .devices
            .len(),
        1
    );
}

/// A message from person 1 to the first device of person 2.
fn message(number: u8) -> SendMessage {
    let sender = Sender::Identified(aci(1), device(1));
    let mut message = fixtures::message(aci(2).into(), sender, [(device(1), None)]);
    message.messages[0].guid = MessageGuid::from_random([number; 16]);
    message
}

#[tokio::test]
async fn what_is_remembered_is_not_read_again_as_long_as_it_is_so() {
    let world = World::with_people([1, 2]).await;
    let (node, store) = Rivalry::watched(&world, 0);
    let reads = async |command: &SendMessage| {
        let before = store.reads.load(Ordering::Relaxed);
        let request = node.request_by(Actor::Anonymous);
        let outcome = node.execute(command, &request).await;
        (outcome, store.reads.load(Ordering::Relaxed) - before)
    };
    let (sent, first) = reads(&message(1)).await;
    assert!(sent.is_ok() && first > 0);
    let (sent, again) = reads(&message(2)).await;
    assert!(sent.is_ok());
    assert_eq!(again, 0);

    // Another node links a device to the recipient: what this one remembers would leave it out.
    world.link(2, 1).await;
    let (refused, looked) = reads(&message(3)).await;
    assert!(
        matches!(
            &refused,
            Err(Failure::Refused(SendMessageRefused::MismatchedDevices { missing, .. })) if *missing == [device(2)]
        ),
        "{refused:?}"
    );
    assert!(looked > 0, "a refusal is not told from memory");
}

#[tokio::test]
async fn a_refusal_that_only_memory_gives_is_not_told() {
    let world = World::with_people([1, 2]).await;
    world.link(2, 1).await;
    let (node, _) = Rivalry::watched(&world, 0);
    let refused = node
        .execute(&message(1), &node.request_by(Actor::Anonymous))
        .await;
    assert!(matches!(
        refused,
        Err(Failure::Refused(
            SendMessageRefused::MismatchedDevices { .. }
        ))
    ));
    let remove = RemoveDevice {
        aci: aci(2),
        caller: device(1),
        target: device(2),
    };
    world.run(&remove).await;
    let sent = node
        .execute(&message(1), &node.request_by(Actor::Anonymous))
        .await;
    assert!(sent.is_ok(), "{sent:?}");
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_repeated_and_stored_once() {
    let world = World::with_people([1]).await;
    let before = world.store.events().len();
    world.store.cut_after(3);
    world.link(1, 1).await;
    assert_eq!(world.store.events().len(), before + 5);
}

#[tokio::test]
async fn a_store_that_stays_away_is_reported_and_the_next_request_finds_what_it_left() {
    let world = World::with_people([1]).await;
    world.store.cut_after(0);
    world.store.cut_after(0);
    let outcome = world.try_run(&link(1, 1)).await;
    assert!(matches!(outcome, Err(Failure::Unavailable(_))));
    assert_eq!(world.link(1, 1).await.device, device(2));
}

#[tokio::test]
async fn what_is_true_already_succeeds_without_an_event() {
    let world = World::with_people([1]).await;
    let seen = MarkSeen {
        aci: aci(1),
        device: device(1),
    };
    let executed = world.try_run(&seen).await.unwrap();
    assert_eq!(executed.position, None);
    world.clock.advance(std::time::Duration::from_hours(25));
    assert!(world.try_run(&seen).await.unwrap().position.is_some());
    assert!(world.try_run(&seen).await.unwrap().position.is_none());
}

#[tokio::test]
async fn the_position_is_that_of_the_last_event_and_ids_derive_from_the_request() {
    let world = World::with_people([1]).await;
    let request = world.request();
    let executed = world.executor.execute(&link(1, 1), &request).await.unwrap();
    let events = world.store.events();
    assert_eq!(executed.position, Some(events.last().unwrap().position));
    let caused = world.kinds_of(request.request);
    let keys = ["SignedPreKeyRotated", "LastResortPreKeySet"];
    assert_eq!(caused, [keys[0], keys[1], keys[0], keys[1], "DeviceLinked"]);
    for recorded in &events[events.len() - caused.len()..] {
        assert_eq!(recorded.id.uuid().get_version_num(), 7);
        assert_eq!(
            recorded.id.uuid().get_timestamp(),
            request.request.0.get_timestamp()
        );
    }
}

#[tokio::test]
async fn refused_commands_leave_no_trace() {
    let world = World::with_people([1]).await;
    world.link(1, 1).await;
    let before = world.store.events().len();
    assert_eq!(
        world.refused(&link(1, 1)).await,
        LinkDeviceRefused::TokenSpent
    );
    assert_eq!(world.store.events().len(), before);
}

#[tokio::test]
async fn another_node_sees_what_this_one_has_cached() {
    let world = World::with_people([1]).await;
    let other = world.another_node();
    let request = world.request();
    for spends in 1..=3 {
        let node = if spends % 2 == 0 {
            &world.executor
        } else {
            &other
        };
        let request = node.request_by(Actor::Anonymous);
        node.execute(&link(1, spends), &request).await.unwrap();
    }
    let remove = RemoveDevice {
        aci: aci(1),
        caller: device(1),
        target: device(3),
    };
    other.execute(&remove, &request).await.unwrap();
    assert_eq!(world.link(1, 4).await.device, device(3));
}

#[tokio::test]
async fn personal_values_are_sealed_in_the_log_and_open_in_the_state() {
    let world = World::with_people([1]).await;
    let number = crate::testing::fixtures::number(1);
    for recorded in world.store.events() {
        assert!(!String::from_utf8_lossy(&recorded.data).contains(number.as_str()));
    }
    let other = world.another_node();
    let stream = StreamId::account(aci(1));
    let (account, _) = other.catch_up::<Account>(&stream).await.unwrap();
    assert!(account.live.as_ref().unwrap().access_key().is_some());
    world.store.destroy(Subject::Account(aci(1))).await.unwrap();
    let (erased, _) = world
        .another_node()
        .catch_up::<Account>(&stream)
        .await
        .unwrap();
    assert!(erased.live.as_ref().unwrap().access_key().is_none());
}

#[tokio::test]
async fn a_deleted_account_that_comes_back_gets_a_new_personal_key() {
    let world = World::with_people([1]).await;
    world.run(&DeleteAccount { aci: aci(1) }).await;
    world.run(&register(1)).await;
    // However late the key of the earlier life is destroyed: the new life has another.
    world.store.destroy(Subject::Account(aci(1))).await.unwrap();
    let (account, _) = world
        .another_node()
        .catch_up::<Account>(&StreamId::account(aci(1)))
        .await
        .unwrap();
    assert!(account.live.as_ref().unwrap().access_key().is_some());
}
