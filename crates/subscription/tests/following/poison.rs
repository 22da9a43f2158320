use events::{EventId, EventStore as _, Expected, Family, NewEvent, Position, StreamId};
use sqlx::Acquire as _;
use subscription::{Follower, NotParked, Projection, State};
use testkit::history::samples;

use crate::support::{Tally, Trap, World, upto};

const ALL: &[Family] = &Family::ALL;

async fn park(world: &World, tally: &Tally, position: u64) -> Result<(), NotParked> {
    let mut connection = world.pool().acquire().await.unwrap();
    let connection = connection.acquire().await.unwrap();
    let follower = Follower::from(tally as &dyn Projection);
    subscription::park(connection, &follower, Position(position), "it is cursed").await
}

/// The projection stops before the event, with all before it applied, and the other one goes on.
async fn stops_at(trap: Trap, error: &str) {
    let mut world = World::new().await;
    let tally = Tally::of("tally", ALL);
    tally.set(23, trap);
    world.append(60).await;
    let node = world.node("one", &[tally.clone(), Tally::of("other", ALL)]);
    let (position, said) = world.until_stopped(&tally).await;
    assert_eq!(position, Position(23));
    assert!(said.contains(error), "{said}");
    assert_eq!(world.kept("tally").await, upto(22));
    node.reached("other", Position(60)).await;
    assert_eq!(world.kept("other").await, upto(60));

    assert!(matches!(
        park(&world, &tally, 40).await,
        Err(NotParked::NotReached { .. })
    ));
    park(&world, &tally, 23).await.unwrap();
    let position = world.append(1).await;
    node.reached("tally", position).await;
    let kept: Vec<_> = upto(61)
        .into_iter()
        .filter(|position| *position != 23)
        .collect();
    assert_eq!(world.kept("tally").await, kept);
    let standing = world.standing(&tally).await;
    assert_eq!((standing.state, standing.parked), (State::Running, 1));
    node.stop().await;
}

#[tokio::test]
async fn an_event_that_does_not_fit_stops_its_projection_until_it_is_parked() {
    stops_at(Trap::Unfit, "it is cursed").await;
}

#[tokio::test]
async fn an_event_that_postgres_refuses_stops_its_projection_until_it_is_parked() {
    stops_at(Trap::Constraint, "check constraint").await;
}

#[tokio::test]
async fn an_event_that_panics_the_fold_stops_its_projection_until_it_is_parked() {
    stops_at(Trap::Panic, "it is cursed").await;
}

#[tokio::test]
async fn a_mended_projection_goes_on_after_a_restart() {
    let mut world = World::new().await;
    let cursed = Tally::of("tally", ALL);
    cursed.set(5, Trap::Unfit);
    world.append(10).await;
    let node = world.node("one", std::slice::from_ref(&cursed));
    world.until_stopped(&cursed).await;
    node.stop().await;
    let node = world.node("one", &[Tally::of("tally", ALL)]);
    node.reached("tally", Position(10)).await;
    assert_eq!(world.kept("tally").await, upto(10));
    node.stop().await;
}

#[tokio::test]
async fn an_event_that_nobody_can_read_stops_those_it_concerns() {
    let mut world = World::new().await;
    world.append(3).await;
    let unreadable = NewEvent {
        id: EventId::from_random([9; 16]),
        type_name: "NumberReleased",
        data: "{}".into(),
        metadata: "{}".into(),
        payloads: Vec::new(),
    };
    let stream = StreamId::number(samples::pni(1));
    let append = events::Append::one(stream, Expected::Any, vec![unreadable]);
    world.store.append(append).await.unwrap();
    let everything = Tally::of("tally", ALL);
    let mailboxes = Tally::of("other", &[Family::Mailbox]);
    let node = world.node("one", &[everything.clone(), mailboxes]);
    let (position, _) = world.until_stopped(&everything).await;
    assert_eq!(position, Position(4));
    assert_eq!(world.kept("tally").await, upto(3));
    node.reached("other", Position(4)).await;
    park(&world, &everything, 4).await.unwrap();
    node.reached("tally", Position(4)).await;
    assert_eq!(world.kept("tally").await, upto(3));
    node.stop().await;
}

#[tokio::test]
async fn parking_is_taken_back_once() {
    let mut world = World::new().await;
    let tally = Tally::of("tally", ALL);
    world.append(3).await;
    let node = world.node("one", std::slice::from_ref(&tally));
    node.reached("tally", Position(3)).await;
    world
        .until(&tally, |standing| standing.checkpoint == Position(3))
        .await;
    park(&world, &tally, 2)
        .await
        .expect("an event that is past can be parked for the next rebuild");
    let mut connection = world.pool().acquire().await.unwrap();
    let follower = Follower::from(&*tally as &dyn Projection);
    for parked in [true, false] {
        let unparked = subscription::unpark(&mut connection, &follower, Position(2)).await;
        assert_eq!(unparked.unwrap(), parked);
    }
    node.stop().await;
}
