//! Sending over `messages.Messages` and `messages.MessagesAnonymous`.

use api::grpc::proto::common::ServiceIdentifier;
use api::grpc::proto::messages::individual_recipient_message_bundle::Message;
use api::grpc::proto::messages::send_message_authenticated_sender_response::Response as Outcome;
use api::grpc::proto::messages::send_message_response::Response as SealedOutcome;
use api::grpc::proto::messages::send_sealed_sender_message_request::Authorization;
use api::grpc::proto::messages::{
    IndividualRecipientMessageBundle, SendAuthenticatedSenderMessageRequest,
    SendMessageAuthenticatedSenderResponse, SendMessageResponse, SendMessageType,
    SendSealedSenderMessageRequest, SendStoryMessageRequest, SendSyncMessageRequest,
};
use bytes::Bytes;
use tonic::Status;

use super::{UNKNOWN, aci, pni};
use crate::support::calls::{Calls, field};
use crate::support::device::{ACCESS_KEY, REGISTRATION_ID};
use crate::support::{Device, Door};

/// Something for these devices, under this registration id.
fn bundle(
    kind: SendMessageType,
    devices: &[u32],
    registration_id: u64,
) -> IndividualRecipientMessageBundle {
    let message = Message {
        registration_id: u32::try_from(registration_id).unwrap(),
        payload: Bytes::from_static(b"hello"),
        r#type: kind.into(),
    };
    IndividualRecipientMessageBundle {
        timestamp: 1234,
        messages: devices
            .iter()
            .map(|device| (*device, message.clone()))
            .collect(),
    }
}

fn send(
    calls: &Calls,
    destination: Option<ServiceIdentifier>,
    messages: Option<IndividualRecipientMessageBundle>,
) -> impl Future<Output = Result<Outcome, Status>> + use<> {
    let request = SendAuthenticatedSenderMessageRequest {
        destination,
        ephemeral: false,
        urgent: true,
        messages,
    };
    let answer = calls
        .ask::<_, SendMessageAuthenticatedSenderResponse>("messages.Messages/SendMessage", request);
    async { answer.await.map(|answer| answer.response.unwrap()) }
}

fn mismatch(outcome: Outcome) -> [Vec<u32>; 3] {
    match outcome {
        Outcome::MismatchedDevices(devices) => {
            assert!(devices.service_identifier.is_some());
            [
                devices.missing_devices,
                devices.extra_devices,
                devices.stale_devices,
            ]
        }
        other => panic!("{other:?}"),
    }
}

async fn two(door: &Door) -> (Device, Device) {
    (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    )
}

#[tokio::test]
async fn a_message_waits_for_its_recipient() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let calls = door.calls().by(&alice);
    let ok = bundle(SendMessageType::DoubleRatchet, &[1], REGISTRATION_ID);
    let sent = send(&calls, aci(&bob.aci), Some(ok.clone())).await.unwrap();
    assert_eq!(sent, Outcome::Success(()));
    let list = bob.client.get("/v1/messages").await.expect(200);
    let message = &list["messages"][0];
    assert_eq!(
        (
            &message["type"],
            &message["timestamp"],
            &message["sourceUuid"]
        ),
        (&1.into(), &1234.into(), &alice.aci.clone().into())
    );
    let unknown = send(&calls, aci(UNKNOWN), Some(ok.clone())).await.unwrap();
    assert!(matches!(unknown, Outcome::DestinationNotFound(_)));
    for own in [aci(&alice.aci), pni(&alice.pni)] {
        assert_eq!(
            field(send(&calls, own, Some(ok.clone())).await),
            "destination"
        );
    }
}

#[tokio::test]
async fn other_devices_are_an_outcome() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    door.link(&bob, "tablet").await;
    let calls = door.calls().by(&alice);
    let to = async |devices: &[u32], registration_id| {
        let bundle = bundle(SendMessageType::DoubleRatchet, devices, registration_id);
        mismatch(send(&calls, aci(&bob.aci), Some(bundle)).await.unwrap())
    };
    assert_eq!(to(&[1], REGISTRATION_ID).await, [vec![2], vec![], vec![]]);
    assert_eq!(
        to(&[1, 2, 3], REGISTRATION_ID).await,
        [vec![], vec![3], vec![]]
    );
    let mut stale = to(&[1, 2], REGISTRATION_ID + 1).await;
    stale[2].sort_unstable();
    assert_eq!(stale, [vec![], vec![], vec![1, 2]]);
    // Whatever is wrong is told at once.
    let all = to(&[1, 5], REGISTRATION_ID + 1).await;
    assert_eq!(all, [vec![2], vec![5], vec![1]]);
    let list = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(list["messages"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn broken_rules_name_their_field() {
    let door = Door::open().await;
    let (alice, bob) = two(&door).await;
    let calls = door.calls().by(&alice);
    let ok = || bundle(SendMessageType::DoubleRatchet, &[1], REGISTRATION_ID);
    let refused = async |bundle| field(send(&calls, aci(&bob.aci), bundle).await);
    assert_eq!(refused(None).await, "messages");
    assert_eq!(field(send(&calls, None, Some(ok())).await), "");
    let mut untimely = ok();
    untimely.timestamp = 0;
    assert_eq!(refused(Some(untimely)).await, "timestamp");
    let mut empty = ok();
    empty.messages.clear();
    assert_eq!(refused(Some(empty)).await, "messages");
    for kind in [
        SendMessageType::UnidentifiedSender,
        SendMessageType::Unspecified,
    ] {
        assert_eq!(
            refused(Some(bundle(kind, &[1], REGISTRATION_ID))).await,
            "type"
        );
    }
    let mut large = ok();
    large.messages.get_mut(&1).unwrap().payload = vec![1; 98_305].into();
    assert_eq!(refused(Some(large)).await, "payload");
    let nowhere = bundle(SendMessageType::DoubleRatchet, &[128], REGISTRATION_ID);
    assert_eq!(refused(Some(nowhere)).await, "");
}

#[tokio::test]
async fn own_devices_are_told_by_a_way_of_their_own() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let sync = |messages| {
        let request = SendSyncMessageRequest {
            urgent: false,
            messages,
        };
        let answer = calls.ask::<_, SendMessageAuthenticatedSenderResponse>(
            "messages.Messages/SendSyncMessage",
            request,
        );
        async { answer.await.unwrap().response.unwrap() }
    };
    assert_eq!(sync(None).await, Outcome::Success(()));
    let tablet = door.link(&alice, "tablet").await;
    assert_eq!(mismatch(sync(None).await), [vec![2], vec![], vec![]]);
    let all = bundle(SendMessageType::DoubleRatchet, &[1, 2], REGISTRATION_ID);
    assert_eq!(mismatch(sync(Some(all)).await), [vec![], vec![1], vec![]]);
    let other = bundle(SendMessageType::DoubleRatchet, &[2], REGISTRATION_ID);
    assert_eq!(sync(Some(other)).await, Outcome::Success(()));
    let list = tablet.client.get("/v1/messages").await.expect(200);
    assert_eq!(list["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn sealed_senders_show_something_else() {
    let door = Door::open().await;
    let bob = door.register("+12015550124").await;
    let calls = door.calls();
    let send = |destination, kind, authorization| {
        let request = SendSealedSenderMessageRequest {
            destination,
            ephemeral: false,
            urgent: true,
            messages: Some(bundle(kind, &[1], REGISTRATION_ID)),
            authorization,
        };
        let method = "messages.MessagesAnonymous/SendSingleRecipientMessage";
        let answer = calls.ask::<_, SendMessageResponse>(method, request);
        async { answer.await.map(|answer| answer.response.unwrap()) }
    };
    let sealed = SendMessageType::UnidentifiedSender;
    let key = |byte| Some(Authorization::UnidentifiedAccessKey(vec![byte; 16].into()));
    let right = key(ACCESS_KEY[0]);
    assert_eq!(
        send(aci(&bob.aci), sealed, right.clone()).await.unwrap(),
        SealedOutcome::Success(())
    );
    for (destination, authorization) in [
        (aci(&bob.aci), key(8)),
        (aci(UNKNOWN), right.clone()),
        (aci(&bob.aci), Some(Authorization::UnrestrictedAccess(()))),
    ] {
        let refused = send(destination, sealed, authorization).await.unwrap();
        assert!(matches!(
            refused,
            SealedOutcome::FailedUnidentifiedAuthorization(_)
        ));
    }
    assert_eq!(
        field(send(aci(&bob.aci), sealed, None).await),
        "authorization"
    );
    assert_eq!(
        field(send(pni(&bob.pni), sealed, right.clone()).await),
        "authorization"
    );
    let unsealed = send(aci(&bob.aci), SendMessageType::DoubleRatchet, right).await;
    assert_eq!(field(unsealed), "type");
    let story = |destination| {
        let request = SendStoryMessageRequest {
            destination,
            urgent: false,
            messages: Some(bundle(sealed, &[1], REGISTRATION_ID)),
        };
        let answer =
            calls.ask::<_, SendMessageResponse>("messages.MessagesAnonymous/SendStory", request);
        async { answer.await.unwrap().response.unwrap() }
    };
    assert_eq!(story(aci(&bob.aci)).await, SealedOutcome::Success(()));
    assert_eq!(story(aci(UNKNOWN)).await, SealedOutcome::Success(()));
    let list = bob.client.get("/v1/messages").await.expect(200);
    assert_eq!(
        list["messages"].as_array().unwrap().len(),
        1,
        "without stories"
    );
}
