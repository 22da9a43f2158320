//! Messages that nobody fetches.

use std::time::Duration;

use projections::Model;
use reactors::expiry::{Expiry, ExpiryOptions};

use crate::support::Door;

const RETENTION: Duration = Duration::from_hours(30 * 24);

fn expiry(door: &Door) -> Expiry {
    Expiry::new(ExpiryOptions {
        executor: door.api.executor.clone(),
        queries: door.api.queries.clone(),
        clock: door.clock.clone(),
        database: door.database.pool.clone(),
        retention: RETENTION,
        every: Duration::from_hours(1),
    })
}

#[tokio::test]
async fn after_the_retention_time_a_message_is_delivered_no_more() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    for timestamp in 1..=3 {
        alice.send(&bob.aci, b"x", timestamp).await.expect(200);
    }
    alice.send(&alice.aci, b"x", 1).await; // its own: refused, nothing waits
    door.clock
        .advance(RETENTION.saturating_sub(Duration::from_millis(1)));
    let sent = alice.send(&bob.aci, b"x", 4).await;
    let head = events::Position(sent.position().unwrap());
    let caught_up = door
        .api
        .queries
        .caught_up(&[Model::Inbox], head, Duration::from_secs(30))
        .await;
    assert!(caught_up);
    let expiry = expiry(&door);
    assert_eq!(expiry.once().await.unwrap(), 0, "not a moment too early");
    door.clock.advance(Duration::from_millis(2));
    assert_eq!(expiry.once().await.unwrap(), 3);
    let recorded = door.api.queries.head().await.unwrap();
    assert_eq!(expiry.once().await.unwrap(), 0);
    assert_eq!(
        door.api.queries.head().await.unwrap(),
        recorded,
        "what has expired does not expire again"
    );
    let opening = door.listen().await;
    let mut socket = opening.clone().by(&bob).open().await;
    assert_eq!(socket.accept().await, 4);
    socket.queue_empty().await;
    let mut sender = opening.by(&alice).open().await;
    let (_, receipt) = sender.message().await;
    assert_eq!(
        receipt.client_timestamp,
        Some(4),
        "whoever sent what expired learns nothing"
    );
}

#[tokio::test]
async fn a_mailbox_larger_than_a_page_expires_whole() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let opening = door.listen().await;
    let mut socket = opening.by(&alice).open().await;
    let path = format!("/v1/messages/{}", bob.aci);
    for burst in 0..22_u64 {
        let mut asked = Vec::new();
        for n in 0..50 {
            let message = crate::support::device::message(b"x", burst * 50 + n);
            asked.push(socket.ask("PUT", &path, Some(message)).await);
        }
        for id in asked {
            assert_eq!(socket.answer(id).await.status, Some(200));
        }
    }
    let head = door.api.queries.head().await.unwrap();
    let queries = &door.api.queries;
    assert!(
        queries
            .caught_up(&[Model::Inbox], head, Duration::from_secs(30))
            .await
    );
    door.clock.advance(RETENTION + Duration::from_millis(1));
    assert_eq!(expiry(&door).once().await.unwrap(), 1100);
    assert_eq!(
        bob.client.get("/v1/messages").await.expect(200)["messages"],
        serde_json::json!([])
    );
}
