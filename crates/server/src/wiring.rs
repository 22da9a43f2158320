//! Builds the components and connects them. Reads as a list: store, workers, doors.

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::admission::{Origin, Quota};
use api::config::DialectSwitch;
use api::limits::buckets::Limits;
use api::listen::{Shutdown, serve};
use api::ports::BelieveCaptchas;
use api::spam::{self, RecipientQuota, SpamFilter, TrustEverybody};
use api::ws::hub::Hub;
use api::{Api, DoorEntropy, Issuing, IssuingKeys, Options};
use commands::Executor;
use commands::ports::PushNothing;
use crypto::secrets::ServerSecrets;
use doors_postgres::{PgBuckets, PgOutcomes};
use events::meeting::Meetings;
use events::personal::SubjectKeys;
use events::ports::{Clock, Entropy};
use events::store::PayloadStore;
use events::{EventStore, Family};
use futures::StreamExt as _;
use live::MeetingPlaces;
use projections::{Connections, MODELS, Model, Progress, Queries};
use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use store_postgres::{MIGRATOR, PgPayloadStore, PgPushedChallenges, PgSubjectKeys};
use subscription::{Subscription, Timing};
use tree::{Keeper, KeeperOptions};

use crate::config::{Captcha, Config, Dialect};
use crate::environment::{SystemClock, SystemEntropy};
use crate::events_feed::{self, EventsFeed};
use crate::lifecycle::Lifecycle;
use crate::listeners::{Listeners, TlsListener, bind};
use crate::{
    admin, challenges, effects, keygen, log, neighbours, objects, push, retention, sections,
    telemetry, tls, verification,
};

/// Connections for reading streams, payloads and keys. The appender and each projection have one of their own.
const LOG_CONNECTIONS: u32 = 8 + LISTENERS;

/// Connections that do nothing but listen: for appends of other nodes, for their progress, for what they hand this one, and for
/// what is brought to meetings.
const LISTENERS: u32 = 4;

/// What needs the log needs.
pub(crate) struct Store {
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) payloads: Arc<dyn PayloadStore>,
    pub(crate) keys: Arc<dyn SubjectKeys>,
    pub(crate) database: PgConnectOptions,
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// What the doors are built from, beside the store.
struct Parts {
    queries: Queries,
    hub: Hub,
    spam: Arc<dyn SpamFilter>,
    uploads: ::objects::Objects,
}

/// Where the doors were opened.
pub(crate) struct Doors {
    pub(crate) http: Option<SocketAddr>,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// The database of the configuration.
fn database(config: &Config) -> anyhow::Result<PgConnectOptions> {
    let options =
        PgConnectOptions::from_str(config.database.url.expose_secret()).map_err(|_| {
            anyhow::anyhow!(
                "database.url is not of the form postgres://user:password@host:port/database"
            )
        })?;
    // A process that was stopped in the middle of a transaction must not hold the others up: positions and leases wait
    // for its locks.
    Ok(options.options([("idle_in_transaction_session_timeout", "10s")]))
}

async fn pool(config: &Config, connections: u32) -> anyhow::Result<PgPool> {
    let options = database(config)?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false);
    pool.connect_with(options)
        .await
        .with_context(|| format!("database.url: cannot connect to Postgres at {place}"))
}

/// Brings the schema up to date.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<()> {
    let pool = pool(config, 1).await?;
    MIGRATOR
        .run(&pool)
        .await
        .context("cannot bring the database's schema up to date")?;
    pool.close().await;
    Ok(())
}

/// Starts everything that a serving process is made of.
pub(crate) async fn start(
    config: &Config,
    workers: bool,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Doors> {
    let metrics = telemetry::start_metrics()?;
    let secrets = keygen::read(&config.secrets.file)?;
    let store = start_store(config, lifecycle).await?;
    let progress = Model::progress();
    let following = start_subscription(&store, workers, &progress, lifecycle);
    if workers {
        start_tree(config, &secrets, &store, lifecycle);
        retention::start(config, &secrets, &store, lifecycle);
    }
    let connections = Connections {
        at_most: config.database.connections,
        ..Connections::default()
    };
    let queries = Queries::new(
        store.database.clone(),
        connections,
        Arc::clone(&store.log),
        progress,
    );
    let listeners = Listeners::open(config).await?;
    let key = secrets.doors.clone();
    let objects = objects::open(config, &listeners, key, &store.clock, lifecycle)?;
    objects::start_sweep(&objects, lifecycle);
    let push = push::transport(&config.push, &store.clock)?;
    if workers {
        effects::start(
            config,
            &store,
            &following,
            &queries,
            objects::pictures(&objects),
            push.clone(),
            lifecycle,
        );
    }
    let leaving = push
        .is_some()
        .then(|| push::note_leaving(&store.pool, lifecycle));
    let hub = neighbours::start(&store.pool, &*store.entropy, leaving, lifecycle);
    let spam = spam_filter(config);
    start_hub(&hub, &spam, &following, lifecycle).await?;
    let admin = admin::Admin {
        queries: queries.clone(),
        clock: Arc::clone(&store.clock),
        metrics,
        events: events_feed(config, &store, lifecycle)?,
    };
    start_sweep(&store, lifecycle);
    let parts = Parts {
        queries,
        hub,
        spam,
        uploads: objects.clone(),
    };
    let mut options = options(config, secrets, store, parts, lifecycle)?;
    if let Some(push) = push {
        options.push = push;
    }
    let api = Api::new(options);
    let doors = api::router(api).merge(objects.router());
    open_doors(config, listeners, &doors, admin, lifecycle).await
}

/// How often what the doors remember is swept.
const SWEEP: Duration = Duration::from_mins(10);

/// Sweeps rate limits and answers that nobody needs any more. Every node does: it costs two deletions by index.
fn start_sweep(store: &Store, lifecycle: &Lifecycle) {
    let (pool, clock) = (store.pool.clone(), Arc::clone(&store.clock));
    let token = lifecycle.doors.token.clone();
    lifecycle.doors.essential("sweep", async move {
        let sweeping = async {
            let mut turns = tokio::time::interval(SWEEP);
            loop {
                turns.tick().await;
                if let Err(error) = doors_postgres::sweep(&pool, clock.now()).await {
                    tracing::warn!(%error, "cannot sweep what the doors remember");
                }
            }
        };
        token.run_until_cancelled(sweeping).await;
        Ok(())
    });
}

/// Starts a process that only works on projections.
pub(crate) async fn start_worker(
    config: &Config,
    lifecycle: &Lifecycle,
) -> anyhow::Result<SocketAddr> {
    let metrics = telemetry::start_metrics()?;
    let secrets = keygen::read(&config.secrets.file)?;
    let store = start_store(config, lifecycle).await?;
    let progress = Model::progress();
    let following = start_subscription(&store, true, &progress, lifecycle);
    start_tree(config, &secrets, &store, lifecycle);
    retention::start(config, &secrets, &store, lifecycle);
    let queries = Queries::new(
        store.database.clone(),
        Connections::default(),
        Arc::clone(&store.log),
        progress,
    );
    let push = push::transport(&config.push, &store.clock)?;
    let key = secrets.doors.clone();
    let nowhere = Listeners::default();
    let objects = objects::open(config, &nowhere, key, &store.clock, lifecycle)?;
    let pictures = objects::pictures(&objects);
    effects::start(
        config, &store, &following, &queries, pictures, push, lifecycle,
    );
    let listener = bind("server.admin", config.server.admin).await?;
    let address = listener.local_addr()?;
    let admin = admin::Admin {
        queries,
        clock: Arc::clone(&store.clock),
        metrics,
        events: events_feed(config, &store, lifecycle)?,
    };
    open(
        listener,
        admin::router(admin),
        Quota::unlimited(),
        lifecycle,
    );
    Ok(address)
}

async fn start_store(config: &Config, lifecycle: &Lifecycle) -> anyhow::Result<Store> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(DoorEntropy::new(Arc::new(SystemEntropy)));
    let pool = pool(config, LOG_CONNECTIONS).await?;
    let eventstore = config.eventstore.as_ref();
    let eventstore = eventstore.map(|eventstore| eventstore.url.expose_secret());
    let log = log::open(&pool, eventstore, &clock, &lifecycle.store).await?;
    Ok(Store {
        log,
        payloads: Arc::new(PgPayloadStore::new(pool.clone())),
        keys: Arc::new(PgSubjectKeys::new(pool.clone(), Arc::clone(&entropy))),
        database: database(config)?,
        pool,
        clock,
        entropy,
    })
}

/// Starts following the log, and the projection workers if this process is to have any.
fn start_subscription(
    store: &Store,
    workers: bool,
    progress: &Progress,
    lifecycle: &Lifecycle,
) -> subscription::Handle {
    let projections = if workers {
        MODELS.iter().map(|model| model.projection()).collect()
    } else {
        Vec::new()
    };
    let (subscription, handle) = Subscription::new(subscription::Options {
        store: Arc::clone(&store.log),
        keys: Arc::clone(&store.keys),
        database: store.pool.clone(),
        clock: Arc::clone(&store.clock),
        node: node(),
        projections,
        progress: progress.clone(),
        timing: Timing::default(),
    });
    let token = lifecycle.workers.token.clone();
    if workers {
        start_clearing(store.pool.clone(), lifecycle);
    }
    lifecycle.workers.essential("subscription", async move {
        subscription.run(token).await;
        Ok(())
    });
    handle
}

/// What this process calls itself.
pub(crate) fn node() -> String {
    format!("heliograph-{}", std::process::id())
}

/// Runs commands against the log.
pub(crate) fn executor(store: &Store) -> Arc<Executor> {
    Arc::new(Executor::new(
        Arc::clone(&store.log),
        Arc::clone(&store.keys),
        Arc::clone(&store.payloads),
        Arc::clone(&store.clock),
        Arc::clone(&store.entropy),
    ))
}

/// Starts what keeps the tree over the log and signs its heads.
fn start_tree(config: &Config, secrets: &ServerSecrets, store: &Store, lifecycle: &Lifecycle) {
    let keeper = Keeper::new(KeeperOptions {
        store: Arc::clone(&store.log),
        database: store.pool.clone(),
        clock: Arc::clone(&store.clock),
        entropy: Arc::clone(&store.entropy),
        key: keygen::head_key(secrets),
        every: config.audit.heads_every(),
    });
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("tree", async move {
        keeper.run(token).await;
        Ok(())
    });
}

/// So often is looked for what killed rebuilds have left.
const CLEARED_EVERY: Duration = Duration::from_mins(1);

/// Starts clearing away the half-built tables of rebuilds that were killed.
fn start_clearing(pool: PgPool, lifecycle: &Lifecycle) {
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("sweep of rebuilds", async move {
        let sweep = async {
            loop {
                if let Err(error) = replay::sweep(&pool).await {
                    tracing::debug!(%error, "what killed rebuilds have left is cleared away later");
                }
                tokio::time::sleep(CLEARED_EVERY).await;
            }
        };
        token.run_until_cancelled(sweep).await;
        Ok(())
    });
}

/// What outside systems may follow.
fn events_feed(
    config: &Config,
    store: &Store,
    lifecycle: &Lifecycle,
) -> anyhow::Result<EventsFeed> {
    let token = config.audit.events_token_file.as_deref();
    let token = token.map(events_feed::read_token).transpose()?;
    let shutdown = lifecycle.doors.token.clone();
    Ok(EventsFeed::new(Arc::clone(&store.log), token, shutdown))
}

/// What the hub listens to: new messages, and devices that are gone.
const HUB_FAMILIES: &[Family] = &[Family::Mailbox, Family::Account];

async fn start_hub(
    hub: &Hub,
    spam: &Arc<dyn SpamFilter>,
    following: &subscription::Handle,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let mut facts = following.live(HUB_FAMILIES).await?;
    let (hub, spam) = (hub.clone(), Arc::clone(spam));
    let token = lifecycle.doors.token.clone();
    lifecycle.doors.essential("hub", async move {
        let observe = async {
            while let Some(portion) = facts.next().await {
                hub.observe(portion.iter().map(AsRef::as_ref));
                spam::observe(&*spam, portion.iter().map(AsRef::as_ref));
            }
        };
        token.run_until_cancelled(observe).await;
        Ok(())
    });
    Ok(())
}

fn options(
    config: &Config,
    secrets: ServerSecrets,
    store: Store,
    parts: Parts,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Options> {
    let meetings = start_meetings(&store.pool, &*store.entropy, lifecycle);
    Ok(Options {
        executor: executor(&store),
        queries: parts.queries,
        payloads: store.payloads,
        verification: verification::transport(&config.verification)?,
        codes: verification::mint(&config.verification, &store.entropy),
        push: Arc::new(PushNothing),
        captchas: Arc::new(BelieveCaptchas),
        uploads: Arc::new(parts.uploads),
        limits: Limits::new(
            config.rates.clone().into(),
            Arc::new(PgBuckets::new(store.pool.clone())),
            Arc::clone(&store.clock),
            secrets.doors.clone(),
        ),
        outcomes: Arc::new(PgOutcomes::new(store.pool.clone())),
        door_key: secrets.doors.clone(),
        challenges: Arc::new(challenges::Pushed(PgPushedChallenges::new(
            store.pool.clone(),
        ))),
        clock: store.clock,
        entropy: store.entropy,
        issuing: Issuing::new(IssuingKeys::from(&secrets)),
        link_tokens: secrets.link_tokens,
        pnis: secrets.phone_numbers,
        meetings,
        spam: parts.spam,
        config: api_config(config)?,
        hub: parts.hub,
        shutdown: shutdown(lifecycle),
    })
}

/// The places where clients meet.
fn start_meetings(
    database: &PgPool,
    entropy: &dyn Entropy,
    lifecycle: &Lifecycle,
) -> Arc<dyn Meetings> {
    let number = i64::from_be_bytes(entropy.bytes());
    let places = MeetingPlaces::new(database.clone(), number);
    let listening = places.clone().run(lifecycle.workers.token.clone());
    lifecycle.workers.essential("meetings", async move {
        listening.await;
        Ok(())
    });
    Arc::new(places)
}

fn spam_filter(config: &Config) -> Arc<dyn SpamFilter> {
    match config.spam.recipients_per_hour {
        0 => Arc::new(TrustEverybody),
        recipients => Arc::new(RecipientQuota::new(recipients, Duration::from_hours(1))),
    }
}

fn api_config(config: &Config) -> anyhow::Result<api::config::Config> {
    let mut doors = api::config::Config {
        dialect: match config.api.dialect {
            Dialect::Auto => DialectSwitch::ByContent,
            Dialect::Seed => DialectSwitch::Seed,
            Dialect::Deployed => DialectSwitch::Deployed,
        },
        read_your_writes: config.api.read_your_writes(),
        grpc: config.api.grpc,
        captcha_required: config.verification.captcha == Captcha::Any,
        verification: Arc::new(verification::policy(&config.verification)),
        required_capabilities: config.api.required_capabilities.clone(),
        number_waiting_period: Duration::from_secs(config.api.number_waiting_period_s),
        unproved_numbers: config.api.unproved_numbers,
        sockets: config.limits.sockets,
        sockets_per_address: config.limits.sockets_per_address,
        sockets_per_account: config.limits.sockets_per_account,
        attachment_bytes: config.objects.attachment_bytes,
        trusted_proxies: config.server.trusted_proxies.clone(),
        oldest_clients: config.api.oldest_clients.0.clone(),
        certificate_lifetime: Duration::from_hours(24 * u64::from(config.api.certificate_days)),
        payments_barred: config.api.payments_barred.clone(),
        relays: sections::relays(&config.calling)?,
        rollouts: sections::rollouts(&config.remote),
        ..api::config::Config::default()
    };
    let global = config.remote.global.iter();
    doors
        .remote
        .extend(global.map(|(name, value)| (format!("global.{name}"), value.clone())));
    Ok(doors)
}

fn shutdown(lifecycle: &Lifecycle) -> Shutdown {
    Shutdown {
        token: lifecycle.doors.token.clone(),
        tracker: lifecycle.doors.tracker.clone(),
    }
}

fn open(
    listener: impl api::listen::Listener,
    router: axum::Router,
    places: Arc<Quota<Origin>>,
    lifecycle: &Lifecycle,
) {
    let shutdown = shutdown(lifecycle);
    lifecycle.doors.essential("listener", async move {
        serve(listener, router, places, shutdown).await;
        Ok(())
    });
}

async fn open_doors(
    config: &Config,
    listeners: Listeners,
    router: &axum::Router,
    admin: admin::Admin,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Doors> {
    let mut doors = Doors {
        http: listeners.http(),
        https: listeners.https(),
        admin: config.server.admin,
    };
    let limits = &config.limits;
    let places = Quota::new(
        at_most(limits.connections),
        at_most(limits.connections_per_address),
    );
    if let Some(listener) = listeners.plain {
        open(listener, router.clone(), Arc::clone(&places), lifecycle);
    }
    if let (Some(listener), Some(files)) = (listeners.tls, &config.tls) {
        let tls = tls::server_config(&files.certificate, &files.key)?;
        let listener = TlsListener::new(listener, tls);
        open(listener, router.clone(), places, lifecycle);
    }
    let listener = bind("server.admin", config.server.admin).await?;
    doors.admin = listener.local_addr()?;
    open(
        listener,
        admin::router(admin),
        Quota::unlimited(),
        lifecycle,
    );
    Ok(doors)
}

/// A limit as the configuration has it: 0 is none.
const fn at_most(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}
