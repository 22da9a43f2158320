//! A server in this process, clients for it, and devices with real keys.

pub(crate) mod calls;
pub(crate) mod client;
pub(crate) mod device;
pub(crate) mod socket;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use api::limits::buckets::Limits;
use api::limits::rates::Rates;
use api::ports::{BelieveCaptchas, ChallengesUnavailable, PushedChallenges};
use api::spam::RecipientQuota;
use api::{Api, Config, DoorEntropy, Hub, Issuing, IssuingKeys, Options, Shutdown};
use async_trait::async_trait;
use axum::Router;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use commands::Executor;
use commands::ports::{
    CodeMint, DeliveryFailed, Notification, PushFailed, PushTransport, VerificationTransport,
};
use crypto::linking::LinkTokens;
use crypto::phone::PniDeriver;
use crypto::secrets::ServerSecrets;
use crypto::zk::group_send::{self, Token};
use doors_postgres::{PgBuckets, PgOutcomes};
use events::account::PushToken;
use events::meeting::Meetings;
use events::personal::SubjectKeys;
use events::ports::{Clock as _, Entropy};
use events::store::PayloadStore;
use events::values::Redacted;
use events::verification::Transport;
use events::{Aci, E164, EventStore, Family, ServiceId, Timestamp};
use futures::StreamExt as _;
use live::MeetingPlaces;
use objects::{Objects, Place};
use projections::{Connections, MODELS, Model, Queries};
use store_postgres::{PgPayloadStore, PgSubjectKeys};
use subscription::{Handle, Subscription, Timing};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::postgres::TestDatabase;
use tokio::sync::watch;

pub(crate) use client::{Client, Reply};
pub(crate) use device::Device;

/// To how many recipients somebody may write within an hour before they are challenged.
pub(crate) const SPAM_QUOTA: usize = 20;

/// The code that is right for every number.
pub(crate) const CODE: &str = "123456";

/// The secrets of every server of these tests.
pub(crate) static SECRETS: LazyLock<ServerSecrets> = LazyLock::new(|| {
    let entropy: &dyn Entropy = &SeededEntropy::new(0x5ec7);
    ServerSecrets::generate(&mut entropy.rng())
});

/// A server, with everything that it stands on.
pub(crate) struct Door {
    pub(crate) router: Router,
    pub(crate) api: Api,
    pub(crate) clock: Arc<FrozenClock>,
    pub(crate) objects: Objects,
    pub(crate) phones: Arc<Phones>,
    pub(crate) shutdown: Shutdown,
    pub(crate) database: TestDatabase,
    /// For whoever follows the log beside the hub.
    pub(crate) following: Handle,
}

/// The phones of everybody: what was sent to them, or why it was not.
#[derive(Default)]
pub(crate) struct Phones {
    pub(crate) sent: Mutex<Vec<(String, String)>>,
    pub(crate) out_of_order: Mutex<Option<DeliveryFailed>>,
    pub(crate) pushed: watch::Sender<Vec<(PushToken, Notification)>>,
}

#[async_trait]
impl VerificationTransport for Phones {
    async fn deliver(
        &self,
        number: &E164,
        code: &str,
        _: Transport,
        _: Option<&str>,
    ) -> Result<(), DeliveryFailed> {
        if let Some(failed) = *self.out_of_order.lock().unwrap() {
            return Err(failed);
        }
        let message = (number.to_string(), code.to_owned());
        self.sent.lock().unwrap().push(message);
        Ok(())
    }
}

/// Challenges that were pushed and wait for their answers.
#[derive(Default)]
struct Challenges(Mutex<HashMap<Aci, ([u8; 16], Timestamp)>>);

#[async_trait]
impl PushedChallenges for Challenges {
    async fn remember(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        until: Timestamp,
    ) -> Result<(), ChallengesUnavailable> {
        self.0.lock().unwrap().insert(aci, (challenge, until));
        Ok(())
    }

    async fn take(
        &self,
        aci: Aci,
        challenge: [u8; 16],
        at: Timestamp,
    ) -> Result<bool, ChallengesUnavailable> {
        let mut challenges = self.0.lock().unwrap();
        let taken = challenges
            .get(&aci)
            .is_some_and(|(known, until)| *known == challenge && at <= *until);
        if taken {
            challenges.remove(&aci);
        }
        Ok(taken)
    }
}

#[async_trait]
impl PushTransport for Phones {
    async fn push(&self, to: &PushToken, what: &Notification) -> Result<(), PushFailed> {
        self.pushed
            .send_modify(|pushed| pushed.push((to.clone(), what.clone())));
        Ok(())
    }
}

struct FixedCode;

impl CodeMint for FixedCode {
    fn mint(&self, _: &E164) -> Redacted<Box<str>> {
        Redacted(CODE.into())
    }
}

/// The places where clients meet.
fn start_meetings(database: &TestDatabase, shutdown: &Shutdown) -> Arc<dyn Meetings> {
    let places = MeetingPlaces::new(database.pool.clone(), 1);
    let listening = places.clone().run(shutdown.token.clone());
    shutdown.tracker.spawn(listening);
    Arc::new(places)
}

/// Starts the read models, and shows their events to the hub.
async fn follow(hub: &Hub, options: subscription::Options, shutdown: &Shutdown) -> Handle {
    let (subscription, following) = Subscription::new(options);
    let mut live = following
        .live(&[Family::Mailbox, Family::Account])
        .await
        .expect("the log can be followed");
    shutdown
        .tracker
        .spawn(subscription.run(shutdown.token.clone()));
    let (observing, token) = (hub.clone(), shutdown.token.clone());
    shutdown.tracker.spawn(async move {
        let observe = async {
            while let Some(facts) = live.next().await {
                observing.observe(facts.iter().map(AsRef::as_ref));
            }
        };
        token.run_until_cancelled(observe).await;
    });
    following
}

fn objects_in_memory(clock: &Arc<FrozenClock>, shutdown: &Shutdown) -> Objects {
    Objects::new(objects::Options {
        place: Place::memory(),
        public_url: "https://objects.test".to_owned(),
        key: SECRETS.doors.clone(),
        clock: clock.clone(),
        tracker: shutdown.tracker.clone(),
    })
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::open_with(Config::default()).await
    }

    pub(crate) async fn open_with(config: Config) -> Self {
        Self::open_limited(config, Rates::off()).await
    }

    /// One that counts calls; the others let everybody call as often as they like.
    pub(crate) async fn open_limited(config: Config, rates: Rates) -> Self {
        let keys = IssuingKeys::from(&*SECRETS);
        Box::pin(Self::open_issuing(config, rates, keys)).await
    }

    /// One whose credentials are made with these keys.
    pub(crate) async fn open_issuing(mut config: Config, rates: Rates, keys: IssuingKeys) -> Self {
        // Long enough to be sure, however busy the machine is.
        config.read_your_writes = std::time::Duration::from_secs(30);
        let database = TestDatabase::create().await;
        let clock = Arc::new(FrozenClock::default());
        let entropy = Arc::new(DoorEntropy::new(Arc::new(SeededEntropy::default())));
        let store: Arc<dyn EventStore> = Arc::new(database.event_store().await);
        let payloads: Arc<dyn PayloadStore> = Arc::new(PgPayloadStore::new(database.pool.clone()));
        let subjects: Arc<dyn SubjectKeys> =
            Arc::new(PgSubjectKeys::new(database.pool.clone(), entropy.clone()));
        let shutdown = Shutdown::default();
        let progress = Model::progress();
        let hub = Hub::new();
        let following = follow(
            &hub,
            subscription::Options {
                store: store.clone(),
                keys: subjects.clone(),
                database: database.pool.clone(),
                clock: clock.clone(),
                node: "test".to_owned(),
                projections: MODELS.iter().map(|model| model.projection()).collect(),
                progress: progress.clone(),
                timing: Timing::default(),
            },
            &shutdown,
        )
        .await;
        let executor = Executor::new(
            store.clone(),
            subjects,
            payloads.clone(),
            clock.clone(),
            entropy.clone(),
        );
        let phones = Arc::new(Phones::default());
        let queries = Queries::new(
            database.connect_options(),
            Connections::default(),
            store,
            progress,
        );
        let objects = objects_in_memory(&clock, &shutdown);
        let api = Api::new(Options {
            executor: Arc::new(executor),
            queries,
            payloads,
            clock: clock.clone(),
            entropy,
            verification: phones.clone(),
            codes: Arc::new(FixedCode),
            push: phones.clone(),
            captchas: Arc::new(BelieveCaptchas),
            uploads: Arc::new(objects.clone()),
            limits: Limits::new(
                rates,
                Arc::new(PgBuckets::new(database.pool.clone())),
                clock.clone(),
                SECRETS.doors.clone(),
            ),
            outcomes: Arc::new(PgOutcomes::new(database.pool.clone())),
            door_key: SECRETS.doors.clone(),
            challenges: Arc::new(Challenges::default()),
            link_tokens: LinkTokens::new([1; 32]),
            pnis: PniDeriver::new([2; 32]),
            meetings: start_meetings(&database, &shutdown),
            spam: Arc::new(RecipientQuota::new(SPAM_QUOTA, Duration::from_hours(1))),
            issuing: Issuing::new(keys),
            config,
            hub,
            shutdown: shutdown.clone(),
        });
        let router = api::router(api.clone());
        Self {
            router,
            api,
            clock,
            objects,
            phones,
            shutdown,
            database,
            following,
        }
    }

    /// What a member of a group with these people shows, for one to two days from now.
    pub(crate) fn group_token(&self, people: &[&str]) -> String {
        let people = people.iter().map(|id| id.parse::<ServiceId>().unwrap());
        let expiration = group_send::expiration(self.clock.now());
        let token = Token::endorsing(&SECRETS.group, people, expiration);
        BASE64_STANDARD.encode(token.unwrap().to_bytes())
    }

    /// A client without credentials.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.router.clone())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shutdown.token.cancel();
    }
}
