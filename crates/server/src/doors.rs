//! The doors: what they are built from, and how they are opened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::admission::{Origin, Quota};
use api::config::DialectSwitch;
use api::limits::buckets::Limits;
use api::listen::{Shutdown, serve};
use api::ports::BelieveCaptchas;
use api::spam::{RecipientQuota, SpamFilter, TrustEverybody};
use api::ws::hub::Hub;
use api::{Issuing, IssuingKeys, Options};
use commands::ports::PushNothing;
use crypto::secrets::ServerSecrets;
use doors_postgres::{PgBuckets, PgOutcomes};
use events::meeting::Meetings;
use events::ports::Entropy;
use live::MeetingPlaces;
use projections::Queries;
use sqlx::PgPool;
use store_postgres::PgPushedChallenges;

use crate::config::{Captcha, Config, Dialect};
use crate::lifecycle::Lifecycle;
use crate::listeners::{Listeners, TlsListener, bind};
use crate::store::{Store, executor};
use crate::{admin, challenges, sections, tls, verification};

/// What the doors are built from, beside the store.
pub(crate) struct Parts {
    pub(crate) queries: Queries,
    pub(crate) hub: Hub,
    pub(crate) spam: Arc<dyn SpamFilter>,
    pub(crate) uploads: ::objects::Objects,
}

/// Where the doors were opened.
pub(crate) struct Doors {
    pub(crate) http: Option<SocketAddr>,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// What the doors need, put together.
pub(crate) fn options(
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

/// Who notices senders of spam.
pub(crate) fn spam_filter(config: &Config) -> Arc<dyn SpamFilter> {
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

/// Serves whoever comes to a listener.
pub(crate) fn open(
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

/// Opens them all.
pub(crate) async fn open_doors(
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
