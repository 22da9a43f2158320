//! Several nodes on one database.

#[path = "support/mod.rs"]
mod support;

use events::store::{AppendError, EventStore, Expected, Position, Revision};
use events::stream::Family;
use futures::future::{join, join_all};
use store_postgres::PgEventStore;
use support::{Acknowledged, assert_log_holds, write_steadily};
use testkit::contract::events::{append_of, append_one, followed, ids, new_stream, whole};
use testkit::postgres::TestDatabase;

async fn two_nodes(database: &TestDatabase) -> [PgEventStore; 2] {
    [database.event_store().await, database.event_store().await]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_under_load_keep_the_log_dense_and_both_followers_exact() {
    let database = TestDatabase::create().await;
    let nodes = two_nodes(&database).await;
    let (writers, rounds) = (16, 12);
    let end = Position((2 * writers * rounds / 3 * (1 + 5 + 2)) as u64);
    let writing = nodes
        .iter()
        .flat_map(|node| (0..writers).map(move |_| write_steadily(node, rounds)));
    let following = nodes
        .iter()
        .map(|node| followed(node, Position::START, &Family::ALL, end));
    let (acknowledged, views) = join(join_all(writing), join_all(following)).await;
    let acknowledged: Acknowledged = acknowledged.into_iter().flatten().collect();
    let log = assert_log_holds(&nodes[0], &acknowledged, 0).await;
    assert!(views.iter().all(|view| *view == log));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_on_two_nodes_each_revision_has_one() {
    let database = TestDatabase::create().await;
    let nodes = two_nodes(&database).await;
    let stream = new_stream();
    append_one(&nodes[0], &stream).await;
    for round in 0..10 {
        let appends = (0..16).map(|number| {
            nodes[number % 2].append(append_of(&stream, Expected::Exact(Revision(round)), 1))
        });
        let outcomes = join_all(appends).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for outcome in outcomes {
            match outcome {
                Ok(appended) => assert_eq!(appended.revisions, [Revision(round + 1)]),
                Err(AppendError::WrongRevision { actual, .. }) => {
                    assert_eq!(actual, Some(Revision(round + 1)));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(whole(&nodes[1], &stream).await.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_refuse_on_what_it_remembers_from_before_another_wrote() {
    let database = TestDatabase::create().await;
    let [one, two] = two_nodes(&database).await;
    let stream = new_stream();
    append_one(&one, &stream).await;
    append_one(&two, &stream).await;
    // To the first node the stream still stands at 0.
    let appended = one
        .append(append_of(&stream, Expected::Exact(Revision(1)), 1))
        .await
        .unwrap();
    assert_eq!(appended.revisions, [Revision(2)]);
    let refused = two
        .append(append_of(&stream, Expected::Exact(Revision(1)), 1))
        .await;
    assert!(
        matches!(
            refused,
            Err(AppendError::WrongRevision {
                actual: Some(Revision(2)),
                ..
            })
        ),
        "{refused:?}"
    );
    let refused = two.append(append_of(&stream, Expected::NoStream, 1)).await;
    assert!(
        matches!(
            refused,
            Err(AppendError::WrongRevision {
                actual: Some(Revision(2)),
                ..
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_repeated_on_another_node() {
    let database = TestDatabase::create().await;
    let [one, two] = two_nodes(&database).await;
    for expected in [Expected::NoStream, Expected::Any] {
        let append = append_of(&new_stream(), expected, 2);
        let first = one.append(append.clone()).await.unwrap();
        let again = two.append(append).await.unwrap();
        assert!(!first.repeated);
        assert!(again.repeated);
        assert_eq!(
            (again.position, again.revisions),
            (first.position, first.revisions)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_of_appends_on_another_node() {
    let database = TestDatabase::create().await;
    let [one, two] = two_nodes(&database).await;
    let append = append_of(&new_stream(), Expected::NoStream, 2);
    let following = followed(&two, Position::START, &Family::ALL, Position(2));
    let (events, appended) = join(following, one.append(append.clone())).await;
    assert_eq!(appended.unwrap().position, Position(2));
    assert_eq!(
        events.iter().map(|event| event.id).collect::<Vec<_>>(),
        ids(&append)
    );
}
