use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use events::codec::Fact;
use events::{Family, Position};
use subscription::{
    Begins, Progress, Reacting, ReactingOptions, Reactor, Standing, State, Trouble,
    reactor_standings,
};
use testkit::environment::FrozenClock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{LONG, Node, TIMING, World, upto};

/// Writes down what it was asked to do.
struct Scribe {
    begins: Begins,
    done: Mutex<Vec<u64>>,
    cursed: Mutex<HashSet<u64>>,
    panics: bool,
    tried: Notify,
}

impl Scribe {
    fn of(begins: Begins, panics: bool) -> Arc<Self> {
        Arc::new(Self {
            begins,
            done: Mutex::default(),
            cursed: Mutex::default(),
            panics,
            tried: Notify::new(),
        })
    }

    fn curse(&self, position: u64) {
        self.cursed.lock().unwrap().insert(position);
    }

    fn bless(&self) {
        self.cursed.lock().unwrap().clear();
    }

    fn done(&self) -> Vec<u64> {
        self.done.lock().unwrap().clone()
    }
}

#[async_trait]
impl Reactor for Scribe {
    fn name(&self) -> &'static str {
        "scribe"
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Mailbox]
    }

    fn begins(&self) -> Begins {
        self.begins
    }

    fn at_once(&self) -> usize {
        7
    }

    async fn react(&self, facts: &[&Fact]) -> Result<(), Trouble> {
        assert!(facts.len() <= 7);
        for fact in facts {
            if self.cursed.lock().unwrap().contains(&fact.position.0) {
                self.tried.notify_one();
                assert!(!self.panics, "it is cursed");
                return Err(Trouble {
                    position: fact.position,
                    what: "it is cursed".to_owned(),
                });
            }
            self.done.lock().unwrap().push(fact.position.0);
        }
        Ok(())
    }
}

struct Working {
    progress: Progress,
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Working {
    fn start(world: &World, node: &Node, scribe: &Arc<Scribe>) -> Self {
        let progress = Progress::new([("scribe", 1)]);
        let reacting = Reacting::new(ReactingOptions {
            following: node.handle.clone(),
            database: world.pool().clone(),
            clock: Arc::new(FrozenClock::default()),
            node: "reacting".to_owned(),
            reactors: vec![scribe.clone()],
            progress: progress.clone(),
            timing: TIMING,
        });
        let shutdown = CancellationToken::new();
        let tracker = TaskTracker::new();
        tracker.spawn(reacting.run(shutdown.clone()));
        tracker.close();
        Self {
            progress,
            shutdown,
            tracker,
        }
    }

    async fn reached(&self, position: Position) {
        assert!(self.progress.reached(&["scribe"], position, LONG).await);
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(LONG, self.tracker.wait())
            .await
            .unwrap();
    }
}

async fn standing(world: &World) -> Standing {
    let all = reactor_standings(world.pool(), &*world.store, &FrozenClock::default()).await;
    all.unwrap().into_iter().next().unwrap()
}

#[tokio::test]
async fn every_effect_comes_about_in_order_and_not_again_after_a_restart() {
    let mut world = World::new().await;
    let node = world.node("one", &[]);
    let head = world.append(50).await;
    let scribe = Scribe::of(Begins::AtTheStart, false);
    let working = Working::start(&world, &node, &scribe);
    working.reached(head).await;
    assert_eq!(scribe.done(), upto(50));
    working.stop().await;

    let head = world.append(10).await;
    let working = Working::start(&world, &node, &scribe);
    working.reached(head).await;
    assert_eq!(scribe.done(), upto(60));
    working.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn who_begins_now_is_not_told_old_news() {
    let mut world = World::new().await;
    let node = world.node("one", &[]);
    world.append(20).await;
    let scribe = Scribe::of(Begins::Now, false);
    let working = Working::start(&world, &node, &scribe);
    working.reached(Position(20)).await;
    let head = world.append(3).await;
    working.reached(head).await;
    assert_eq!(scribe.done(), [21, 22, 23]);
    working.stop().await;
    node.stop().await;
}

/// The reactor stands before the event, visibly; nothing before it is done twice, and it goes on by itself.
async fn stands_and_goes_on(panics: bool, said: &str) {
    let mut world = World::new().await;
    let node = world.node("one", &[]);
    let scribe = Scribe::of(Begins::AtTheStart, panics);
    scribe.curse(23);
    world.append(40).await;
    let working = Working::start(&world, &node, &scribe);
    // The state is written after the first attempt and before the second.
    scribe.tried.notified().await;
    scribe.tried.notified().await;
    let State::Stopped { position, error } = standing(&world).await.state else {
        panic!("it stands");
    };
    assert!(error.contains(said), "{error}");
    let first = if panics { 22 } else { 23 };
    assert_eq!(position, Position(first));
    scribe.bless();
    working.reached(Position(40)).await;
    let mut done = scribe.done();
    done.dedup();
    if !panics {
        assert_eq!(scribe.done(), upto(40));
    }
    done.sort_unstable();
    done.dedup();
    assert_eq!(done, upto(40));
    working.stop().await;
    assert_eq!(standing(&world).await.state, State::Running);
    node.stop().await;
}

#[tokio::test]
async fn an_effect_that_does_not_come_about_is_tried_until_it_does() {
    stands_and_goes_on(false, "it is cursed").await;
}

#[tokio::test]
async fn a_reactor_that_panics_is_tried_again() {
    stands_and_goes_on(true, "the reactor panicked: it is cursed").await;
}
