use std::time::Duration;

use events::{Aci, StreamId, Timestamp};
use projections::Model;
use projections::account_activity::{ActiveDay, Counts, Day};
use testkit::environment::FrozenClock;
use testkit::history::History;
use testkit::history::samples::{self, Address};

use crate::support::World;

/// The day on which histories begin.
fn first() -> Day {
    Day::of(Timestamp::from_epoch_millis(FrozenClock::START_MILLIS).unwrap())
}

async fn of(world: &World, aci: Aci) -> Vec<ActiveDay> {
    let (from, through) = (first(), Day(first().0 + 30));
    let activity = world.queries.account_activity();
    activity.of(aci, from..=through).await.unwrap()
}

fn account(n: u32) -> StreamId {
    StreamId::account(samples::aci(n))
}

#[tokio::test]
async fn each_account_is_counted_for_what_it_does_and_what_comes_to_it() {
    let world = World::new().await;
    let to = Address(1, 1, 1);
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    for n in 1..=3 {
        history.message(to, n, b"hello");
    }
    let mailbox = StreamId::mailbox(to.into());
    history.then(mailbox.clone(), samples::delivered(&[1, 2]));
    history.then(mailbox.clone(), samples::expired(&[3]));
    for n in [1, 2] {
        history.then(mailbox.clone(), samples::reported(n, 2));
    }
    world.apply(Model::AccountActivity, &history).await;
    let came = Counts {
        received: 3,
        delivered: 2,
        expired: 1,
        changes: 1,
        ..Counts::default()
    };
    let day = first();
    assert_eq!(
        of(&world, samples::aci(1)).await,
        [ActiveDay { day, counts: came }]
    );
    let reported = Counts {
        reported: 2,
        ..Counts::default()
    };
    assert_eq!(
        of(&world, samples::aci(2)).await,
        [ActiveDay {
            day,
            counts: reported
        }]
    );
    let sent: u64 = sum_of_sent(&world).await;
    assert_eq!(
        sent,
        unsealed(&history),
        "senders that do not hide are counted"
    );
}

/// How many messages of a history name their sender.
fn unsealed(history: &History) -> u64 {
    use events::codec::AnyEvent;
    use events::mailbox::MailboxEvent::MessageQueued;
    let named = |event: &AnyEvent| matches!(event, AnyEvent::Mailbox(MessageQueued(it)) if it.source.is_some());
    history
        .facts()
        .iter()
        .filter(|fact| named(&fact.event))
        .count() as u64
}

async fn sum_of_sent(world: &World) -> u64 {
    let sql = "SELECT sum(sent)::bigint FROM read_models.account_activity_v1";
    let sum: i64 = sqlx::query_scalar(sql)
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    u64::try_from(sum).unwrap()
}

#[tokio::test]
async fn days_are_counted_apart_and_those_without_events_have_no_row() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(account(1), samples::registered(1, 1));
    let mut facts = history.facts().to_vec();
    let mut later = facts[0].clone();
    later.position = events::Position(2);
    later.event = samples::seen(1).into();
    later.metadata.at = later.metadata.at.plus(Duration::from_hours(48));
    facts.push(later);
    let mut connection = world.connection().await;
    crate::support::apply(&mut connection, Model::AccountActivity, &facts).await;
    let found = of(&world, samples::aci(1)).await;
    let days: Vec<_> = found
        .iter()
        .map(|it| (it.day.0 - first().0, it.counts.changes))
        .collect();
    assert_eq!(days, [(0, 1), (2, 1)]);
}

#[tokio::test]
async fn a_deleted_account_loses_its_days() {
    let world = World::new().await;
    let mut history = History::default();
    for n in [1, 2] {
        history.then(account(n), samples::registered(n, 1));
    }
    history.then(account(1), samples::deleted(1));
    world.apply(Model::AccountActivity, &history).await;
    assert_eq!(of(&world, samples::aci(1)).await, []);
    assert_eq!(of(&world, samples::aci(2)).await.len(), 1);
}
