//! `profile-{aci}`: what an account shows to those whom it gave its profile key.

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::payload::{PayloadDigest, PayloadId, PayloadRef};
use crate::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};

event_family! {
    /// What can happen to a profile.
    ProfileEvent in Profile {
        1 ProfileVersionSet { }
        2 AvatarReplaced { }
        3 AvatarRemoved { }
        4 ProfileVersionDropped { }
        5 ProfileCleared { }
    }
}

/// A version was written, and is the current one from now on. Versions stand beside each other: contacts who know an
/// older profile key still read what was written with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileVersionSet {
    /// Which one; `None` for the profile of clients that know no versions.
    pub version: Option<ProfileVersion>,
    /// What its owner published about the key. The first one of a version stays.
    pub commitment: Option<ProfileKeyCommitment>,
    /// The ciphertext (see [`crate::values::profile::ProfileFields`]).
    pub fields: PayloadRef,
    /// Whether the ciphertext holds a payment address.
    pub payment_address: bool,
    /// SHA-256 of the ciphertext in the second form of profiles.
    pub data: Option<PayloadDigest>,
    /// The ciphertext that this one takes the place of.
    pub replaces: Option<PayloadId>,
}

/// A version has another picture, which its owner may upload now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvatarReplaced {
    /// Of which version.
    pub version: Option<ProfileVersion>,
    /// What its owner published about the key, if the version begins with its picture.
    pub commitment: Option<ProfileKeyCommitment>,
    /// Where the picture will be.
    pub key: AvatarKey,
    /// The picture whose place it takes.
    pub replaces: Option<AvatarKey>,
}

/// A version has no picture any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvatarRemoved {
    /// Of which version.
    pub version: Option<ProfileVersion>,
    /// Where it was.
    pub key: AvatarKey,
}

/// The version that was written longest ago had to go: an account has a limited number of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileVersionDropped {
    /// Which one.
    pub version: Option<ProfileVersion>,
    /// Its ciphertext.
    pub fields: Option<PayloadId>,
    /// Its picture.
    pub avatar: Option<AvatarKey>,
}

/// All versions are gone: the account is registered anew, or deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileCleared {
    /// Their ciphertexts.
    pub fields: Vec<PayloadId>,
    /// Pictures that go with them, or were kept for their owner until now.
    pub avatars: Vec<AvatarKey>,
    /// Pictures that stay: an owner who registered anew restores one by its name, which their client has noted elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<AvatarKey>,
}
