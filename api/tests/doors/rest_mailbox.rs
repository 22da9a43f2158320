//! The mailbox for clients without a WebSocket.

use serde_json::json;

use crate::support::Door;

#[tokio::test]
async fn messages_stay_until_they_are_deleted_and_their_sender_learns_of_it() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    for timestamp in 1..=3 {
        alice.send(&bob.aci, b"x", timestamp).await.expect(200);
    }
    let list = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(
        bob.client.get("/v1/messages").await.expect(200),
        list,
        "reading takes nothing away"
    );
    let guid = list["messages"][1]["guid"].as_str().unwrap();

    let path = format!("/v1/messages/uuid/{guid}");
    let deleted = bob.client.delete(&path).await;
    assert!(deleted.position().is_some());
    deleted.expect(204);
    let again = bob.client.delete(&path).await;
    assert_eq!((again.status.as_u16(), again.position()), (204, None));
    let left = bob.client.get("/v1/messages").await.expect(200);
    let timestamps: Vec<_> = left["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["timestamp"].clone())
        .collect();
    assert_eq!(
        (timestamps, &left["more"]),
        (vec![json!(1), json!(3)], &json!(false))
    );

    let receipts = alice.client.get("/v1/messages").await.expect(200);
    let receipt = &receipts["messages"][0];
    assert_eq!(
        (&receipt["type"], &receipt["timestamp"], &receipt["content"]),
        (&json!(5), &json!(2), &json!(null))
    );
    assert_eq!(
        (&receipt["sourceUuid"], &receipt["sourceDevice"]),
        (&json!(bob.aci), &json!(1))
    );
    assert_eq!(
        receipts["messages"].as_array().unwrap().len(),
        1,
        "one receipt, although it was deleted twice"
    );
}

#[tokio::test]
async fn a_page_is_full_at_100_messages() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    for timestamp in 1..=101 {
        alice.send(&bob.aci, b"x", timestamp).await.expect(200);
    }
    let list = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(
        (list["messages"].as_array().unwrap().len(), &list["more"]),
        (100, &json!(true))
    );
}

#[tokio::test]
async fn the_mailbox_is_the_callers_own() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    alice.send(&bob.aci, b"x", 1).await.expect(200);
    let list = bob.client.get("/v1/messages").await.expect(200);
    let guid = list["messages"][0]["guid"].as_str().unwrap();
    alice
        .client
        .delete(&format!("/v1/messages/uuid/{guid}"))
        .await
        .expect(204);
    assert_eq!(bob.client.get("/v1/messages").await.expect(200), list);
    bob.client.delete("/v1/messages/uuid/xyz").await.expect(404);
    door.client().get("/v1/messages").await.expect(401);
}
