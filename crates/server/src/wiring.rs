//! Builds the components and connects them. Reads as a list: store, workers, doors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::Api;
use api::admission::Quota;
use api::spam::{self, SpamFilter};
use api::ws::hub::Hub;
use crypto::secrets::ServerSecrets;
use events::Family;
use futures::StreamExt as _;
use projections::{Connections, MODELS, Model, Progress, Queries};
use sqlx::PgPool;
use subscription::{Subscription, Timing};
use tree::{Keeper, KeeperOptions};

use crate::config::Config;
use crate::doors::{self, Doors, Parts};
use crate::events_feed::{self, EventsFeed};
use crate::lifecycle::Lifecycle;
use crate::listeners::{Listeners, bind};
use crate::store::{Store, start_store};
use crate::{admin, effects, keygen, neighbours, objects, push, retention, telemetry};

/// What this process calls itself.
pub(crate) fn node() -> String {
    format!("heliograph-{}", std::process::id())
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
    let spam = doors::spam_filter(config);
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
    let mut options = doors::options(config, secrets, store, parts, lifecycle)?;
    if let Some(push) = push {
        options.push = push;
    }
    let api = Api::new(options);
    let router = api::router(api).merge(objects.router());
    doors::open_doors(config, listeners, &router, admin, lifecycle).await
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
    doors::open(
        listener,
        admin::router(admin),
        Quota::unlimited(),
        lifecycle,
    );
    Ok(address)
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
