//! `account.Accounts` and `account.AccountsAnonymous`.

use api::grpc::proto::account::{
    CheckAccountExistenceRequest, CheckAccountExistenceResponse, DeleteAccountRequest,
    DeleteAccountResponse, GetAccountIdentityRequest, GetAccountIdentityResponse,
    GetCapabilitiesRequest, GetCapabilitiesResponse,
};
use api::grpc::proto::common::DeviceCapability;
use tonic::Status;

use super::{UNKNOWN, aci, pni};
use crate::support::Door;
use crate::support::calls::{field, reason};

#[tokio::test]
async fn the_existence_of_accounts_is_told_to_nobody_in_particular() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let method = "account.AccountsAnonymous/CheckAccountExistence";
    let ask = |account| {
        door.calls().ask::<_, CheckAccountExistenceResponse>(
            method,
            CheckAccountExistenceRequest {
                service_identifier: account,
            },
        )
    };
    assert!(ask(aci(&alice.aci)).await.unwrap().account_exists);
    assert!(ask(pni(&alice.pni)).await.unwrap().account_exists);
    assert!(!ask(aci(UNKNOWN)).await.unwrap().account_exists);
    assert_eq!(field(ask(None).await), "");
    let request = CheckAccountExistenceRequest {
        service_identifier: aci(UNKNOWN),
    };
    let known = door.calls().by(&alice);
    let refused: Result<CheckAccountExistenceResponse, Status> = known.ask(method, request).await;
    assert_eq!(
        reason(&refused.unwrap_err()),
        (3, "BAD_AUTHENTICATION".to_owned())
    );
}

#[tokio::test]
async fn an_account_sees_itself_until_it_ends() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let calls = door.calls().by(&alice);
    let identity: GetAccountIdentityResponse = calls
        .ask(
            "account.Accounts/GetAccountIdentity",
            GetAccountIdentityRequest {},
        )
        .await
        .unwrap();
    let identity = identity.account_identifiers.unwrap();
    assert_eq!(
        identity.service_identifiers,
        [aci(&alice.aci).unwrap(), pni(&alice.pni).unwrap()]
    );
    assert_eq!(
        (identity.e164, identity.username_hash.len()),
        (alice.number.clone(), 0)
    );
    let capabilities: GetCapabilitiesResponse = calls
        .ask(
            "account.Accounts/GetCapabilities",
            GetCapabilitiesRequest {},
        )
        .await
        .unwrap();
    let capabilities = capabilities.capabilities.unwrap();
    let shown: Vec<_> = capabilities.capabilities().collect();
    assert_eq!(
        shown,
        [
            DeviceCapability::SparsePostQuantumRatchet,
            DeviceCapability::UsernameChangeSyncMessage
        ]
    );
    let deleted = calls
        .call::<_, DeleteAccountResponse>("account.Accounts/DeleteAccount", DeleteAccountRequest {})
        .await
        .unwrap();
    assert!(deleted.metadata().contains_key("x-event-position"));
    let gone: Result<GetAccountIdentityResponse, Status> = calls
        .ask(
            "account.Accounts/GetAccountIdentity",
            GetAccountIdentityRequest {},
        )
        .await;
    assert_eq!(
        reason(&gone.unwrap_err()),
        (16, "INVALID_CREDENTIALS".to_owned())
    );
}
