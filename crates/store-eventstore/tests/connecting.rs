//! Who is connected to, and what is said when nobody can be.

mod support;

use std::sync::Arc;

use events::{EventStore as _, Expected, Family, Position};
use futures::StreamExt as _;
use store_eventstore::Error;
use support::{connect, double, id, ids, one, why, why_unread};
use testkit::eventstore::Double;
use testkit::memory::MemoryStore;

fn with_user(url: &str, user: &str) -> String {
    url.replace("esdb://", &format!("esdb://{user}@"))
}

#[tokio::test]
async fn wrong_credentials_are_named_and_the_password_is_not() {
    let (double, _) = double().await;
    double.faults().require_credentials("admin", "changeit");
    let error = connect(&with_user(&double.url(), "admin:guessed"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::AccessDenied), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("guessed"));
    assert!(matches!(
        connect(&double.url()).await.err(),
        Some(Error::AccessDenied)
    ));
    let store = connect(&with_user(&double.url(), "admin:changeit"))
        .await
        .unwrap();
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
}

#[tokio::test]
async fn credentials_that_stop_working_end_a_follower_with_the_reason() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    let mut batches = store.follow(Position::START, &Family::ALL);
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    batches.next().await.unwrap().unwrap();
    double.faults().require_credentials("admin", "changed");
    double.faults().drop_connections();
    let error = why_unread(batches.next().await.unwrap().unwrap_err());
    assert!(matches!(error, Error::AccessDenied), "{error:?}");
    assert!(batches.next().await.is_none());
    let error = why(store.append(one(1, Expected::Any, &[2])).await.unwrap_err());
    assert!(matches!(error, Error::AccessDenied), "{error:?}");
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_named() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = connect(&format!("esdb://{address}?tls=false"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, Error::Unreachable { node, .. } if *node == address.to_string()),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_goes_away_is_found_again() {
    let (double, _) = double().await;
    let store = connect(&double.url()).await.unwrap();
    double.faults().refuse_connections(true);
    let error = why(store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap_err());
    assert!(
        matches!(error, Error::Broken(_) | Error::Unreachable { .. }),
        "{error:?}"
    );
    double.faults().refuse_connections(false);
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    assert_eq!(ids(&store, 1).await, [id(1)]);
}

/// Two nodes of one cluster, the first of which follows the second.
async fn follower_and_leader() -> (Double, Double) {
    let memory = MemoryStore::default();
    let follower = Double::over(Arc::new(memory.clone())).await;
    let leader = Double::over(Arc::new(memory)).await;
    follower
        .faults()
        .follow_leader("127.0.0.1", leader.address().port());
    (follower, leader)
}

#[tokio::test]
async fn a_follower_node_sends_everything_to_its_leader() {
    let (follower, leader) = follower_and_leader().await;
    let store = connect(&follower.url()).await.unwrap();
    let mut batches = store.follow(Position::START, &Family::ALL);
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    assert_eq!(batches.next().await.unwrap().unwrap().events[0].id, id(1));
    assert_eq!(
        (
            follower.faults().seen().appends,
            leader.faults().seen().appends
        ),
        (0, 1)
    );
}

#[tokio::test]
async fn a_change_of_leader_is_followed_without_an_error() {
    let (one_node, other) = follower_and_leader().await;
    let store = connect(&one_node.url()).await.unwrap();
    let mut batches = store.follow(Position::START, &Family::ALL);
    for number in 1..=6 {
        store
            .append(one(1, Expected::Any, &[number]))
            .await
            .unwrap();
        assert_eq!(
            batches.next().await.unwrap().unwrap().events[0].id,
            id(number)
        );
        let (old, new) = if number % 2 == 1 {
            (&other, &one_node)
        } else {
            (&one_node, &other)
        };
        new.faults().lead();
        old.faults()
            .follow_leader("127.0.0.1", new.address().port());
        old.faults().drop_connections();
    }
}

#[tokio::test]
async fn a_cluster_without_a_leader_says_so() {
    let (first, second) = follower_and_leader().await;
    second
        .faults()
        .follow_leader("127.0.0.1", first.address().port());
    let error = connect(&first.url()).await.err().unwrap();
    assert!(matches!(error, Error::NotLeader { .. }), "{error:?}");
}

#[tokio::test]
async fn of_several_hosts_the_leader_is_found_by_gossip() {
    let (follower, leader) = follower_and_leader().await;
    let (first, second) = (follower.address(), leader.address());
    let url =
        format!("esdb://{first},{second}?tls=false&discoveryInterval=1&maxDiscoverAttempts=5");
    let store = connect(&url).await.unwrap();
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    assert_eq!(
        (
            follower.faults().seen().appends,
            leader.faults().seen().appends
        ),
        (0, 1)
    );
}

#[tokio::test]
async fn several_hosts_none_of_which_answers_are_named() {
    let url = "esdb://127.0.0.1:1,127.0.0.1:2?tls=false&discoveryInterval=1";
    let error = connect(url).await.err().unwrap();
    let Error::NoNode { hosts, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(hosts, "127.0.0.1:1, 127.0.0.1:2");
}

#[tokio::test]
async fn tls_goes_to_the_name_in_the_address_and_no_other() {
    let double = Double::over_tls(Arc::new(MemoryStore::default())).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, double.certificate().unwrap()).unwrap();
    let trusting = format!("{}?tlsCaFile={}", double.url(), file.display());
    let store = connect(&trusting).await.unwrap();
    store
        .append(one(1, Expected::NoStream, &[1]))
        .await
        .unwrap();
    assert_eq!(ids(&store, 1).await, [id(1)]);

    let other_name = trusting.replace("localhost", "127.0.0.1");
    let error = connect(&other_name).await.err().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let stranger = Double::over_tls(Arc::new(MemoryStore::default())).await;
    std::fs::write(&file, stranger.certificate().unwrap()).unwrap();
    let error = connect(&trusting).await.err().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    connect(&format!("{}?tlsVerifyCert=false", double.url()))
        .await
        .unwrap();
}
