//! `device.Devices`: the devices of one's own account.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials |
//! | `RemoveDevice` | 3 | the primary device; another device, asked for by a linked one; no number of a device |
//! | `SetDeviceName` | 3 | another device, asked for by a linked one; no number of a device |
//! | `SetPushToken` | 3 | no token |
//! | `SetCapabilities` | 3 | a capability that the server does not know |
//!
//! Removing a device that is not there succeeds; that there is none to give a name to is an outcome.

use commands::Command;
use commands::account::clear_push_token::ClearPushToken;
use commands::account::rename_device::{RenameDevice, RenameDeviceRefused};
use commands::account::set_push_token::{PushChange, SetPushToken, SetPushTokenRefused};
use commands::device::change_capabilities::{ChangeCapabilities, ChangeCapabilitiesRefused};
use commands::device::remove_device::{RemoveDevice, RemoveDeviceRefused};
use events::account::PushToken;
use events::values::{Capabilities, Capability, EncryptedDeviceName, Redacted};
use projections::Model;
use projections::devices::Device;
use tonic::{Request, Response, Status};

use super::call::{DeviceCall, at};
use super::proto::common::DeviceCapability;
use super::proto::device::devices_server::Devices;
use super::proto::device::set_device_name_response::Response as Named;
use super::proto::device::set_push_token_request::TokenRequest;
use super::proto::device::{
    ClearPushTokenRequest, ClearPushTokenResponse, GetDevicesRequest, GetDevicesResponse,
    LinkedDevice, RemoveDeviceRequest, RemoveDeviceResponse, SetCapabilitiesRequest,
    SetCapabilitiesResponse, SetDeviceNameRequest, SetDeviceNameResponse, SetPushTokenRequest,
    SetPushTokenResponse,
};
use super::proto::errors::NotFound;
use super::{Door, ids, status};
use crate::http::devices::list::DeviceResponse;
use crate::state::EventPosition;

impl From<Device> for LinkedDevice {
    fn from(device: Device) -> Self {
        let device = DeviceResponse::from(device);
        Self {
            id: device.id.into(),
            name: device
                .name
                .map(|name| name.0.as_ref().to_vec().into())
                .unwrap_or_default(),
            last_seen: device.last_seen.epoch_millis(),
            registration_id: device.registration_id.into(),
            created_at_ciphertext: device
                .created_at_ciphertext
                .map(|sealed| sealed.0.as_ref().to_vec().into())
                .unwrap_or_default(),
        }
    }
}

/// What a device says that it can do. What the server does not know, it does not promise to others.
fn able(number: i32) -> Result<Capability, Status> {
    let unknown = || status::violated("capabilities", "must be known ones");
    Ok(match DeviceCapability::try_from(number) {
        Ok(DeviceCapability::Storage) => Capability::Storage,
        Ok(DeviceCapability::Transfer) => Capability::Transfer,
        Ok(DeviceCapability::AttachmentBackfill) => Capability::AttachmentBackfill,
        Ok(DeviceCapability::SparsePostQuantumRatchet) => Capability::Spqr,
        Ok(DeviceCapability::ProfilesV2) => Capability::ProfilesV2,
        Ok(DeviceCapability::UsernameChangeSyncMessage) => Capability::UsernameChangeSyncMessage,
        Ok(DeviceCapability::OptionalPhoneNumber) => Capability::OptionalPhoneNumber,
        Ok(DeviceCapability::Unspecified) | Err(_) => return Err(unknown()),
    })
}

fn primary_stays() -> Status {
    status::constraint("the primary device cannot be removed")
}

#[tonic::async_trait]
impl Devices for Door {
    async fn get_devices(
        &self,
        request: Request<GetDevicesRequest>,
    ) -> Result<Response<GetDevicesResponse>, Status> {
        let call = DeviceCall::of(request);
        let devices = self.devices_of(call.caller.aci).await?;
        Ok(Response::new(GetDevicesResponse {
            devices: devices.into_iter().map(Into::into).collect(),
        }))
    }

    async fn remove_device(
        &self,
        request: Request<RemoveDeviceRequest>,
    ) -> Result<Response<RemoveDeviceResponse>, Status> {
        let call = DeviceCall::of(request);
        if call.message.id == 1 {
            return Err(primary_stays());
        }
        if !call.caller.device.is_primary() && call.message.id != u32::from(call.caller.device) {
            return Err(not_primary());
        }
        let command = RemoveDevice {
            aci: call.caller.aci,
            caller: call.caller.device,
            target: ids::device(call.message.id)?,
        };
        let removed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(removed)? {
            Ok(removed) => {
                let position = self
                    .0
                    .settled(&removed, &[Model::Devices, Model::Accounts])
                    .await;
                Ok(at(position, RemoveDeviceResponse {}))
            }
            Err(RemoveDeviceRefused::NoSuchDevice) => Ok(Response::new(RemoveDeviceResponse {})),
            Err(RemoveDeviceRefused::NotPrimary) => Err(not_primary()),
            Err(RemoveDeviceRefused::PrimaryStays) => Err(primary_stays()),
        }
    }

    async fn set_device_name(
        &self,
        request: Request<SetDeviceNameRequest>,
    ) -> Result<Response<SetDeviceNameResponse>, Status> {
        let call = DeviceCall::of(request);
        let target = ids::device(call.message.id)?;
        if !call.caller.device.is_primary() && call.caller.device != target {
            return Err(not_primary());
        }
        let name = EncryptedDeviceName::try_from(call.message.name.to_vec());
        let command = RenameDevice {
            aci: call.caller.aci,
            caller: call.caller.device,
            target,
            name: name
                .map_err(|_| status::violated("name", "must have a size between 1 and 225"))?,
        };
        let answer = |outcome| SetDeviceNameResponse {
            response: Some(outcome),
        };
        let renamed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(renamed)? {
            Ok(renamed) => {
                let position = self.0.settled(&renamed, &[Model::Devices]).await;
                Ok(at(position, answer(Named::Success(()))))
            }
            Err(RenameDeviceRefused::NoSuchDevice) => {
                let outcome = Named::TargetDeviceNotFound(NotFound {});
                Ok(Response::new(answer(outcome)))
            }
            Err(RenameDeviceRefused::NotPrimary) => Err(not_primary()),
        }
    }

    async fn set_push_token(
        &self,
        request: Request<SetPushTokenRequest>,
    ) -> Result<Response<SetPushTokenResponse>, Status> {
        let call = DeviceCall::of(request);
        let stripped = |token: &str| -> Box<str> { token.split_whitespace().collect() };
        let token = match &call.message.token_request {
            Some(TokenRequest::ApnsTokenRequest(apns)) => {
                PushToken::Apn(stripped(&apns.apns_token))
            }
            Some(TokenRequest::FcmTokenRequest(fcm)) => PushToken::Fcm(stripped(&fcm.fcm_token)),
            None => return Err(status::violated("token_request", "must be set")),
        };
        if !token.is_well_formed() {
            return Err(status::violated("token_request", "must be a token"));
        }
        let command = SetPushToken {
            aci: call.caller.aci,
            device: call.caller.device,
            change: PushChange::Wake(Redacted(token)),
        };
        let position = self.change_push(&call, &command).await?;
        Ok(at(position, SetPushTokenResponse {}))
    }

    /// All that the device can do, in the place of what it could before.
    async fn set_capabilities(
        &self,
        request: Request<SetCapabilitiesRequest>,
    ) -> Result<Response<SetCapabilitiesResponse>, Status> {
        let call = DeviceCall::of(request);
        let capabilities = call.message.capabilities.iter();
        let capabilities: Result<Capabilities, Status> = capabilities.copied().map(able).collect();
        let command = ChangeCapabilities {
            aci: call.caller.aci,
            device: call.caller.device,
            capabilities: capabilities?,
        };
        let changed = self.0.executor.execute(&command, &call.context).await;
        match status::decided(changed)? {
            Ok(changed) => {
                let models = [Model::Devices, Model::Accounts];
                let position = self.0.settled(&changed, &models).await;
                Ok(at(position, SetCapabilitiesResponse {}))
            }
            Err(ChangeCapabilitiesRefused::NoSuchDevice) => Err(status::invalid_credentials()),
        }
    }

    async fn clear_push_token(
        &self,
        request: Request<ClearPushTokenRequest>,
    ) -> Result<Response<ClearPushTokenResponse>, Status> {
        let call = DeviceCall::of(request);
        let command = ClearPushToken {
            aci: call.caller.aci,
            device: call.caller.device,
        };
        let position = self.change_push(&call, &command).await?;
        Ok(at(position, ClearPushTokenResponse {}))
    }
}

impl Door {
    async fn change_push<T, C>(
        &self,
        call: &DeviceCall<T>,
        command: &C,
    ) -> Result<EventPosition, Status>
    where
        C: Command<Done = (), Refused = SetPushTokenRefused>,
    {
        let changed = self.0.executor.execute(command, &call.context).await;
        match status::decided(changed)? {
            Ok(changed) => Ok(self.0.settled(&changed, &[Model::Devices]).await),
            Err(SetPushTokenRefused::NoSuchDevice) => Err(status::invalid_credentials()),
        }
    }
}

fn not_primary() -> Status {
    status::bad_authentication("only the primary device does this to others")
}
