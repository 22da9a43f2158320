//! `account.Accounts`: one's own account.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials; the account or the device is gone |
//! | all | 3 | a field breaks its rule |

use commands::account::change_access::AccessChange;
use commands::account::change_protection::ProtectionChange;
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
    Capabilities, ChangeNumberRequest, ChangeNumberResponse, ClearRegistrationLockRequest,
    ClearRegistrationLockResponse, ConfigureUnidentifiedAccessRequest,
    ConfigureUnidentifiedAccessResponse, ConfirmTotpKeyRequest, ConfirmTotpKeyResponse,
    ConfirmUsernameHashRequest, ConfirmUsernameHashResponse, DeleteAccountRequest,
    DeleteAccountResponse, DeleteUsernameHashRequest, DeleteUsernameHashResponse,
    DeleteUsernameLinkRequest, DeleteUsernameLinkResponse, GenerateTotpKeyRequest,
    GenerateTotpKeyResponse, GetAccountDataReportRequest, GetAccountDataReportResponse,
    GetAccountIdentityRequest, GetAccountIdentityResponse, GetCapabilitiesRequest,
    GetCapabilitiesResponse, GetEntitlementsRequest, GetEntitlementsResponse, ListTotpKeysRequest,
    ListTotpKeysResponse, RemoveTotpKeyRequest, RemoveTotpKeyResponse, ReserveUsernameHashRequest,
    ReserveUsernameHashResponse, SetDiscoverableByPhoneNumberRequest,
    SetDiscoverableByPhoneNumberResponse, SetRegistrationLockRequest, SetRegistrationLockResponse,
    SetRegistrationRecoveryPasswordRequest, SetRegistrationRecoveryPasswordResponse,
    SetTotpKeyMetadataRequest, SetTotpKeyMetadataResponse, SetUsernameLinkRequest,
    SetUsernameLinkResponse, SetZkCredentialKeyRequest, SetZkCredentialKeyResponse,
};
use super::proto::common::{AccountIdentifiers, DeviceCapability};
use super::usernames::handle;
use super::{Door, ids, status};
use crate::http::accounts::data_report::report;

/// The account, as its owner sees it.
fn identifiers(account: Account) -> AccountIdentifiers {
    let (hash, link) = account
        .username
        .map(|username| (username.hash, username.link))
        .unzip();
    let link = link.flatten().map(|(link, _)| handle(link));
    AccountIdentifiers {
        service_identifiers: vec![ids::identifier(account.aci), ids::identifier(account.pni)],
        e164: account
            .number
            .map(|number| number.to_string())
            .unwrap_or_default(),
        username_hash: hash
            .map(|hash| hash.as_ref().to_vec().into())
            .unwrap_or_default(),
        username_link_handle: link.unwrap_or_default(),
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

/// What others may learn of it.
pub(super) fn public_capabilities(devices: &[Device]) -> Capabilities {
    let public = i32::from(DeviceCapability::SparsePostQuantumRatchet);
    let mut all = capabilities(devices);
    all.capabilities.retain(|capability| *capability == public);
    all
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

    async fn reserve_username_hash(
        &self,
        request: Request<ReserveUsernameHashRequest>,
    ) -> Result<Response<ReserveUsernameHashResponse>, Status> {
        self.reserve_username(DeviceCall::of(request)).await
    }

    async fn confirm_username_hash(
        &self,
        request: Request<ConfirmUsernameHashRequest>,
    ) -> Result<Response<ConfirmUsernameHashResponse>, Status> {
        self.confirm_username(DeviceCall::of(request)).await
    }

    async fn delete_username_hash(
        &self,
        request: Request<DeleteUsernameHashRequest>,
    ) -> Result<Response<DeleteUsernameHashResponse>, Status> {
        self.drop_username(DeviceCall::of(request)).await
    }

    async fn set_username_link(
        &self,
        request: Request<SetUsernameLinkRequest>,
    ) -> Result<Response<SetUsernameLinkResponse>, Status> {
        self.set_link(DeviceCall::of(request)).await
    }

    async fn delete_username_link(
        &self,
        request: Request<DeleteUsernameLinkRequest>,
    ) -> Result<Response<DeleteUsernameLinkResponse>, Status> {
        self.delete_link(DeviceCall::of(request)).await
    }

    async fn change_number(
        &self,
        request: Request<ChangeNumberRequest>,
    ) -> Result<Response<ChangeNumberResponse>, Status> {
        self.move_to_number(DeviceCall::of(request)).await
    }

    async fn generate_totp_key(
        &self,
        request: Request<GenerateTotpKeyRequest>,
    ) -> Result<Response<GenerateTotpKeyResponse>, Status> {
        self.generate_totp(DeviceCall::of(request)).await
    }

    async fn confirm_totp_key(
        &self,
        request: Request<ConfirmTotpKeyRequest>,
    ) -> Result<Response<ConfirmTotpKeyResponse>, Status> {
        self.confirm_totp(DeviceCall::of(request)).await
    }

    async fn list_totp_keys(
        &self,
        request: Request<ListTotpKeysRequest>,
    ) -> Result<Response<ListTotpKeysResponse>, Status> {
        self.list_totp(DeviceCall::of(request)).await
    }

    async fn set_totp_key_metadata(
        &self,
        request: Request<SetTotpKeyMetadataRequest>,
    ) -> Result<Response<SetTotpKeyMetadataResponse>, Status> {
        self.note_on_totp(DeviceCall::of(request)).await
    }

    async fn remove_totp_key(
        &self,
        request: Request<RemoveTotpKeyRequest>,
    ) -> Result<Response<RemoveTotpKeyResponse>, Status> {
        self.remove_totp(DeviceCall::of(request)).await
    }

    async fn set_registration_lock(
        &self,
        request: Request<SetRegistrationLockRequest>,
    ) -> Result<Response<SetRegistrationLockResponse>, Status> {
        let call = DeviceCall::of(request);
        let change = self.lock(&call.message.registration_lock);
        let position = self.change_protection(&call, change).await?;
        Ok(at(position, SetRegistrationLockResponse {}))
    }

    async fn clear_registration_lock(
        &self,
        request: Request<ClearRegistrationLockRequest>,
    ) -> Result<Response<ClearRegistrationLockResponse>, Status> {
        let call = DeviceCall::of(request);
        let change = ProtectionChange::NoRegistrationLock;
        let position = self.change_protection(&call, change).await?;
        Ok(at(position, ClearRegistrationLockResponse {}))
    }

    async fn set_registration_recovery_password(
        &self,
        request: Request<SetRegistrationRecoveryPasswordRequest>,
    ) -> Result<Response<SetRegistrationRecoveryPasswordResponse>, Status> {
        let call = DeviceCall::of(request);
        let change = self.recovery_password(&call.message.registration_recovery_password);
        let position = self.change_protection(&call, change).await?;
        Ok(at(position, SetRegistrationRecoveryPasswordResponse {}))
    }

    async fn set_zk_credential_key(
        &self,
        request: Request<SetZkCredentialKeyRequest>,
    ) -> Result<Response<SetZkCredentialKeyResponse>, Status> {
        self.set_credential_key(DeviceCall::of(request)).await
    }

    async fn configure_unidentified_access(
        &self,
        request: Request<ConfigureUnidentifiedAccessRequest>,
    ) -> Result<Response<ConfigureUnidentifiedAccessResponse>, Status> {
        let call = DeviceCall::of(request);
        let change = call.message.clone().parse()?;
        let position = self.change_access(&call, change).await?;
        Ok(at(position, ConfigureUnidentifiedAccessResponse {}))
    }

    async fn set_discoverable_by_phone_number(
        &self,
        request: Request<SetDiscoverableByPhoneNumberRequest>,
    ) -> Result<Response<SetDiscoverableByPhoneNumberResponse>, Status> {
        let call = DeviceCall::of(request);
        let change = AccessChange::Discoverable(call.message.discoverable_by_phone_number);
        let position = self.change_access(&call, change).await?;
        Ok(at(position, SetDiscoverableByPhoneNumberResponse {}))
    }

    async fn get_account_data_report(
        &self,
        request: Request<GetAccountDataReportRequest>,
    ) -> Result<Response<GetAccountDataReportResponse>, Status> {
        let call = DeviceCall::of(request);
        let report = report(&self.0, call.caller.aci).await;
        let report = report.map_err(|problem| status::of_problem(&problem))?;
        let json = serde_json::to_string(&report).map_err(|error| status::failed(&error))?;
        let text = report.text;
        Ok(Response::new(GetAccountDataReportResponse { json, text }))
    }
}
