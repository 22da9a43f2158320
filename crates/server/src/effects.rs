//! Starts what has effects outside because of events, and what happens because time passes.

use std::sync::Arc;
use std::time::Duration;

use commands::ports::PushTransport;
use projections::Queries;
use reactors::Reactors;
use reactors::erasure::{self, Erasure, Sweep, SweepOptions};
use reactors::expiry::{Expiry, ExpiryOptions};
use reactors::pictures::{PictureStore, Pictures};
use subscription::{Reactor, Timing};

use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::push;
use crate::store::{Store, executor};
use crate::wiring::node;

/// Between two searches for what should have been erased.
const SWEEP_EVERY: Duration = Duration::from_hours(24);

/// Between two looks at messages that nobody fetched.
const EXPIRY_EVERY: Duration = Duration::from_mins(10);

/// Starts reactors and workers. Each works on one node at a time, by lease.
pub(crate) fn start(
    config: &Config,
    store: &Store,
    following: &subscription::Handle,
    queries: &Queries,
    pictures: Arc<dyn PictureStore>,
    push: Option<Arc<dyn PushTransport>>,
    lifecycle: &Lifecycle,
) {
    let tools = erasure::Tools {
        store: Arc::clone(&store.log),
        payloads: Arc::clone(&store.payloads),
        keys: Arc::clone(&store.keys),
        clock: Arc::clone(&store.clock),
    };
    let mut reactors: Vec<Arc<dyn Reactor>> = vec![
        Arc::new(Erasure::new(tools.clone())),
        Arc::new(Pictures::new(pictures)),
    ];
    if let Some(transport) = push {
        reactors.push(push::reactor(&store.pool));
        push::start_waker(store, queries, transport, lifecycle);
    }
    start_reactors(reactors, store, following, lifecycle);
    start_expiry(config, store, queries, lifecycle);
    let sweep = Sweep::new(SweepOptions {
        tools,
        database: store.pool.clone(),
        entropy: Arc::clone(&store.entropy),
        every: SWEEP_EVERY,
    });
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("sweep", async move {
        sweep.run(token).await;
        Ok(())
    });
}

fn start_reactors(
    reactors: Vec<Arc<dyn Reactor>>,
    store: &Store,
    following: &subscription::Handle,
    lifecycle: &Lifecycle,
) {
    let reactors = Reactors::new(reactors::Options {
        following: following.clone(),
        database: store.pool.clone(),
        clock: Arc::clone(&store.clock),
        node: node(),
        reactors,
        timing: Timing::default(),
    });
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("reactors", async move {
        reactors.run(token).await;
        Ok(())
    });
}

fn start_expiry(config: &Config, store: &Store, queries: &Queries, lifecycle: &Lifecycle) {
    let expiry = Expiry::new(ExpiryOptions {
        executor: executor(store),
        queries: queries.clone(),
        clock: Arc::clone(&store.clock),
        database: store.pool.clone(),
        retention: config.mailbox.retention(),
        every: EXPIRY_EVERY,
    });
    let token = lifecycle.workers.token.clone();
    lifecycle.workers.essential("expiry", async move {
        expiry.run(token).await;
        Ok(())
    });
}
