//! Devices that are not connected are woken, through doubles of the push services that look at everything they are sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::{Notification, PushFailed, PushTransport};
use events::account::PushToken;
use events::{Aci, DeviceId, Family};
use futures::StreamExt as _;
use live::Connected;
use reactors::push::{Pauses, Push, Waker, WakerOptions, Wakes};
use serde_json::json;
use subscription::Reactor as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{Device, Door};

const PATIENCE: Duration = Duration::from_secs(30);

/// Those between pushes do not pass by themselves: see [`Scene::passes`].
const PAUSES: Pauses = Pauses {
    urgent: Duration::from_hours(1),
    calm: Duration::from_hours(48),
    left: Duration::from_millis(400),
    retry: Duration::from_millis(20),
    longest: Duration::from_mins(1),
};

/// A push service: tells what it was given, and answers as it was told.
struct Double {
    given: UnboundedSender<(String, Notification)>,
    answers: Mutex<Vec<PushFailed>>,
}

#[async_trait]
impl PushTransport for Double {
    async fn push(&self, to: &PushToken, notification: &Notification) -> Result<(), PushFailed> {
        let (PushToken::Apn(token) | PushToken::Fcm(token)) = to;
        let given = (token.to_string(), notification.clone());
        self.given.send(given).unwrap();
        self.answers.lock().unwrap().pop().map_or(Ok(()), Err)
    }
}

struct Scene {
    door: Door,
    alice: Device,
    bob: Device,
    service: Arc<Double>,
    given: UnboundedReceiver<(String, Notification)>,
    wakes: Wakes,
}

impl Scene {
    /// Alice, and Bob whose device is to be woken; the reactor and the waker at work.
    async fn new() -> Self {
        let door = Door::open().await;
        let (alice, bob) = (
            door.register("+12015550123").await,
            door.register("+12015550124").await,
        );
        let token = json!({ "gcmRegistrationId": "bobs-token" });
        bob.client.put("/v1/accounts/gcm", token).await.expect(204);
        let (sender, given) = unbounded_channel();
        let service = Arc::new(Double {
            given: sender,
            answers: Mutex::default(),
        });
        let pool = door.database.pool.clone();
        let wakes = Wakes::new(pool.clone(), PAUSES);
        let connected = Connected::new(pool.clone(), Duration::from_secs(10));
        let worker = Waker::new(WakerOptions {
            wakes: wakes.clone(),
            connected: connected.clone(),
            queries: door.api.queries.clone(),
            executor: door.api.executor.clone(),
            transport: service.clone(),
            every: Duration::from_millis(10),
        });
        let (token, tracker) = (&door.shutdown.token, &door.shutdown.tracker);
        tracker.spawn(worker.run(token.clone()));
        let push = Push::new(pool, connected, PAUSES);
        let mut live = door.following.live(&[Family::Mailbox]).await.unwrap();
        let token = token.clone();
        tracker.spawn(async move {
            let reacting = async {
                while let Some(facts) = live.next().await {
                    let facts: Vec<_> = facts.iter().map(AsRef::as_ref).collect();
                    push.react(&facts).await.unwrap();
                }
            };
            token.run_until_cancelled(reacting).await;
        });
        Self {
            door,
            alice,
            bob,
            service,
            given,
            wakes,
        }
    }

    async fn send(&self, timestamp: u64, urgent: bool) {
        let mut message = crate::support::device::message(b"x", timestamp);
        message["urgent"] = json!(urgent);
        let path = format!("/v1/messages/{}", self.bob.aci);
        self.alice.client.put(&path, message).await.expect(200);
    }

    /// The next push must come.
    async fn pushed(&mut self) -> Notification {
        let given = tokio::time::timeout(PATIENCE, self.given.recv()).await;
        let (token, notification) = given.expect("a push comes").unwrap();
        assert_eq!(token, "bobs-token");
        notification
    }

    /// Everything that is due has been seen to, and nothing was pushed.
    async fn nothing_is_pushed(&mut self) {
        let seen_to = async {
            loop {
                let due: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM live.wakes WHERE due < now() + interval '61 s'",
                )
                .fetch_one(&self.door.database.pool)
                .await
                .unwrap();
                if due == 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen_to).await.unwrap();
        assert!(self.given.try_recv().is_err());
    }

    /// A device has been noted to be woken after this pause, and it passes.
    async fn passes(&self, pause: Duration) {
        let passes = async {
            while sqlx::query(
                "UPDATE live.wakes SET due = now()
                 WHERE due BETWEEN now() + make_interval(secs => $1 / 2) AND now() + make_interval(secs => $1)",
            )
            .bind(pause.as_secs_f64())
            .execute(&self.door.database.pool)
            .await
            .unwrap()
            .rows_affected()
                == 0
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, passes).await.unwrap();
    }

    fn address(&self) -> events::ids::DeviceAddress {
        events::ids::DeviceAddress {
            aci: self.bob.aci.parse::<Aci>().unwrap(),
            device: DeviceId::PRIMARY,
            generation: events::Generation(1),
        }
    }

    /// What a connected device of some node looks like.
    async fn connect(&self) {
        sqlx::raw_sql("INSERT INTO live.nodes VALUES ('00000000-0000-0000-0000-000000000001')")
            .execute(&self.door.database.pool)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO live.sockets VALUES ($1, 1, 1, '00000000-0000-0000-0000-000000000001', 1)",
        )
        .bind(self.address().aci.uuid())
        .execute(&self.door.database.pool)
        .await
        .unwrap();
    }
}

const URGENT: Notification = Notification::Messages { urgent: true };

#[tokio::test]
async fn many_messages_are_one_push_and_later_ones_another() {
    let mut scene = Scene::new().await;
    for timestamp in 1..=10 {
        scene.send(timestamp, true).await;
    }
    assert_eq!(scene.pushed().await, URGENT);
    // What came right behind the first is told once more, together.
    scene.send(11, true).await;
    scene.passes(PAUSES.urgent).await;
    assert_eq!(scene.pushed().await, URGENT);
    scene.nothing_is_pushed().await;
}

#[tokio::test]
async fn what_is_not_urgent_waits() {
    let mut scene = Scene::new().await;
    scene.send(1, false).await;
    scene.passes(PAUSES.calm).await;
    assert_eq!(
        scene.pushed().await,
        Notification::Messages { urgent: false }
    );
    scene.send(2, true).await;
    scene.passes(PAUSES.urgent).await;
    assert_eq!(
        scene.pushed().await,
        URGENT,
        "urgent ones do not wait for calm ones"
    );
}

#[tokio::test]
async fn who_is_connected_or_has_nothing_waiting_is_left_alone() {
    let mut scene = Scene::new().await;
    scene.connect().await;
    scene.send(1, true).await;
    scene.wakes.left(&[scene.address()]).await.unwrap();
    scene.nothing_is_pushed().await;
    sqlx::raw_sql("TRUNCATE live.sockets")
        .execute(&scene.door.database.pool)
        .await
        .unwrap();
    scene.wakes.left(&[scene.address()]).await.unwrap();
    assert_eq!(
        scene.pushed().await,
        URGENT,
        "it left while a message waited"
    );
    let page = scene.bob.client.get("/v1/messages").await.expect(200);
    let guid = page["messages"][0]["guid"].as_str().unwrap();
    let path = format!("/v1/messages/uuid/{guid}");
    let done = scene.bob.client.delete(&path).await;
    let position = events::Position(done.position().unwrap());
    let queries = &scene.door.api.queries;
    assert!(
        queries
            .caught_up(&[projections::Model::Inbox], position, PATIENCE)
            .await
    );
    scene.wakes.left(&[scene.address()]).await.unwrap();
    scene.nothing_is_pushed().await;
}

#[tokio::test]
async fn what_fails_for_the_moment_is_tried_again() {
    let mut scene = Scene::new().await;
    scene.service.answers.lock().unwrap().extend([
        PushFailed::Later(None),
        PushFailed::Later(Some(Duration::from_millis(50))),
        PushFailed::Later(None),
    ]);
    scene.send(1, true).await;
    for _ in 0..4 {
        assert_eq!(scene.pushed().await, URGENT);
    }
    scene.nothing_is_pushed().await;
}

#[tokio::test]
async fn a_token_that_its_service_does_not_know_is_taken_off_the_device() {
    let mut scene = Scene::new().await;
    scene
        .service
        .answers
        .lock()
        .unwrap()
        .push(PushFailed::InvalidToken);
    scene.send(1, true).await;
    assert_eq!(scene.pushed().await, URGENT);
    let gone = async {
        let devices = scene.door.api.queries.devices();
        while devices
            .one(scene.address().aci, DeviceId::PRIMARY)
            .await
            .unwrap()
            .unwrap()
            .push
            .is_some()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it goes");
    // The log says because of which message.
    let because: Vec<bool> = sqlx::query_scalar(
        "SELECT dropped.metadata->>'causation' = message.event_id::text
                AND dropped.metadata->>'correlation' = message.metadata->>'correlation'
         FROM log.readable dropped, log.readable message
         WHERE dropped.metadata->>'actor' = 'system:push' AND message.type = 'MessageQueued'",
    )
    .fetch_all(&scene.door.database.pool)
    .await
    .unwrap();
    assert_eq!(because, [true]);
    scene.send(2, true).await;
    scene.nothing_is_pushed().await;
}
