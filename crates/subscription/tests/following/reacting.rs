use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use events::codec::Fact;
use events::{Family, Position};
use subscription::{
    Begins, Progress, Reacting, ReactingOptions, Reactor, Standing, State, Trouble,
    reactor_standings,
};
use testkit::environment::FrozenClock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{LONG, Node, TIMING, World, upto};

/// Writes down what it was asked to do.
struct Scribe {
    begins: Begins,
    done: Mutex<Vec<u64>>,
    cursed: Mutex<HashSet<u64>>,
    panics: bool,
}

impl Scribe {
    fn of(begins: Begins, panics: bool) -> Arc<Self> {
        Arc::new(Self {
            begins,
            done: Mutex::default(),
            cursed: Mutex::default(),
            panics,
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

async fn standing(world: &World) -> Option<Standing> {
    let all = reactor_standings(world.pool(), &*world.store, &FrozenClock::default()).await;
    all.unwrap().into_iter().next()
}

async fn state(world: &World) -> Option<State> {
    standing(world).await.map(|standing| standing.state)
}

/// Waits until the reactor stands before an event.
async fn stopped(world: &World) -> (Position, String) {
    let look = async {
        loop {
            if let Some(State::Stopped { position, error }) = state(world).await {
                return (position, error);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.expect("it stands")
}

fn distinct(mut done: Vec<u64>) -> Vec<u64> {
    done.sort_unstable();
    done.dedup();
    done
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
    let (position, error) = stopped(&world).await;
    assert!(error.contains(said), "{error}");
    assert_eq!(position, Position(23));
    scribe.bless();
    working.reached(Position(40)).await;
    if !panics {
        assert_eq!(scribe.done(), upto(40));
    }
    assert_eq!(distinct(scribe.done()), upto(40));
    working.stop().await;
    assert_eq!(state(&world).await, Some(State::Running));
    node.stop().await;
}

/// All others come about, and the books say that one does not.
async fn goes_on_without(panics: bool) {
    let mut world = World::new().await;
    let node = world.node("one", &[]);
    let scribe = Scribe::of(Begins::AtTheStart, panics);
    scribe.curse(23);
    world.append(40).await;
    let working = Working::start(&world, &node, &scribe);
    let (position, _) = stopped(&world).await;
    let reactors = subscription::reactors(world.pool()).await.unwrap();
    let mut connection = world.pool().acquire().await.unwrap();
    subscription::park(&mut connection, &reactors[0], position, "it is cursed")
        .await
        .unwrap();
    working.reached(Position(40)).await;
    let mut expected = upto(40);
    expected.retain(|position| *position != 23);
    assert_eq!(distinct(scribe.done()), expected);
    working.stop().await;
    let standing = standing(&world).await.unwrap();
    assert_eq!((standing.state, standing.parked), (State::Running, 1));
    node.stop().await;
}

#[tokio::test]
async fn a_reactor_passes_over_an_event_that_is_parked() {
    goes_on_without(false).await;
}

#[tokio::test]
async fn the_one_event_over_which_a_reactor_panics_can_be_parked() {
    goes_on_without(true).await;
}

#[tokio::test]
async fn an_effect_that_does_not_come_about_is_tried_until_it_does() {
    stands_and_goes_on(false, "it is cursed").await;
}

#[tokio::test]
async fn a_reactor_that_panics_is_tried_again() {
    stands_and_goes_on(true, "the reactor panicked: it is cursed").await;
}
