//! What rules need to know of a profile. The ciphertext itself is beside the log.

use std::collections::BTreeMap;

use events::payload::PayloadDigest;
use events::profile::{AvatarReplaced, ProfileCleared, ProfileEvent, ProfileVersionSet};
use events::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};
use events::{Aci, PayloadId, PayloadRef, StreamId, Timestamp};

use crate::aggregate::Aggregate;

/// Where a version is kept: under its name, or in the one place for clients that know no versions.
pub type Slot = Option<ProfileVersion>;

/// How many versions an account may have; one more, and the one that was written longest ago goes.
pub const MAX_VERSIONS: usize = 64;

/// The profile of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    versions: BTreeMap<Slot, Version>,
    /// The version that was written last.
    pub current: Option<Slot>,
    /// How many writes there were.
    writes: u64,
    /// Pictures from before the account was registered anew.
    kept: Vec<AvatarKey>,
}

/// One version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    /// The ciphertext; none as long as only a picture was announced.
    pub fields: Option<PayloadRef>,
    /// What was published about its key.
    pub commitment: Option<ProfileKeyCommitment>,
    /// Whether the ciphertext holds a payment address.
    pub payment_address: bool,
    /// SHA-256 of the ciphertext in the second form.
    pub data: Option<PayloadDigest>,
    /// The picture.
    pub avatar: Option<AvatarKey>,
    written: u64,
}

impl Profile {
    /// A version, if there is one.
    pub fn version(&self, slot: Slot) -> Option<&Version> {
        self.versions.get(&slot)
    }

    /// The version that has to make room for a new one in this slot, if any has.
    pub fn crowded_out_by(&self, slot: Slot) -> Option<(Slot, &Version)> {
        if self.versions.contains_key(&slot) || self.versions.len() < MAX_VERSIONS {
            return None;
        }
        let others = self
            .versions
            .iter()
            .filter(|(slot, _)| self.current != Some(**slot));
        others
            .min_by_key(|(_, version)| version.written)
            .map(|(slot, version)| (*slot, version))
    }

    /// The event that clears the profile of an account that is registered anew, if there is anything to clear. Its pictures
    /// stay, and take the place of those that have stayed before.
    pub fn clearing(&self) -> Option<ProfileCleared> {
        (!self.versions.is_empty()).then(|| {
            let (fields, pictures) = (self.fields(), self.pictures());
            let (avatars, kept) = if pictures.is_empty() {
                (Vec::new(), self.kept.clone())
            } else {
                (self.kept.clone(), pictures)
            };
            ProfileCleared {
                fields,
                avatars,
                kept,
            }
        })
    }

    /// The event that ends the profile of an account that is deleted, if there is anything left.
    pub fn ending(&self) -> Option<ProfileCleared> {
        let avatars = [self.pictures(), self.kept.clone()].concat();
        (!self.versions.is_empty() || !avatars.is_empty()).then(|| ProfileCleared {
            fields: self.fields(),
            avatars,
            kept: Vec::new(),
        })
    }

    fn fields(&self) -> Vec<PayloadId> {
        let versions = self.versions.values();
        versions
            .filter_map(|version| Some(version.fields?.id))
            .collect()
    }

    fn pictures(&self) -> Vec<AvatarKey> {
        let versions = self.versions.values();
        versions.filter_map(|version| version.avatar).collect()
    }

    fn at(&mut self, slot: Slot) -> &mut Version {
        self.writes += 1;
        let version = self.versions.entry(slot).or_default();
        version.written = self.writes;
        version
    }

    fn set(&mut self, set: &ProfileVersionSet) {
        self.current = Some(set.version);
        let version = self.at(set.version);
        version.fields = Some(set.fields);
        version.commitment.clone_from(&set.commitment);
        version.payment_address = set.payment_address;
        version.data = set.data;
    }

    fn replace_avatar(&mut self, replaced: &AvatarReplaced) {
        let version = self.at(replaced.version);
        version.avatar = Some(replaced.key);
        if let Some(commitment) = &replaced.commitment {
            version.commitment.get_or_insert_with(|| commitment.clone());
        }
    }
}

impl Aggregate for Profile {
    type Id = Aci;
    type Event = ProfileEvent;

    fn stream(aci: Aci) -> StreamId {
        StreamId::profile(aci)
    }

    fn evolve(&mut self, event: &ProfileEvent, _at: Timestamp) {
        match event {
            ProfileEvent::ProfileVersionSet(set) => self.set(set),
            ProfileEvent::AvatarReplaced(replaced) => self.replace_avatar(replaced),
            ProfileEvent::AvatarRemoved(removed) => {
                if let Some(version) = self.versions.get_mut(&removed.version) {
                    version.avatar = None;
                }
            }
            ProfileEvent::ProfileVersionDropped(dropped) => {
                self.versions.remove(&dropped.version);
            }
            ProfileEvent::ProfileCleared(cleared) => {
                *self = Self {
                    kept: cleared.kept.clone(),
                    ..Self::default()
                };
            }
        }
    }
}
