//! The gRPC services.

mod accounts;
pub(crate) mod avatars;
mod capabilities;
mod devices;
mod keys;
mod limits;
mod mailbox;
mod messages;
pub(crate) mod pictures;
mod retries;
mod settings;
mod three_doors;
mod tools;
mod walk;

use api::grpc::proto::common::{IdentityType, ServiceIdentifier};
use bytes::Bytes;
use uuid::Uuid;

/// An account by its id, as messages hold it.
#[expect(
    clippy::unnecessary_wraps,
    reason = "fields of messages may be missing"
)]
fn aci(id: &str) -> Option<ServiceIdentifier> {
    Some(identifier(IdentityType::Aci, id))
}

/// An account by its number's id.
#[expect(
    clippy::unnecessary_wraps,
    reason = "fields of messages may be missing"
)]
fn pni(id: &str) -> Option<ServiceIdentifier> {
    Some(identifier(IdentityType::Pni, id))
}

fn identifier(kind: IdentityType, id: &str) -> ServiceIdentifier {
    let uuid: Uuid = id.parse().unwrap();
    ServiceIdentifier {
        identity_type: kind.into(),
        uuid: Bytes::copy_from_slice(uuid.as_bytes()),
    }
}

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
