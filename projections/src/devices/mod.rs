//! Which devices an account has, and how each proves who it is.

mod apply;
mod query;
mod row;

use events::account::{PushToken, TransferArchive};
use events::ids::DeviceAddress;
use events::values::hashes::{LinkTokenHash, SaltedHash};
use events::values::{Capabilities, EncryptedDeviceName, Redacted, SealedCreationTime};
use events::{Aci, DeviceId, Generation, RegistrationId, Timestamp};

pub(crate) use apply::Devices;
pub use query::DeviceQueries;

/// The table.
const TABLE: &str = "devices_v1";

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The account.
    pub aci: Aci,
    /// Its number within the account.
    pub id: DeviceId,
    /// Which of the devices that had this number; what its keys and mailbox are filed under.
    pub generation: Generation,
    /// Its registration id for the account's identity.
    pub registration_id: RegistrationId,
    /// Its registration id for the number's identity.
    pub pni_registration_id: Option<RegistrationId>,
    /// The hash of its password; `None` once no password is good any more, because somebody failed the account's
    /// registration lock.
    pub credential: Option<SaltedHash>,
    /// Its name, readable to its owner only.
    pub name: Option<EncryptedDeviceName>,
    /// Whether it fetches messages without being woken.
    pub fetches_messages: bool,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The kind of application, in its own words.
    pub agent: Option<Box<str>>,
    /// Where a push service finds it.
    pub push: Option<Redacted<PushToken>>,
    /// When it joined the account.
    pub linked_at: Timestamp,
    /// When it was last heard of, to the day at best.
    pub last_seen: Timestamp,
    /// When it joined, sealed for the account's owner.
    pub created_at: Option<SealedCreationTime>,
    /// The token by which it was linked; the primary was not.
    pub link_token: Option<LinkTokenHash>,
    /// Where it finds the account's history, and when it was offered that.
    pub archive: Option<OfferedArchive>,
}

/// What another device offered to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedArchive {
    /// Where the history is.
    pub archive: Redacted<TransferArchive>,
    /// When it was offered.
    pub at: Timestamp,
}

impl Device {
    /// What its mailbox is filed under.
    pub const fn address(&self) -> DeviceAddress {
        DeviceAddress {
            aci: self.aci,
            device: self.id,
            generation: self.generation,
        }
    }
}
