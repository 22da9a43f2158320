//! The limits of how often callers may call: those of REST, and counted together with it.

use std::time::Duration;

use api::Config;
use api::grpc::proto::account::{
    CheckAccountExistenceRequest, CheckAccountExistenceResponse, LookupUsernameHashRequest,
    LookupUsernameHashResponse, LookupUsernameLinkRequest, LookupUsernameLinkResponse,
    ReserveUsernameHashRequest, ReserveUsernameHashResponse, SetUsernameLinkRequest,
    SetUsernameLinkResponse,
};
use api::grpc::proto::credentials::{
    CheckSvrCredentialsRequest, CheckSvrCredentialsResponse, ExternalServiceType,
    GetExternalServiceCredentialsRequest, GetExternalServiceCredentialsResponse,
};
use api::grpc::proto::keys::{GetPreKeysRequest, GetPreKeysResponse};
use api::grpc::proto::messages::individual_recipient_message_bundle::Message as ForDevice;
use api::grpc::proto::messages::{
    IndividualRecipientMessageBundle, SendAuthenticatedSenderMessageRequest,
    SendMessageAuthenticatedSenderResponse, SendMessageType,
};
use api::limits::rates::{Limit, Rate, Rates};
use bytes::Bytes;
use prost::Message;
use tonic_types::StatusExt as _;

use super::aci;
use crate::support::Door;
use crate::support::calls::{Calls, reason};
use crate::support::device::REGISTRATION_ID;

/// Two permits of everything but registrations, and one back in a thousand seconds.
async fn strict() -> Door {
    let mut rates = Rates::default();
    let rate = Rate {
        size: 2,
        period: Duration::from_secs(1000),
    };
    for limit in Limit::ALL {
        if !matches!(limit, Limit::Registration | Limit::InboundMessageBytes) {
            rates.set(limit.name(), rate).unwrap();
        }
    }
    Door::open_limited(Config::default(), rates).await
}

/// Two calls are answered and the third one learns when to come again.
async fn third_is_refused<A: Message + Default + 'static>(
    calls: &Calls,
    method: &'static str,
    message: impl Message + Clone + 'static,
) {
    for _ in 0..2 {
        let answer: Result<A, _> = calls.ask(method, message.clone()).await;
        answer.unwrap_or_else(|status| panic!("{method}: {status}"));
    }
    let refused: Result<A, _> = calls.ask(method, message).await;
    let refused = refused.map(|_| method).unwrap_err();
    assert_eq!(
        reason(&refused),
        (8, "RESOURCE_EXHAUSTED".to_owned()),
        "{method}"
    );
    let retry = refused.get_details_retry_info().unwrap();
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1000)));
}

#[tokio::test]
async fn callers_are_counted_by_where_they_come_from() {
    let door = strict().await;
    let nobody = door.calls();
    third_is_refused::<CheckAccountExistenceResponse>(
        &nobody,
        "account.AccountsAnonymous/CheckAccountExistence",
        CheckAccountExistenceRequest {
            service_identifier: aci(super::UNKNOWN),
        },
    )
    .await;
    // The same bucket as over REST.
    let path = format!("/v1/accounts/account/{}", super::UNKNOWN);
    let reply = door.client().send("HEAD", &path, None).await;
    assert_eq!(reply.status, 429);
    third_is_refused::<LookupUsernameHashResponse>(
        &nobody,
        "account.AccountsAnonymous/LookupUsernameHash",
        LookupUsernameHashRequest {
            username_hash: vec![1; 32].into(),
        },
    )
    .await;
    third_is_refused::<LookupUsernameLinkResponse>(
        &nobody,
        "account.AccountsAnonymous/LookupUsernameLink",
        LookupUsernameLinkRequest {
            username_link_handle: vec![1; 16].into(),
        },
    )
    .await;
    third_is_refused::<CheckSvrCredentialsResponse>(
        &nobody,
        "credentials.CredentialsAnonymous/CheckSvrCredentials",
        CheckSvrCredentialsRequest {
            number: "+12015550123".to_owned(),
            passwords: vec!["user:password".to_owned()],
        },
    )
    .await;
}

#[tokio::test]
async fn devices_are_counted_by_their_accounts() {
    let door = strict().await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let calls = door.calls().by(&alice);
    third_is_refused::<ReserveUsernameHashResponse>(
        &calls,
        "account.Accounts/ReserveUsernameHash",
        ReserveUsernameHashRequest {
            username_hashes: vec![vec![1; 32].into()],
        },
    )
    .await;
    third_is_refused::<SetUsernameLinkResponse>(
        &calls,
        "account.Accounts/SetUsernameLink",
        SetUsernameLinkRequest {
            username_ciphertext: vec![1].into(),
            keep_link_handle: false,
        },
    )
    .await;
    third_is_refused::<GetExternalServiceCredentialsResponse>(
        &calls,
        "credentials.Credentials/GetExternalServiceCredentials",
        GetExternalServiceCredentialsRequest {
            external_service: ExternalServiceType::Storage.into(),
        },
    )
    .await;
    third_is_refused::<GetPreKeysResponse>(
        &calls,
        "keys.Keys/GetPreKeys",
        GetPreKeysRequest {
            target_identifier: aci(&bob.aci),
            device_id: None,
        },
    )
    .await;
    let message = ForDevice {
        registration_id: u32::try_from(REGISTRATION_ID).unwrap(),
        payload: Bytes::from_static(b"hello"),
        r#type: SendMessageType::DoubleRatchet.into(),
    };
    let send = SendAuthenticatedSenderMessageRequest {
        destination: aci(&bob.aci),
        ephemeral: false,
        urgent: true,
        messages: Some(IndividualRecipientMessageBundle {
            timestamp: 1,
            messages: [(1, message)].into(),
        }),
    };
    third_is_refused::<SendMessageAuthenticatedSenderResponse>(
        &calls,
        "messages.Messages/SendMessage",
        send,
    )
    .await;
    assert_eq!(alice.send(&bob.aci, b"hi", 2).await.status, 429);
    door.clock.advance(Duration::from_secs(1000));
    assert_eq!(alice.send(&bob.aci, b"hi", 2).await.status, 200);
}
