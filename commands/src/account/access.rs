//! Who may reach an account without saying who they are.

use crypto::access_key::matches;
use events::values::hashes::UnidentifiedAccessKey;
use events::{Aci, DeviceId, ServiceId};

use super::state::Live;

/// Somebody who wants something of another account.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A device that proved its password. It may learn that an account does not exist.
    Device(Aci, DeviceId),
    /// Somebody who shows an access key. To them, an unknown account and a wrong key look the same.
    AccessKey(UnidentifiedAccessKey),
}

/// Whether the key opens the account under the address: never by number, and by any key if the account is unrestricted.
pub fn admits(account: &Live, address: ServiceId, key: &UnidentifiedAccessKey) -> bool {
    let known = || account.access_key().is_some_and(|own| matches(own, key));
    matches!(address, ServiceId::Aci(_)) && (account.access.unrestricted || known())
}
