//! Who may reach an account without saying who they are.

use crypto::access_key;
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
    /// Somebody who shows a group-send token, which the door has verified for everybody whom they address. It opens
    /// either identity of an account, whatever its access key, and they may learn that an account does not exist.
    GroupMember,
}

/// Why a caller does not get what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// What the caller shows does not open the account, or there is nothing to open.
    #[error("what the caller shows does not open this account")]
    Unauthorized,
    /// There is nothing there, and the caller may know.
    #[error("there is nothing at this address")]
    NotFound,
}

impl Caller {
    /// What a caller learns who asks for what is not there.
    pub const fn absent(&self) -> Denied {
        match self {
            Self::Device(..) | Self::GroupMember => Denied::NotFound,
            Self::AccessKey(_) => Denied::Unauthorized,
        }
    }

    /// The whole policy: whether the caller reaches the account that `lock` belongs to, under this address; there is no
    /// such account if there is no lock.
    pub fn reaches(
        &self,
        address: ServiceId,
        lock: Option<access_key::Access<'_>>,
    ) -> Result<(), Denied> {
        let lock = lock.ok_or_else(|| self.absent())?;
        match self {
            Self::Device(..) | Self::GroupMember => Ok(()),
            Self::AccessKey(key) if opens(lock, address, key) => Ok(()),
            Self::AccessKey(_) => Err(Denied::Unauthorized),
        }
    }
}

/// An access key opens accounts, never numbers.
fn opens(lock: access_key::Access<'_>, address: ServiceId, key: &UnidentifiedAccessKey) -> bool {
    matches!(address, ServiceId::Aci(_)) && access_key::opens(lock, key)
}

/// What anonymous callers must know to reach an account.
pub const fn lock(
    unrestricted: bool,
    key: Option<&UnidentifiedAccessKey>,
) -> access_key::Access<'_> {
    match (unrestricted, key) {
        (true, _) => access_key::Access::Unrestricted,
        (false, Some(key)) => access_key::Access::Key(key),
        (false, None) => access_key::Access::Closed,
    }
}

impl Live {
    /// What anonymous callers must know to reach the account.
    pub fn lock(&self) -> access_key::Access<'_> {
        lock(self.access.unrestricted, self.access_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{access_key, aci, device, pni};
    use Denied::{NotFound, Unauthorized};
    use crypto::access_key::Access::{Closed, Key, Unrestricted};

    #[test]
    fn the_policy_is_this_table() {
        let (own, other) = (access_key(1), access_key(2));
        let identified = || Caller::Device(aci(2), device(1));
        let with_key = |key: &UnidentifiedAccessKey| Caller::AccessKey(key.clone());
        let by_aci = ServiceId::from(aci(1));
        let by_pni = ServiceId::from(pni(1));
        let table = [
            (identified(), by_aci, Some(Closed), Ok(())),
            (identified(), by_pni, Some(Key(&own)), Ok(())),
            (identified(), by_aci, None, Err(NotFound)),
            (with_key(&own), by_aci, Some(Key(&own)), Ok(())),
            (with_key(&other), by_aci, Some(Key(&own)), Err(Unauthorized)),
            (with_key(&own), by_pni, Some(Key(&own)), Err(Unauthorized)),
            (
                with_key(&own),
                by_pni,
                Some(Unrestricted),
                Err(Unauthorized),
            ),
            (with_key(&other), by_aci, Some(Unrestricted), Ok(())),
            (with_key(&own), by_aci, Some(Closed), Err(Unauthorized)),
            (with_key(&own), by_aci, None, Err(Unauthorized)),
            (Caller::GroupMember, by_aci, Some(Closed), Ok(())),
            (Caller::GroupMember, by_pni, Some(Key(&own)), Ok(())),
            (Caller::GroupMember, by_aci, None, Err(NotFound)),
        ];
        for (row, (caller, address, lock, expected)) in table.into_iter().enumerate() {
            assert_eq!(
                caller.reaches(address, lock),
                expected,
                "row {row}: {caller:?}"
            );
        }
    }
}
