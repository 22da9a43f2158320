//! Another device joins an account.

use async_trait::async_trait;
use events::account::DeviceLinked;
use events::ids::{DeviceAddress, IdentityKind};
use events::values::Capability;
use events::values::hashes::LinkTokenHash;
use events::{Aci, DeviceId, Pni, StreamId};

use super::{DEVICE_LIMIT, DeviceAttributes};
use crate::account::{Account, Live};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;
use crate::keys::RepeatedUseKeys;
use crate::keys::repeated_use::NewKeyStreams;

/// Attaches a device to an account whose primary device gave it a linking token.
#[derive(Clone, Debug)]
pub struct LinkDevice {
    /// The account that the token was issued for. The door has checked that it was, and that it is not too old.
    pub aci: Aci,
    /// The token's hash.
    pub token: LinkTokenHash,
    /// What the device brings.
    pub attributes: DeviceAttributes,
    /// Its keys for both identities; `None` from clients that upload them later.
    pub keys: Option<LinkedDeviceKeys>,
    /// What it has to say of its capabilities.
    pub demands: Demands,
}

/// What a device has to say of its capabilities before it may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demands {
    /// Nothing.
    Nothing,
    /// It has said what it can do, and may not take from the account what all of its devices can do.
    KeepUp,
    /// It has not said what it can do, and should have.
    Unsaid,
}

/// What an account does not lose again by a device that lacks it.
const LASTING: [Capability; 2] = [Capability::Spqr, Capability::UsernameChangeSyncMessage];

/// The keys of a linked device, signed by the account's identity keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedDeviceKeys {
    /// For the account's own identity.
    pub aci: RepeatedUseKeys,
    /// For the number's identity.
    pub pni: RepeatedUseKeys,
}

/// The device has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its address.
    pub address: DeviceAddress,
    /// The pseudonym of the account's number.
    pub pni: Pni,
}

/// Why the device may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkDeviceRefused {
    /// The account is gone, or locked until it is registered again.
    #[error("no such account")]
    NoSuchAccount,
    /// The token was used already.
    #[error("the linking token is spent")]
    TokenSpent,
    /// A signature was not made by the account's identity key, or the account has none.
    #[error("a signature does not belong to the account's identity key")]
    InvalidSignature,
    /// No room for another device.
    #[error("{current} of {limit} devices already linked")]
    DeviceLimit {
        /// How many devices the account has.
        current: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The device does not say what it can do.
    #[error("the device does not say what it can do")]
    CapabilitiesUnsaid,
    /// All devices of the account can do what this one cannot.
    #[error("the device lacks a capability that the account has")]
    CapabilityLost,
}

impl Refusal for LinkDeviceRefused {}

impl LinkDevice {
    /// The rule: the id that the device gets.
    pub fn decide(&self, account: &Account) -> Result<DeviceId, LinkDeviceRefused> {
        let live = account.live.as_deref().filter(|live| !live.locked);
        let live = live.ok_or(LinkDeviceRefused::NoSuchAccount)?;
        if live.has_spent(&self.token) {
            return Err(LinkDeviceRefused::TokenSpent);
        }
        let signed = |keys: &LinkedDeviceKeys| keys.are_signed_for(live);
        if !self.keys.as_ref().is_none_or(signed) {
            return Err(LinkDeviceRefused::InvalidSignature);
        }
        let (current, limit) = (live.devices.len(), DEVICE_LIMIT);
        if current >= limit {
            return Err(LinkDeviceRefused::DeviceLimit { current, limit });
        }
        self.check_capabilities(live)?;
        let free = DeviceId::all().find(|id| !live.devices.contains_key(id));
        free.ok_or(LinkDeviceRefused::DeviceLimit { current, limit })
    }

    fn check_capabilities(&self, account: &Live) -> Result<(), LinkDeviceRefused> {
        let able = &self.attributes.traits.capabilities;
        let lost = |capability| account.all_can(capability) && !able.contains(&capability);
        match self.demands {
            Demands::Unsaid => Err(LinkDeviceRefused::CapabilitiesUnsaid),
            Demands::KeepUp if LASTING.into_iter().any(lost) => {
                Err(LinkDeviceRefused::CapabilityLost)
            }
            Demands::KeepUp | Demands::Nothing => Ok(()),
        }
    }
}

impl LinkedDeviceKeys {
    fn are_signed_for(&self, account: &Live) -> bool {
        let of = |kind, keys: &RepeatedUseKeys| {
            let identity = account.identity_key(kind);
            identity.is_some_and(|identity| keys.are_signed_by(identity))
        };
        of(IdentityKind::Aci, &self.aci) && of(IdentityKind::Pni, &self.pni)
    }
}

#[async_trait]
impl Command for LinkDevice {
    type Done = Linked;
    type Refused = LinkDeviceRefused;
    const NAME: &'static str = "LinkDevice";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    /// Writes the keys before the account: key streams of a generation that no device has are never looked at.
    async fn run(&self, work: &mut Work<'_>) -> Result<Linked, Stop<LinkDeviceRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let device = self.decide(&account)?;
        let live = account.live.as_ref();
        let live = live.ok_or(LinkDeviceRefused::NoSuchAccount)?;
        let pni = live.pni;
        let identities = [self.aci.into(), pni.into()];
        let streams = NewKeyStreams::find(work, &identities, device, account.generation).await?;
        streams.record(
            work,
            self.keys.iter().flat_map(|keys| [&keys.aci, &keys.pni]),
        );
        let generation = streams.generation;
        let device_linked = DeviceLinked {
            device: self.attributes.joining_at(
                device,
                generation,
                live.identity.aci.as_ref(),
                work,
            ),
            token: self.token,
        };
        work.record(&account, [device_linked]);
        Ok(Linked {
            address: DeviceAddress {
                aci: self.aci,
                device,
                generation,
            },
            pni,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{device, link, linked, registered};
    use crate::testing::given;
    use events::account::{AccountEvent, DeviceRemoved, RegistrationLockFailed};
    use events::{Generation, Timestamp};

    /// Tries to link a device that brings no keys and spends this token.
    fn linking(
        token: u8,
    ) -> impl FnOnce(&Account, Timestamp) -> Result<DeviceId, LinkDeviceRefused> {
        let link = LinkDevice {
            keys: None,
            ..link(1, token)
        };
        move |account, _| link.decide(account)
    }

    fn removed(id: u32, generation: u32) -> AccountEvent {
        DeviceRemoved {
            device: device(id),
            generation: Generation(generation),
        }
        .into()
    }

    #[test]
    fn a_device_gets_the_lowest_free_id() {
        given([(0, registered(1))])
            .when(linking(9))
            .accepts(device(2));
        let history = [
            (0, registered(1)),
            (1, linked(2, 2)),
            (2, linked(3, 3)),
            (3, removed(2, 2)),
        ];
        given(history).when(linking(9)).accepts(device(2));
    }

    #[test]
    fn a_spent_token_cannot_bring_a_device_back() {
        let history = [
            (0, registered(1)),
            (100, linked(2, 7)),
            (150, removed(2, 7)),
        ];
        given(history)
            .at(200)
            .when(linking(7))
            .refuses(LinkDeviceRefused::TokenSpent);
    }

    #[test]
    fn six_devices_are_enough() {
        let linked = (2..=6).map(|id| (u64::from(id), linked(id, id)));
        let full = [(0, registered(1))].into_iter().chain(linked);
        let refused = LinkDeviceRefused::DeviceLimit {
            current: 6,
            limit: 6,
        };
        given(full.clone()).when(linking(9)).refuses(refused);
        let room = full.chain([(10, removed(4, 4))]);
        given(room).when(linking(9)).accepts(device(4));
    }

    #[test]
    fn an_account_that_is_gone_or_locked_takes_no_device() {
        given([])
            .when(linking(9))
            .refuses(LinkDeviceRefused::NoSuchAccount);
        let failed = RegistrationLockFailed {
            recovery_password_kept: false,
        };
        let locked = [(0, registered(1)), (1, failed.into())];
        given(locked)
            .when(linking(9))
            .refuses(LinkDeviceRefused::NoSuchAccount);
    }

    #[test]
    fn a_device_may_not_fall_behind_what_all_others_can() {
        let mut primary = crate::testing::fixtures::attributes(100);
        primary.traits.capabilities = [Capability::Spqr, Capability::Storage].into();
        let AccountEvent::AccountRegistered(mut first) = registered(1) else {
            unreachable!("it was registered")
        };
        first.primary = primary.joining(DeviceId::PRIMARY, Generation(1)).into();
        let account = given([(0, first.into())]);
        let linking = |demands, capabilities: &[Capability]| {
            let mut link = LinkDevice {
                keys: None,
                demands,
                ..link(1, 9)
            };
            link.attributes.traits.capabilities = capabilities.iter().copied().collect();
            account.when(|account, _| link.decide(account))
        };
        linking(Demands::KeepUp, &[Capability::Spqr]).accepts(device(2));
        linking(Demands::KeepUp, &[]).refuses(LinkDeviceRefused::CapabilityLost);
        linking(Demands::Unsaid, &[]).refuses(LinkDeviceRefused::CapabilitiesUnsaid);
        linking(Demands::Nothing, &[]).accepts(device(2));
    }

    #[test]
    fn keys_for_an_account_without_identity_keys_are_signed_by_nobody() {
        given([(0, registered(1))])
            .when(|account, _| link(1, 9).decide(account))
            .refuses(LinkDeviceRefused::InvalidSignature);
    }
}
