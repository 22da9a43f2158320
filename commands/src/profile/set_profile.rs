//! An account writes a version of its profile.

use async_trait::async_trait;
use events::payload::PayloadDigest;
use events::profile::{
    AvatarRemoved, AvatarReplaced, ProfileEvent, ProfileVersionDropped, ProfileVersionSet,
};
use events::values::Capability;
use events::values::profile::{AvatarKey, ProfileFields, ProfileKeyCommitment, ProfileVersion};
use events::{Aci, DeviceId, StreamId};

use super::state::{Profile, Slot, Version};
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Writes a version of the profile and makes it the current one.
#[derive(Clone, Debug)]
pub struct SetProfile {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// Which version.
    pub slot: Slot,
    /// What the owner publishes about the key. Of a version that has one already, the first one stays.
    pub commitment: Option<ProfileKeyCommitment>,
    /// The ciphertext.
    pub fields: ProfileFields,
    /// What becomes of the picture.
    pub avatar: AvatarChange,
    /// Whether new payment addresses are refused, because of where the account's number is from.
    pub payments_barred: bool,
    /// Which form of profiles the client speaks, and what it takes for granted.
    pub form: ProfileForm,
}

/// What becomes of a version's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AvatarChange {
    /// It goes.
    Clear,
    /// It stays as it is, if there is one.
    Keep,
    /// Another one takes its place, under this key, minted at the door.
    Replace(AvatarKey),
}

/// Which form of profiles a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileForm {
    /// The first: the last writer wins.
    First,
    /// The second, for accounts all of whose devices speak it: nobody overwrites what they have not seen.
    Second {
        /// SHA-256 of the data that the version has now; `None` if it is not to be there yet.
        data: Option<PayloadDigest>,
        /// The current version; `None` if there is none.
        current: Option<ProfileVersion>,
    },
}

/// Why a profile is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetProfileRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
    /// All devices of the account speak the second form; the first would undo what they write.
    #[error("the account speaks the second form of profiles")]
    SecondFormSpoken,
    /// Not all devices of the account speak the second form.
    #[error("not all devices speak the second form of profiles")]
    SecondFormNotSpoken,
    /// The current version is another one than the client has seen.
    #[error("another version is the current one")]
    OtherCurrentVersion,
    /// A payment address came to a version that had none, and the number is from where there are to be none.
    #[error("no payment addresses for numbers from there")]
    PaymentsBarred,
    /// The version holds other data than the client has seen.
    #[error("the version holds other data")]
    OtherData,
    /// The version has another commitment, which cannot change.
    #[error("the version has another commitment")]
    OtherCommitment,
}

impl Refusal for SetProfileRefused {}

/// What writing a profile comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writing {
    /// The version that makes room.
    pub dropped: Option<ProfileVersionDropped>,
    /// The change of the picture.
    pub avatar: Option<ProfileEvent>,
    /// Whether the ciphertext is news.
    pub news: bool,
}

impl SetProfile {
    /// The rule.
    pub fn decide(
        &self,
        account: &Account,
        profile: &Profile,
    ) -> Result<Writing, SetProfileRefused> {
        let (live, _) = account
            .with_device(self.device)
            .ok_or(SetProfileRefused::NoSuchDevice)?;
        let known = profile.version(self.slot);
        self.check_form(live.all_can(Capability::ProfilesV2), profile)?;
        let has_address = known.is_some_and(|version| version.payment_address);
        if self.payments_barred && !self.fields.payment_address.is_empty() && !has_address {
            return Err(SetProfileRefused::PaymentsBarred);
        }
        self.check_data(known)?;
        let digest = PayloadDigest::of(&self.fields.write());
        let same = known.is_some_and(|version| {
            version.fields.is_some_and(|fields| fields.sha256 == digest)
                && version.commitment == self.commitment_beside(known)
        });
        Ok(Writing {
            dropped: dropped(profile, self.slot),
            avatar: self.change_of_avatar(known),
            news: !same || profile.current != Some(self.slot),
        })
    }

    fn check_form(&self, spoken: bool, profile: &Profile) -> Result<(), SetProfileRefused> {
        match self.form {
            ProfileForm::First if spoken => Err(SetProfileRefused::SecondFormSpoken),
            ProfileForm::Second { .. } if !spoken => Err(SetProfileRefused::SecondFormNotSpoken),
            ProfileForm::Second { current, .. } if profile.current.flatten() != current => {
                Err(SetProfileRefused::OtherCurrentVersion)
            }
            ProfileForm::First | ProfileForm::Second { .. } => Ok(()),
        }
    }

    fn check_data(&self, known: Option<&Version>) -> Result<(), SetProfileRefused> {
        let ProfileForm::Second { data, .. } = self.form else {
            return Ok(());
        };
        if known.and_then(|version| version.data) != data {
            return Err(SetProfileRefused::OtherData);
        }
        if self.commitment != self.commitment_beside(known) {
            return Err(SetProfileRefused::OtherCommitment);
        }
        Ok(())
    }

    /// The commitment that the version has from now on.
    fn commitment_beside(&self, known: Option<&Version>) -> Option<ProfileKeyCommitment> {
        let first = known.and_then(|version| version.commitment.clone());
        first.or_else(|| self.commitment.clone())
    }

    fn change_of_avatar(&self, known: Option<&Version>) -> Option<ProfileEvent> {
        let version = self.slot;
        let present = known.and_then(|version| version.avatar);
        match (self.avatar, present) {
            (AvatarChange::Keep, _) | (AvatarChange::Clear, None) => None,
            (AvatarChange::Clear, Some(key)) => Some(AvatarRemoved { version, key }.into()),
            (AvatarChange::Replace(key), replaces) => Some(
                AvatarReplaced {
                    version,
                    commitment: None,
                    key,
                    replaces,
                }
                .into(),
            ),
        }
    }

    fn event(&self, work: &mut Work<'_>, known: Option<&Version>) -> ProfileVersionSet {
        let data = &self.fields.data;
        ProfileVersionSet {
            version: self.slot,
            commitment: self.commitment_beside(known),
            fields: work.payload(self.fields.write().into()),
            payment_address: !self.fields.payment_address.is_empty(),
            data: (!data.is_empty()).then(|| PayloadDigest::of(data)),
            replaces: known.and_then(|version| Some(version.fields?.id)),
        }
    }
}

/// The event that makes room for a version, if it takes one.
pub(super) fn dropped(profile: &Profile, slot: Slot) -> Option<ProfileVersionDropped> {
    let (version, dropped) = profile.crowded_out_by(slot)?;
    Some(ProfileVersionDropped {
        version,
        fields: dropped.fields.map(|fields| fields.id),
        avatar: dropped.avatar,
    })
}

#[async_trait]
impl Command for SetProfile {
    /// Nothing: the picture's key was minted at the door.
    type Done = ();
    type Refused = SetProfileRefused;
    const NAME: &'static str = "SetProfile";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::profile(self.aci))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<SetProfileRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let profile = work.load::<Profile>(self.aci).await?;
        let writing = self.decide(&account, &profile)?;
        let known = profile.version(self.slot);
        let set = writing.news.then(|| self.event(work, known));
        let dropped = writing.dropped.map(ProfileEvent::from);
        let set = set.map(ProfileEvent::from);
        work.record(
            &profile,
            dropped.into_iter().chain(set).chain(writing.avatar),
        );
        Ok(())
    }
}
