//! `messages.Messages/GetMessages`.

use api::grpc::proto::messages::GetMessageOptions;
use api::grpc::proto::messages::GetMessagesStreamClosed;
use api::grpc::proto::messages::get_messages_request::Request as Ask;
use api::grpc::proto::messages::get_messages_stream_closed::Reason;
use bytes::Bytes;
use prost::Message as _;
use serde_json::json;
use tonic::Status;

use crate::support::calls::{field, reason};
use crate::support::device::message;
use crate::support::{Device, Door};

async fn two(door: &Door) -> (Device, Device) {
    (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    )
}

async fn story(door: &Door, to: &Device, timestamp: u64) {
    let mut body = message(b"a story", timestamp);
    body["messages"][0]["type"] = json!(6);
    let path = format!("/v1/messages/{}?story=true", to.aci);
    door.client().put(&path, body).await.expect(200);
}

/// What a stream was closed for, by its further detail.
fn closed_for(status: &Status) -> Option<Reason> {
    let whole = tonic_types::pb::Status::decode(status.details()).unwrap();
    let detail = whole.details.into_iter().find(|detail| {
        detail.type_url == "type.googleapis.com/org.signal.chat.messages.GetMessagesStreamClosed"
    });
    GetMessagesStreamClosed::decode(detail?.value.as_slice())
        .unwrap()
        .reason
}

#[tokio::test]
async fn the_backlog_comes_in_order_and_then_the_notice_once() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    for timestamp in 1..=3 {
        alice.send(&bob.aci, b"hello", timestamp).await.expect(200);
    }
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    let mut waiting = Vec::new();
    for timestamp in 1..=3 {
        let envelope = mailbox.message().await;
        assert_eq!(envelope.client_timestamp, Some(timestamp));
        waiting.push(envelope);
    }
    // In any order; what nobody has sent means nothing.
    mailbox.say(Ask::ServerGuidAck(Bytes::from_static(&[9; 16])));
    for envelope in waiting.iter().rev() {
        mailbox.acknowledge(envelope);
        mailbox.acknowledge(envelope);
    }
    mailbox.queue_empty().await;
    alice.send(&bob.aci, b"hello", 4).await.expect(200);
    assert_eq!(mailbox.accept().await, 4);
    alice.send(&bob.aci, b"hello", 5).await.expect(200);
    assert_eq!(mailbox.accept().await, 5, "the notice comes once");
}

#[tokio::test]
async fn what_is_not_acknowledged_comes_again() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    for timestamp in 1..=2 {
        alice.send(&bob.aci, b"hello", timestamp).await.expect(200);
    }
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    assert_eq!(mailbox.accept().await, 1);
    assert_eq!(mailbox.message().await.client_timestamp, Some(2));
    // The successor waits for what its predecessor has acknowledged.
    let mut successor = door.calls().by(&bob).mailbox(false).await;
    let ended = mailbox.ended().await.unwrap();
    assert_eq!(reason(&ended), (10, "STREAM_CLOSED".to_owned()));
    assert_eq!(closed_for(&ended), Some(Reason::ConflictingStream(())));
    assert_eq!(successor.accept().await, 2);
    successor.queue_empty().await;
}

#[tokio::test]
async fn what_a_displaced_client_had_acknowledged_before_it_heard_of_that_does_not_come_again() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    for timestamp in 1..=3 {
        alice.send(&bob.aci, b"hello", timestamp).await.expect(200);
    }
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    let mut taken = Vec::new();
    for _ in 1..=3 {
        taken.push(mailbox.message().await);
    }
    let mut successor = door.calls().by(&bob).mailbox(false).await;
    let ended = mailbox.ended().await.unwrap();
    assert_eq!(closed_for(&ended), Some(Reason::ConflictingStream(())));
    // To the server they are on their way for a long time. The client has nothing else to say, so nobody waits for more.
    mailbox.acknowledge(&taken[0]);
    mailbox.acknowledge(&taken[1]);
    mailbox.half_close();
    assert_eq!(successor.accept().await, 3);
    successor.queue_empty().await;
}

#[tokio::test]
async fn a_device_has_a_stream_or_a_websocket() {
    let door = Door::open().await;
    let bob = door.register("+12015550124").await;
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    mailbox.queue_empty().await;
    let mut socket = door.listen().await.by(&bob).open().await;
    let ended = mailbox.ended().await.unwrap();
    assert_eq!(closed_for(&ended), Some(Reason::ConflictingStream(())));
    socket.queue_empty().await;
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    mailbox.queue_empty().await;
    assert_eq!(socket.closed().await.0, 4409);
}

#[tokio::test]
async fn stories_come_unless_they_are_to_be_dropped() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    story(&door, &bob, 1).await;
    alice.send(&bob.aci, b"hello", 2).await.expect(200);
    let mut mailbox = door.calls().by(&bob).mailbox(true).await;
    assert_eq!(mailbox.accept().await, 2);
    mailbox.queue_empty().await;
    // Whoever drops stories has had them, so the next one comes when nobody drops it any more.
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    mailbox.queue_empty().await;
    story(&door, &bob, 3).await;
    let envelope = mailbox.message().await;
    assert_eq!(
        (envelope.client_timestamp, envelope.story),
        (Some(3), Some(true))
    );
}

#[tokio::test]
async fn a_client_that_says_something_else_is_told_so() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let calls = door.calls().by(&bob);
    let open = async || {
        let mailbox = calls.mailbox(false).await;
        alice.send(&bob.aci, b"hello", 1).await.expect(200);
        mailbox
    };
    let mut again = open().await;
    again.say(Ask::Options(GetMessageOptions::default()));
    assert_eq!(field::<()>(Err(again.ended().await.unwrap())), "request");
    let mut short = open().await;
    short.say(Ask::ServerGuidAck(Bytes::from_static(&[1; 15])));
    assert_eq!(
        field::<()>(Err(short.ended().await.unwrap())),
        "server_guid_ack"
    );
    let (requests, mut answers) = calls
        .stream::<api::grpc::proto::messages::GetMessagesRequest, api::grpc::proto::messages::GetMessagesResponse>(
            "messages.Messages/GetMessages",
        )
        .await
        .unwrap();
    drop(requests);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_device_that_is_removed_is_cut_off() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let tablet = door.link(&alice, "tablet").await;
    let mut mailbox = door.calls().by(&tablet).mailbox(false).await;
    mailbox.queue_empty().await;
    alice.client.delete("/v1/devices/2").await.expect(204);
    let ended = mailbox.ended().await.unwrap();
    assert_eq!(reason(&ended), (16, "INVALID_CREDENTIALS".to_owned()));
}

#[tokio::test]
async fn ephemeral_messages_are_acknowledged_like_others() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    mailbox.queue_empty().await;
    let mut body = message(b"typing", 7);
    body["online"] = json!(true);
    let path = format!("/v1/messages/{}", bob.aci);
    alice.client.put(&path, body).await.expect(200);
    assert_eq!(mailbox.accept().await, 7);
    alice.send(&bob.aci, b"hello", 8).await.expect(200);
    assert_eq!(mailbox.accept().await, 8);
}

#[tokio::test]
async fn no_more_is_on_its_way_than_the_window_takes() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    for timestamp in 1..=300 {
        alice.send(&bob.aci, b"hello", timestamp).await.expect(200);
    }
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    let mut taken = Vec::new();
    for _ in 0..256 {
        taken.push(mailbox.message().await);
    }
    // Whatever else comes first, it is not a 257th message.
    alice.client.delete("/v1/accounts/me").await.expect(204);
    bob.client.delete("/v1/accounts/me").await.expect(204);
    let ended = mailbox.ended_at_once().await;
    assert_eq!(reason(&ended), (16, "INVALID_CREDENTIALS".to_owned()));
}

#[tokio::test]
async fn each_acknowledgement_in_whatever_order_makes_room_for_one_message() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    for timestamp in 1..=260 {
        alice.send(&bob.aci, b"hello", timestamp).await.expect(200);
    }
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    let mut taken = Vec::new();
    for _ in 0..256 {
        taken.push(mailbox.message().await);
    }
    // One that was never sent, and one twice: neither makes room.
    mailbox.say(Ask::ServerGuidAck(Bytes::from_static(&[9; 16])));
    mailbox.acknowledge(&taken[200]);
    mailbox.acknowledge(&taken[200]);
    assert_eq!(mailbox.message().await.client_timestamp, Some(257));
    mailbox.acknowledge(&taken[3]);
    let last = mailbox.message().await;
    assert_eq!(last.client_timestamp, Some(258));
    mailbox.acknowledge(&last);
    let mut rest = vec![mailbox.message().await];
    for (index, envelope) in taken.iter().enumerate() {
        if index != 200 && index != 3 {
            mailbox.acknowledge(envelope);
        }
    }
    rest.push(mailbox.message().await);
    let timestamps: Vec<_> = rest.iter().map(|it| it.client_timestamp).collect();
    assert_eq!(timestamps, [Some(259), Some(260)]);
    for envelope in &rest {
        mailbox.acknowledge(envelope);
    }
    let left = async || bob.client.get("/v1/messages").await.expect(200);
    // 257 is not acknowledged, so the end of the queue has not come; another stream finds it, and nothing else.
    let mut successor = door.calls().by(&bob).mailbox(false).await;
    assert_eq!(successor.accept().await, 257);
    successor.queue_empty().await;
    assert_eq!(left().await["messages"], json!([]));
}

#[tokio::test]
async fn a_client_that_has_nothing_more_to_say_goes_on_to_receive() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    mailbox.queue_empty().await;
    mailbox.half_close();
    for timestamp in 1..=2 {
        alice.send(&bob.aci, b"hello", timestamp).await.expect(200);
        assert_eq!(mailbox.message().await.client_timestamp, Some(timestamp));
    }
}

/// The contents that are on their way at a time are bounded in bytes, and what the client does not read is not read from the
/// store either.
#[tokio::test]
async fn a_client_that_does_not_read_is_sent_no_more_than_its_window() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let long = vec![7; 90_000];
    for timestamp in 1..=40 {
        alice.send(&bob.aci, &long, timestamp).await.expect(200);
    }
    let mut mailbox = door.calls().by(&bob).mailbox(false).await;
    let mut bytes = 0;
    for timestamp in 1..=40 {
        let envelope = mailbox.message().await;
        assert_eq!(envelope.client_timestamp, Some(timestamp));
        bytes += envelope.content.as_ref().unwrap().len();
        mailbox.acknowledge(&envelope);
    }
    assert_eq!(bytes, 40 * long.len());
    mailbox.queue_empty().await;
}
