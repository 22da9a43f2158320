//! Identifiers on the wire: raw bytes, with their kind beside them.

use bytes::Bytes;
use events::{Aci, DeviceId, Pni, ServiceId};
use tonic::Status;
use uuid::Uuid;

use super::proto::common::{IdentityType, ServiceIdentifier};
use super::status;

/// The service id in a message. One that is not there, or not one, breaks a rule of the message as a whole.
pub(crate) fn service_id(identifier: Option<ServiceIdentifier>) -> Result<ServiceId, Status> {
    let malformed = || status::constraint("not a service identifier");
    let identifier = identifier.ok_or_else(malformed)?;
    let uuid = Uuid::from_slice(&identifier.uuid).map_err(|_| malformed())?;
    match identifier.identity_type() {
        IdentityType::Aci => Ok(Aci::from_uuid(uuid).into()),
        IdentityType::Pni => Ok(Pni::from_uuid(uuid).into()),
        IdentityType::Unspecified => Err(malformed()),
    }
}

/// The account in a message. Its number's id is not one.
pub(crate) fn aci(identifier: Option<ServiceIdentifier>) -> Result<Aci, Status> {
    match service_id(identifier)? {
        ServiceId::Aci(aci) => Ok(aci),
        ServiceId::Pni(_) => Err(status::violated(
            "account_identifier",
            "must be an account's own id",
        )),
    }
}

/// A service id, as a message holds it.
pub(crate) fn identifier(id: impl Into<ServiceId>) -> ServiceIdentifier {
    let id = id.into();
    let kind = match id {
        ServiceId::Aci(_) => IdentityType::Aci,
        ServiceId::Pni(_) => IdentityType::Pni,
    };
    ServiceIdentifier {
        identity_type: kind.into(),
        uuid: Bytes::copy_from_slice(id.uuid().as_bytes()),
    }
}

/// A device's number.
pub(crate) fn device(number: u32) -> Result<DeviceId, Status> {
    DeviceId::try_from(number)
        .map_err(|_| status::constraint("a device has a number between 1 and 127"))
}

/// Devices' numbers.
pub(crate) fn numbers(devices: impl IntoIterator<Item = DeviceId>) -> Vec<u32> {
    devices.into_iter().map(Into::into).collect()
}
