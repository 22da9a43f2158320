//! An account announces another picture for a version of its profile, and writes nothing else.

use async_trait::async_trait;
use events::profile::{AvatarReplaced, ProfileEvent};
use events::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};
use events::{Aci, DeviceId, StreamId};

use super::set_profile::dropped;
use super::state::Profile;
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Gives a version another picture. The current version stays what it is.
#[derive(Clone, Debug)]
pub struct SetAvatar {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// Which version.
    pub version: ProfileVersion,
    /// What the owner publishes about its key; a new version needs it.
    pub commitment: Option<ProfileKeyCommitment>,
    /// Where the picture will be, minted at the door.
    pub key: AvatarKey,
}

/// Why a picture is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetAvatarRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
    /// There is no such version yet, and nothing is published about its key.
    #[error("a new version needs a commitment")]
    NoCommitment,
}

impl Refusal for SetAvatarRefused {}

impl SetAvatar {
    /// The rule.
    pub fn decide(
        &self,
        account: &Account,
        profile: &Profile,
    ) -> Result<AvatarReplaced, SetAvatarRefused> {
        account
            .with_device(self.device)
            .ok_or(SetAvatarRefused::NoSuchDevice)?;
        let slot = Some(self.version);
        let known = profile.version(slot);
        if known.is_none() && self.commitment.is_none() {
            return Err(SetAvatarRefused::NoCommitment);
        }
        let first = known.is_none_or(|version| version.commitment.is_none());
        Ok(AvatarReplaced {
            version: slot,
            commitment: self.commitment.clone().filter(|_| first),
            key: self.key,
            replaces: known.and_then(|version| version.avatar),
        })
    }
}

#[async_trait]
impl Command for SetAvatar {
    type Done = ();
    type Refused = SetAvatarRefused;
    const NAME: &'static str = "SetAvatar";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::profile(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<SetAvatarRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let profile = work.load::<Profile>(self.aci).await?;
        let replaced = self.decide(&account, &profile)?;
        let dropped = dropped(&profile, replaced.version).map(ProfileEvent::from);
        let events = dropped.into_iter().chain([replaced.into()]);
        work.record(&profile, events);
        Ok(())
    }
}
