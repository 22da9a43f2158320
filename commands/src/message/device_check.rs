//! Whether a sender knows the recipient's devices as they are.

use std::collections::BTreeSet;

use events::DeviceId;
use events::ids::IdentityKind;

use crate::account::Live;

/// What a sender knows wrongly of the recipient's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongDevices {
    /// Devices were left out, or addressed that do not exist.
    Mismatched {
        /// Left out.
        missing: Vec<DeviceId>,
        /// Not there.
        extra: Vec<DeviceId>,
    },
    /// Devices were installed anew since the sender met them.
    Stale {
        /// Which.
        devices: Vec<DeviceId>,
        /// Left out besides.
        missing: Vec<DeviceId>,
        /// Not there besides.
        extra: Vec<DeviceId>,
    },
}

/// How the devices that a sender addresses differ from those of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Left out.
    pub missing: Vec<DeviceId>,
    /// Not there.
    pub extra: Vec<DeviceId>,
    /// Installed anew since the sender met them.
    pub stale: Vec<DeviceId>,
}

impl Differences {
    /// Whether devices were left out, or addressed that do not exist.
    pub fn are_mismatched(&self) -> bool {
        !self.missing.is_empty() || !self.extra.is_empty()
    }
}

/// Compares the devices that a sender addresses with those of the account. All devices count, idle ones too.
///
/// `sender` is the account's own device that sends to the others. A sender who quotes no registration id is not checked
/// for it; a device without a registration id for the identity is stale whatever is quoted.
pub fn compare(
    account: &Live,
    identity: IdentityKind,
    sender: Option<DeviceId>,
    addressed: impl IntoIterator<Item = (DeviceId, Option<u32>)>,
) -> Differences {
    let mut missing: BTreeSet<DeviceId> = account.devices.keys().copied().collect();
    missing.retain(|device| Some(*device) != sender);
    let mut extra = Vec::new();
    let mut stale = Vec::new();
    for (id, quoted) in addressed {
        let Some(device) = account.devices.get(&id).filter(|_| missing.remove(&id)) else {
            extra.push(id);
            continue;
        };
        let current = device.registration_id(identity).map(u32::from);
        if quoted.is_some_and(|quoted| Some(quoted) != current) {
            stale.push(id);
        }
    }
    Differences {
        missing: missing.into_iter().collect(),
        extra,
        stale,
    }
}

/// [Compares](compare) for a message to one recipient: stale devices are reported before missing and extra ones.
pub fn check(
    account: &Live,
    identity: IdentityKind,
    sender: Option<DeviceId>,
    addressed: impl IntoIterator<Item = (DeviceId, Option<u32>)>,
) -> Result<(), WrongDevices> {
    let differences = compare(account, identity, sender, addressed);
    let mismatched = differences.are_mismatched();
    let Differences {
        missing,
        extra,
        stale,
    } = differences;
    if !stale.is_empty() {
        Err(WrongDevices::Stale {
            devices: stale,
            missing,
            extra,
        })
    } else if mismatched {
        Err(WrongDevices::Mismatched { missing, extra })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::testing::fixtures::{attributes, device, registered, token};
    use crate::testing::given;
    use events::Generation;
    use events::account::DeviceLinked;
    use proptest::prelude::*;

    /// Device 1 with the registration ids 100 and 101, device 2 with 200 and none.
    fn two_devices() -> Live {
        let mut linked = attributes(200);
        linked.pni_registration_id = None;
        let linked = DeviceLinked {
            device: linked.joining(device(2), Generation(2)),
            token: token(1),
        };
        let history = [(0, registered(1)), (1, linked.into())];
        *given::<Account>(history)
            .when(|account, _| account.live.clone().unwrap())
            .0
    }

    fn check_aci(
        addressed: &[(u32, Option<u32>)],
        sender: Option<u32>,
    ) -> Result<(), WrongDevices> {
        let addressed = addressed.iter().map(|(id, quoted)| (device(*id), *quoted));
        check(
            &two_devices(),
            IdentityKind::Aci,
            sender.map(device),
            addressed,
        )
    }

    fn mismatched(missing: &[u32], extra: &[u32]) -> WrongDevices {
        let devices = |ids: &[u32]| ids.iter().copied().map(device).collect();
        WrongDevices::Mismatched {
            missing: devices(missing),
            extra: devices(extra),
        }
    }

    fn stale(ids: &[u32], missing: &[u32], extra: &[u32]) -> WrongDevices {
        let devices = |ids: &[u32]| ids.iter().copied().map(device).collect();
        WrongDevices::Stale {
            devices: devices(ids),
            missing: devices(missing),
            extra: devices(extra),
        }
    }

    #[test]
    fn all_devices_must_be_addressed_and_no_others() {
        assert_eq!(check_aci(&[(1, Some(100)), (2, Some(200))], None), Ok(()));
        assert_eq!(
            check_aci(&[(1, Some(100))], None),
            Err(mismatched(&[2], &[]))
        );
        let all = [(1, Some(100)), (2, Some(200)), (5, Some(1))];
        assert_eq!(check_aci(&all, None), Err(mismatched(&[], &[5])));
    }

    #[test]
    fn a_sending_device_leaves_itself_out() {
        assert_eq!(check_aci(&[(2, Some(200))], Some(1)), Ok(()));
        let with_itself = [(1, Some(100)), (2, Some(200))];
        assert_eq!(check_aci(&with_itself, Some(1)), Err(mismatched(&[], &[1])));
    }

    #[test]
    fn stale_devices_are_reported_before_all_else() {
        assert_eq!(
            check_aci(&[(1, Some(99)), (5, Some(1))], None),
            Err(stale(&[1], &[2], &[5]))
        );
        assert_eq!(
            check_aci(&[(1, Some(0)), (2, Some(200))], None),
            Err(stale(&[1], &[], &[]))
        );
    }

    #[test]
    fn whoever_quotes_no_registration_id_is_not_checked_for_it() {
        assert_eq!(check_aci(&[(1, None), (2, None)], None), Ok(()));
    }

    #[test]
    fn by_number_the_other_registration_ids_count_and_their_absence_is_stale() {
        let account = two_devices();
        let addressed = |second| [(device(1), Some(101)), (device(2), second)];
        let by_number = |second| check(&account, IdentityKind::Pni, None, addressed(second));
        assert_eq!(by_number(Some(200)), Err(stale(&[2], &[], &[])));
        assert_eq!(by_number(None), Ok(()));
    }

    proptest! {
        #[test]
        fn what_is_reported_adds_up(ids in prop::collection::btree_set(1..9_u32, 0..6)) {
            let addressed: Vec<_> = ids.iter().map(|id| (*id, None)).collect();
            match check_aci(&addressed, None) {
                Ok(()) => prop_assert_eq!(ids, BTreeSet::from([1, 2])),
                Err(WrongDevices::Mismatched { missing, extra }) => {
                    prop_assert_eq!(2 - missing.len() + extra.len(), ids.len());
                    prop_assert!(extra.iter().all(|id| id.get() > 2));
                }
                Err(WrongDevices::Stale { .. }) => prop_assert!(false, "nothing was quoted"),
            }
        }
    }
}
