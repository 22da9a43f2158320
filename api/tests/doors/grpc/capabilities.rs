//! What an account can do, as its devices and others learn it; and what could be bought.

use api::grpc::proto::account::get_capabilities_anonymous_request::Authentication;
use api::grpc::proto::account::get_capabilities_anonymous_response::Response as Able;
use api::grpc::proto::account::{
    GetCapabilitiesAnonymousRequest, GetCapabilitiesAnonymousResponse, GetCapabilitiesRequest,
    GetCapabilitiesResponse,
};
use api::grpc::proto::common::DeviceCapability;
use api::grpc::proto::device::{SetCapabilitiesRequest, SetCapabilitiesResponse};
use api::grpc::proto::purchase::{GetConfigurationRequest, GetConfigurationResponse};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use super::{UNKNOWN, aci, pni};
use crate::support::Door;
use crate::support::calls::{field, reason};
use crate::support::device::{ACCESS_KEY, attributes};

#[tokio::test]
async fn others_learn_less_than_the_account_itself() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let mut able = attributes();
    able["capabilities"] = json!({ "spqr": true, "attachmentBackfill": true });
    let attributes = alice.client.put("/v1/accounts/attributes/", able).await;
    attributes.expect(204);
    let calls = door.calls().by(&alice);
    let own: GetCapabilitiesResponse = calls
        .ask(
            "account.Accounts/GetCapabilities",
            GetCapabilitiesRequest {},
        )
        .await
        .unwrap();
    let spqr = i32::from(DeviceCapability::SparsePostQuantumRatchet);
    let backfill = i32::from(DeviceCapability::AttachmentBackfill);
    assert_eq!(own.capabilities.unwrap().capabilities, [backfill, spqr]);

    let ask = |who, authentication| {
        door.calls().ask::<_, GetCapabilitiesAnonymousResponse>(
            "account.AccountsAnonymous/GetCapabilities",
            GetCapabilitiesAnonymousRequest {
                account_identifier: who,
                authentication,
            },
        )
    };
    let key = |key: [u8; 16]| Some(Authentication::UnidentifiedAccessKey(key.to_vec().into()));
    let token = |who: &str| {
        let token = BASE64_STANDARD.decode(door.group_token(&[who])).unwrap();
        Some(Authentication::GroupSendToken(token.into()))
    };
    for right in [key(ACCESS_KEY), token(&alice.aci)] {
        let shown = ask(aci(&alice.aci), right).await.unwrap().response;
        let Some(Able::Capabilities(shown)) = shown else {
            panic!("{shown:?}");
        };
        assert_eq!(shown.capabilities, [spqr]);
    }
    for (who, wrong) in [
        (&*alice.aci, key([9; 16])),
        (&*alice.aci, token(UNKNOWN)),
        (UNKNOWN, key(ACCESS_KEY)),
    ] {
        let refused = ask(aci(who), wrong).await.unwrap().response;
        assert!(matches!(
            refused,
            Some(Able::FailedUnidentifiedAuthorization(_))
        ));
    }
    let nobody = ask(aci(UNKNOWN), token(UNKNOWN)).await.unwrap().response;
    assert!(matches!(nobody, Some(Able::NotFound(_))));
    assert_eq!(field(ask(aci(&alice.aci), None).await), "authentication");
    let by_number = ask(pni(&alice.pni), key(ACCESS_KEY)).await;
    assert_eq!(field(by_number), "account_identifier");
}

#[tokio::test]
async fn nothing_is_sold_to_anybody() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let method = "purchase.ProductConfiguration/GetConfiguration";
    for calls in [door.calls(), door.calls().by(&alice)] {
        let sold: GetConfigurationResponse =
            calls.ask(method, GetConfigurationRequest {}).await.unwrap();
        assert!(sold.currencies.is_empty() && sold.badge_levels.is_empty());
        assert_eq!(sold.sepa_maximum_euros, "0");
    }
    let wrong = door.calls().basic(&alice.username(), "wrong");
    let refused = wrong.ask::<_, GetConfigurationResponse>(method, GetConfigurationRequest {});
    let refused = refused.await.unwrap_err();
    assert_eq!(reason(&refused), (16, "INVALID_CREDENTIALS".to_owned()));
}

#[tokio::test]
async fn a_device_says_anew_what_it_can_do() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let able = async || {
        let own: GetCapabilitiesResponse = calls
            .ask(
                "account.Accounts/GetCapabilities",
                GetCapabilitiesRequest {},
            )
            .await
            .unwrap();
        own.capabilities.unwrap().capabilities
    };
    let set = |capabilities: &[i32]| {
        calls.call::<_, SetCapabilitiesResponse>(
            "device.Devices/SetCapabilities",
            SetCapabilitiesRequest {
                capabilities: capabilities.to_vec(),
            },
        )
    };
    let backfill = i32::from(DeviceCapability::AttachmentBackfill);
    let profiles = i32::from(DeviceCapability::ProfilesV2);
    let changed = set(&[backfill, profiles, backfill]).await.unwrap();
    assert!(changed.metadata().contains_key("x-event-position"));
    assert_eq!(able().await, [backfill, profiles]);
    let again = set(&[profiles, backfill]).await.unwrap();
    assert!(!again.metadata().contains_key("x-event-position"));
    for unknown in [0, 3, 99] {
        let refused = set(&[backfill, unknown]).await;
        assert_eq!(field(refused), "capabilities");
    }
    assert_eq!(able().await, [backfill, profiles]);
    set(&[]).await.unwrap();
    assert!(able().await.is_empty());
}
