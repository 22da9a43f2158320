//! `account.Accounts`: one's own account.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials; the account or the device is gone |
//! | all | 3 | a field breaks its rule |

use commands::account::delete_account::DeleteAccount;
use events::values::Capability;
use events::{Aci, DeviceId};
use projections::Model;
use projections::accounts::Account;
use projections::devices::Device;
use tonic::{Request, Response, Status};

use super::call::{DeviceCall, at};
use super::proto::account::accounts_server::Accounts;
use super::proto::account::{
    Capabilities, DeleteAccountRequest, DeleteAccountResponse, GetAccountIdentityRequest,
    GetAccountIdentityResponse, GetCapabilitiesRequest, GetCapabilitiesResponse,
    GetEntitlementsRequest, GetEntitlementsResponse,
};
use super::proto::common::{AccountIdentifiers, DeviceCapability};
use super::{Door, ids, status};

/// The account, as its owner sees it.
fn identifiers(account: Account) -> AccountIdentifiers {
    AccountIdentifiers {
        service_identifiers: vec![ids::identifier(account.aci), ids::identifier(account.pni)],
        e164: account
            .number
            .map(|number| number.to_string())
            .unwrap_or_default(),
        ..AccountIdentifiers::default()
    }
}

impl Door {
    /// The caller's account. One that is gone takes its credentials with it.
    pub(super) async fn own_account(&self, aci: Aci) -> Result<Account, Status> {
        let account = self.0.queries.accounts().by_aci(aci).await;
        account
            .map_err(status::unanswered)?
            .ok_or_else(status::invalid_credentials)
    }

    pub(super) async fn devices_of(&self, aci: Aci) -> Result<Vec<Device>, Status> {
        let devices = self.0.queries.devices().of(aci).await;
        devices.map_err(status::unanswered)
    }
}

/// What an account as a whole can do, of what its own devices may learn.
pub(super) fn capabilities(devices: &[Device]) -> Capabilities {
    let can = |device: &Device, capability: Capability| device.capabilities.contains(&capability);
    let primary = |capability| {
        let mut primary = devices
            .iter()
            .filter(|device| device.id == DeviceId::PRIMARY);
        primary.any(|device| can(device, capability))
    };
    let all =
        |capability| !devices.is_empty() && devices.iter().all(|device| can(device, capability));
    let known = [
        (
            primary(Capability::AttachmentBackfill),
            DeviceCapability::AttachmentBackfill,
        ),
        (
            all(Capability::Spqr),
            DeviceCapability::SparsePostQuantumRatchet,
        ),
        (all(Capability::ProfilesV2), DeviceCapability::ProfilesV2),
        (
            all(Capability::UsernameChangeSyncMessage),
            DeviceCapability::UsernameChangeSyncMessage,
        ),
    ];
    let has = known.into_iter().filter(|(has, _)| *has);
    Capabilities {
        capabilities: has.map(|(_, capability)| capability.into()).collect(),
    }
}

#[tonic::async_trait]
impl Accounts for Door {
    async fn get_account_identity(
        &self,
        request: Request<GetAccountIdentityRequest>,
    ) -> Result<Response<GetAccountIdentityResponse>, Status> {
        let call = DeviceCall::of(request);
        let account = self.own_account(call.caller.aci).await?;
        Ok(Response::new(GetAccountIdentityResponse {
            account_identifiers: Some(identifiers(account)),
        }))
    }

    /// Nothing is sold here, so there is nothing to be entitled to.
    async fn get_entitlements(
        &self,
        request: Request<GetEntitlementsRequest>,
    ) -> Result<Response<GetEntitlementsResponse>, Status> {
        let call = DeviceCall::of(request);
        self.own_account(call.caller.aci).await?;
        Ok(Response::new(GetEntitlementsResponse::default()))
    }

    async fn delete_account(
        &self,
        request: Request<DeleteAccountRequest>,
    ) -> Result<Response<DeleteAccountResponse>, Status> {
        let call = DeviceCall::of(request);
        let command = DeleteAccount {
            aci: call.caller.aci,
        };
        let deleted = self.0.executor.execute(&command, &call.context).await;
        let deleted = status::decided(deleted)?.unwrap_or_else(|never| match never {});
        let position = self
            .0
            .settled(&deleted, &[Model::Accounts, Model::Devices])
            .await;
        Ok(at(position, DeleteAccountResponse {}))
    }

    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        let call = DeviceCall::of(request);
        let devices = self.devices_of(call.caller.aci).await?;
        Ok(Response::new(GetCapabilitiesResponse {
            capabilities: Some(capabilities(&devices)),
        }))
    }
}
