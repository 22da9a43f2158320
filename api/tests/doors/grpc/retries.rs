//! Calls that come again with their `idempotency-key`, and where the log tells of a call.

use api::grpc::proto::keys::get_pre_keys_response::Response as Taken;
use api::grpc::proto::keys::{
    GetPreKeyCountRequest, GetPreKeyCountResponse, GetPreKeysRequest, GetPreKeysResponse,
};
use api::grpc::proto::messages::individual_recipient_message_bundle::Message as ForDevice;
use api::grpc::proto::messages::send_message_authenticated_sender_response::Response as Outcome;
use api::grpc::proto::messages::{
    IndividualRecipientMessageBundle, SendAuthenticatedSenderMessageRequest,
    SendMessageAuthenticatedSenderResponse, SendMessageType,
};
use bytes::Bytes;
use serde_json::json;
use tonic::{Response, Status};

use super::aci;
use crate::support::calls::{Calls, reason};
use crate::support::device::{REGISTRATION_ID, ec_pre_key};
use crate::support::{Device, Door};

const KEY: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

fn letter(
    to: &str,
    devices: &[u32],
    content: &'static [u8],
) -> SendAuthenticatedSenderMessageRequest {
    let message = ForDevice {
        registration_id: u32::try_from(REGISTRATION_ID).unwrap(),
        payload: Bytes::from_static(content),
        r#type: SendMessageType::DoubleRatchet.into(),
    };
    let messages = devices.iter().map(|device| (*device, message.clone()));
    SendAuthenticatedSenderMessageRequest {
        destination: aci(to),
        ephemeral: false,
        urgent: true,
        messages: Some(IndividualRecipientMessageBundle {
            timestamp: 1,
            messages: messages.collect(),
        }),
    }
}

type Sent = Result<Response<SendMessageAuthenticatedSenderResponse>, Status>;

async fn send(calls: &Calls, letter: SendAuthenticatedSenderMessageRequest) -> Sent {
    calls.call("messages.Messages/SendMessage", letter).await
}

fn said<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.metadata().get(name)?.to_str().ok()
}

/// What a caller learns.
fn learned<T: Clone>(response: &Response<T>) -> (T, [Option<String>; 2]) {
    let names = ["x-event-position", "x-request-id"];
    let metadata = names.map(|name| said(response, name).map(ToOwned::to_owned));
    (response.get_ref().clone(), metadata)
}

async fn two(door: &Door) -> (Device, Device) {
    (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    )
}

async fn waiting(device: &Device) -> usize {
    let list = device.client.get("/v1/messages").await.expect(200);
    list["messages"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_call_that_comes_again_is_answered_as_the_first_time() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let calls = door.calls().by(&alice).with("idempotency-key", KEY);
    let first = send(&calls, letter(&bob.aci, &[1], b"once")).await.unwrap();
    assert_eq!(first.get_ref().response, Some(Outcome::Success(())));
    assert!(said(&first, "x-event-position").is_some());
    assert_eq!(said(&first, "idempotency-replayed"), None);
    let again = send(&calls, letter(&bob.aci, &[1], b"once")).await.unwrap();
    assert_eq!(learned(&again), learned(&first));
    assert_eq!(said(&again, "idempotency-replayed"), Some("true"));
    assert_eq!(waiting(&bob).await, 1);

    let other = send(&calls, letter(&bob.aci, &[1], b"else")).await;
    let refused = (3, "CONSTRAINT_VIOLATED".to_owned());
    assert_eq!(reason(&other.unwrap_err()), refused);
    let short = door.calls().by(&alice).with("idempotency-key", "short");
    let short = send(&short, letter(&bob.aci, &[1], b"once")).await;
    assert_eq!(reason(&short.unwrap_err()), refused);
    // Bob's key of the same name is another one.
    let bobs = door.calls().by(&bob).with("idempotency-key", KEY);
    send(&bobs, letter(&alice.aci, &[1], b"once"))
        .await
        .unwrap();
    assert_eq!((waiting(&alice).await, waiting(&bob).await), (1, 1));
}

#[tokio::test]
async fn what_was_not_written_down_does_not_happen_twice_either() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let calls = door.calls().by(&alice).with("idempotency-key", KEY);
    let first = send(&calls, letter(&bob.aci, &[1], b"once")).await.unwrap();
    door.forget_answers().await;
    let again = send(&calls, letter(&bob.aci, &[1], b"once")).await.unwrap();
    assert_eq!(learned(&again), learned(&first));
    assert_eq!(waiting(&bob).await, 1);
}

#[tokio::test]
async fn outcomes_are_remembered_and_refusals_of_the_moment_are_not() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let calls = door.calls().by(&alice).with("idempotency-key", KEY);
    // The order of devices in a message is not theirs, but its writer's: it is the same bytes that come again.
    let letter_to_both = letter(&bob.aci, &[1, 2], b"once");
    let first = send(&calls, letter_to_both.clone()).await.unwrap();
    assert!(matches!(
        first.get_ref().response,
        Some(Outcome::MismatchedDevices(_))
    ));
    assert_eq!(said(&first, "x-event-position"), None);
    let again = send(&calls, letter_to_both).await.unwrap();
    assert_eq!(learned(&again), learned(&first));
    assert_eq!(said(&again, "idempotency-replayed"), Some("true"));
    // A broken rule is one for good; who somebody is, is asked anew each time.
    let other = "00000000-0000-4000-8000-000000000001";
    let calls = door.calls().by(&alice).with("idempotency-key", other);
    for _ in 0..2 {
        let refused = send(&calls, letter(&alice.aci, &[1], b"to myself")).await;
        let refused = refused.unwrap_err();
        assert_eq!(reason(&refused), (3, "CONSTRAINT_VIOLATED".to_owned()));
    }
    let wrong = door
        .calls()
        .basic(&alice.username(), "wrong")
        .with("idempotency-key", KEY);
    let refused = send(&wrong, letter(&bob.aci, &[1, 2], b"once")).await;
    assert_eq!(
        reason(&refused.unwrap_err()),
        (16, "INVALID_CREDENTIALS".to_owned())
    );
}

#[tokio::test]
async fn keys_are_taken_once_and_look_ups_are_made_each_time() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let keys: Vec<_> = (1..=3).map(ec_pre_key).collect();
    let upload = json!({ "preKeys": keys });
    bob.client.put("/v2/keys", upload).await.expect(204);
    let count = async || {
        let calls = door.calls().by(&bob).with("idempotency-key", KEY);
        let counts: GetPreKeyCountResponse = calls
            .ask("keys.Keys/GetPreKeyCount", GetPreKeyCountRequest {})
            .await
            .unwrap();
        counts.aci_ec_pre_key_count
    };
    let take = async || {
        let calls = door.calls().by(&alice).with("idempotency-key", KEY);
        let request = GetPreKeysRequest {
            target_identifier: aci(&bob.aci),
            device_id: Some(1),
        };
        let taken: GetPreKeysResponse = calls.ask("keys.Keys/GetPreKeys", request).await.unwrap();
        match taken.response.unwrap() {
            Taken::PreKeys(keys) => keys.device_pre_keys[&1].ec_one_time_pre_key.clone(),
            Taken::TargetNotFound(_) => panic!("Bob has keys"),
        }
    };
    assert_eq!(count().await, 3);
    let first = take().await;
    assert!(first.is_some());
    assert_eq!(take().await, first);
    assert_eq!(count().await, 2);
}
