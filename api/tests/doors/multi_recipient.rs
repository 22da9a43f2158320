//! `PUT /v1/messages/multi_recipient`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::ServiceId;
use events::ids::IdentityKind;
use serde_json::{Value, json};

use crate::support::device::{ACCESS_KEY, PNI_REGISTRATION_ID, REGISTRATION_ID, b64};
use crate::support::{Client, Device, Door, Reply};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const PATH: &str = "/v1/messages/multi_recipient?ts=1234&online=false&urgent=true";

/// A body for these devices of these recipients, in the form with kinds of ids.
fn body(recipients: &[(&str, &[(u8, u64)])], common: &[u8]) -> Vec<u8> {
    let mut body = vec![0x23, u8::try_from(recipients.len()).unwrap()];
    for (recipient, devices) in recipients {
        let recipient: ServiceId = recipient.parse().unwrap();
        body.push(u8::from(recipient.kind() == IdentityKind::Pni));
        body.extend(recipient.uuid().as_bytes());
        for (place, (device, registration_id)) in devices.iter().enumerate() {
            let more = u16::from(place + 1 < devices.len()) << 15;
            body.push(*device);
            body.extend((u16::try_from(*registration_id).unwrap() | more).to_be_bytes());
        }
        body.extend(key_material(recipient));
    }
    body.extend([5; 32]);
    body.extend(common);
    body
}

fn key_material(recipient: ServiceId) -> [u8; 48] {
    [recipient.uuid().as_bytes()[0]; 48]
}

async fn put(client: &Client, path: &str, body: Vec<u8>) -> Reply {
    let client = client
        .clone()
        .with("content-type", "application/vnd.signal-messenger.mrm");
    client.send("PUT", path, Some(body)).await
}

async fn waiting(device: &Device) -> Vec<Value> {
    let client = device
        .client
        .clone()
        .with("x-signal-receive-stories", "true");
    let list = client.get("/v1/messages").await.expect(200);
    list["messages"].as_array().unwrap().clone()
}

async fn two(door: &Door) -> (Device, Device) {
    (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    )
}

fn with_token(door: &Door, recipients: &[&str]) -> Client {
    door.client()
        .with("group-send-token", door.group_token(recipients))
}

/// Sends a story to the first device of each recipient.
pub(crate) async fn story(door: &Door, recipients: &[&Device]) -> Reply {
    let recipients: Vec<(&str, &[(u8, u64)])> = recipients
        .iter()
        .map(|device| (device.aci.as_str(), PRIMARY))
        .collect();
    let path = format!("{PATH}&story=true");
    put(&door.client(), &path, body(&recipients, b"story")).await
}

const PRIMARY: &[(u8, u64)] = &[(1, REGISTRATION_ID)];

#[tokio::test]
async fn a_group_send_token_opens_everybody_and_tells_who_is_not_there() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let tablet = door.link(&bob, "tablet").await;
    let by_number = format!("PNI:{}", alice.pni);
    let recipients: [(&str, &[(u8, u64)]); 3] = [
        (&bob.aci, &[(1, REGISTRATION_ID), (2, REGISTRATION_ID)]),
        (&by_number, &[(1, PNI_REGISTRATION_ID)]),
        (UNKNOWN, PRIMARY),
    ];
    let client = with_token(&door, &[&bob.aci, &by_number, UNKNOWN]);
    let sent = put(&client, PATH, body(&recipients, b"for all")).await;
    assert!(sent.position().is_some());
    assert_eq!(sent.expect(200), json!({ "uuids404": [UNKNOWN] }));
    for (device, address) in [(&bob, &bob.aci), (&tablet, &bob.aci), (&alice, &by_number)] {
        let messages = waiting(device).await;
        assert_eq!(messages.len(), 1);
        let message = &messages[0];
        assert_eq!(
            (&message["type"], &message["timestamp"]),
            (&json!(6), &json!(1234))
        );
        assert_eq!(
            (&message["sourceUuid"], &message["story"]),
            (&Value::Null, &json!(false))
        );
        assert_eq!(message["destinationUuid"], json!(address));
        let recipient: ServiceId = address.parse().unwrap();
        let expected = [&[0x22][..], &key_material(recipient), &[5; 32], b"for all"].concat();
        let content = message["content"].as_str().unwrap();
        assert_eq!(BASE64_STANDARD.decode(content).unwrap(), expected);
    }
    let others = with_token(&door, &[&bob.aci, UNKNOWN]);
    put(&others, PATH, body(&recipients, b"x"))
        .await
        .expect(401);
}

#[tokio::test]
async fn access_keys_are_combined() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    // The keys of both are the same, so that their sum is zero.
    let with = |key: [u8; 16]| door.client().with("unidentified-access-key", b64(key));
    let both: [(&str, &[(u8, u64)]); 2] = [(&alice.aci, PRIMARY), (&bob.aci, PRIMARY)];
    let sent = put(&with([0; 16]), PATH, body(&both, b"x")).await;
    assert_eq!(sent.expect(200), json!({ "uuids404": [] }));
    put(&with(ACCESS_KEY), PATH, body(&both, b"x"))
        .await
        .expect(401);
    put(&with(ACCESS_KEY), PATH, body(&both[..1], b"x"))
        .await
        .expect(200);
    put(&door.client(), PATH, body(&both, b"x"))
        .await
        .expect(401);
    put(&alice.client, PATH, body(&both, b"x"))
        .await
        .expect(401);
    let unknown: [(&str, &[(u8, u64)]); 2] = [both[0], (UNKNOWN, PRIMARY)];
    put(&with(ACCESS_KEY), PATH, body(&unknown, b"x"))
        .await
        .expect(404);
    let token = with([0; 16]).with("group-send-token", door.group_token(&[&alice.aci]));
    put(&token, PATH, body(&both, b"x")).await.expect(400);
    assert_eq!(
        (waiting(&alice).await.len(), waiting(&bob).await.len()),
        (2, 1)
    );
}

#[tokio::test]
async fn a_story_to_many_needs_nothing_and_passes_strangers_over() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let path = format!("{PATH}&story=true");
    let recipients: [(&str, &[(u8, u64)]); 2] = [(&alice.aci, PRIMARY), (UNKNOWN, PRIMARY)];
    let sent = put(&door.client(), &path, body(&recipients, b"x")).await;
    assert_eq!(sent.expect(200), json!({ "uuids404": [] }));
    assert_eq!(waiting(&alice).await[0]["story"], true);
    put(&door.client(), &path, body(&[(UNKNOWN, PRIMARY)], b"x"))
        .await
        .expect(200);
    let token = with_token(&door, &[&bob.aci]);
    put(&token, &path, body(&[(&bob.aci, PRIMARY)], b"x"))
        .await
        .expect(400);
}

#[tokio::test]
async fn sizes_come_before_devices_and_missing_devices_before_stale_ones() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    door.link(&bob, "tablet").await;
    let client = with_token(&door, &[&alice.aci, &bob.aci]);
    let send = |first: &'static [(u8, u64)], second: &'static [(u8, u64)], length: usize| {
        let body = body(&[(&alice.aci, first), (&bob.aci, second)], &vec![1; length]);
        let client = client.clone();
        async move { put(&client, PATH, body).await }
    };
    let mismatched = send(&[(1, 7)], PRIMARY, 1).await.expect(409);
    let devices = json!({ "missingDevices": [2], "extraDevices": [] });
    assert_eq!(mismatched, json!([{ "uuid": bob.aci, "devices": devices }]));
    let both = &[(1, REGISTRATION_ID), (2, REGISTRATION_ID)];
    let stale = send(&[(1, 7)], both, 1).await.expect(410);
    assert_eq!(
        stale,
        json!([{ "uuid": alice.aci, "devices": { "staleDevices": [1] } }])
    );
    send(&[(1, 7)], PRIMARY, 98_304).await.expect(413);
    assert!(waiting(&alice).await.is_empty() && waiting(&bob).await.is_empty());
    send(PRIMARY, both, 98_304 - 81).await.expect(200);
    assert_eq!(waiting(&bob).await.len(), 1);
}

#[tokio::test]
async fn what_is_no_message_to_many_is_refused() {
    let door = Door::open().await;
    let (alice, _) = two(&door).await;
    let client = with_token(&door, &[&alice.aci]);
    let good = || body(&[(&alice.aci, PRIMARY)], b"x");
    for bad in [
        vec![],
        vec![0x21],
        good()[..50].to_vec(),
        body(&[], b"x"),
        body(&[(&alice.aci, &[(1, 1), (1, 1)])], b"x"),
        vec![0x23; 762_177],
    ] {
        put(&client, PATH, bad).await.expect(400);
    }
    for ts in ["-1", "8640000000000001", "x", ""] {
        let path = format!("/v1/messages/multi_recipient?ts={ts}");
        put(&client, &path, good()).await.expect(400);
    }
    client.send("PUT", PATH, Some(good())).await.expect(415);
    client.put(PATH, json!({})).await.expect(415);
    put(&client, "/v1/messages/multi_recipient", good())
        .await
        .expect(200);
    let now = testkit::environment::FrozenClock::START_MILLIS;
    assert_eq!(waiting(&alice).await[0]["timestamp"], json!(now));
}
