//! `device.Devices`: the devices of one's own account.
//!
//! | call | status | when |
//! |---|---|---|
//! | all | 16 | no or wrong credentials |
//! | `RemoveDevice` | 3 | the primary device; another device, asked for by a linked one; no number of a device |
//!
//! Removing a device that is not there succeeds.

use commands::device::remove_device::{RemoveDevice, RemoveDeviceRefused};
use projections::Model;
use projections::devices::Device;
use tonic::{Request, Response, Status};

use super::call::{DeviceCall, at};
use super::proto::device::devices_server::Devices;
use super::proto::device::{
    GetDevicesRequest, GetDevicesResponse, LinkedDevice, RemoveDeviceRequest, RemoveDeviceResponse,
};
use super::{Door, ids, status};
use crate::http::devices::list::DeviceResponse;

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
                .map(|sealed| sealed.0.into())
                .unwrap_or_default(),
        }
    }
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
}

fn not_primary() -> Status {
    status::bad_authentication("only the primary device removes others")
}
