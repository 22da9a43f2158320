//! What happens to profiles.

use events::payload::PayloadDigest;
use events::profile::{
    AvatarRemoved, AvatarReplaced, ProfileCleared, ProfileEvent, ProfileVersionDropped,
    ProfileVersionSet,
};
use events::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};
use events::{PayloadId, PayloadRef};

use super::uuid;

/// Version `n` of a profile; 0 is the one for clients that know no versions.
pub fn version(n: u8) -> Option<ProfileVersion> {
    (n > 0).then(|| ProfileVersion::from_bytes([n; 32]))
}

/// The payload with the fields of the `n`th write.
pub fn fields(n: u32) -> PayloadRef {
    PayloadRef {
        id: PayloadId(uuid(0xf1e1d, n)),
        length: n,
        sha256: PayloadDigest([0; 32]),
    }
}

/// Picture `n`.
pub fn avatar(n: u8) -> AvatarKey {
    AvatarKey::from_random([n; 16])
}

/// The commitment of version `n`.
pub fn commitment(n: u8) -> Option<ProfileKeyCommitment> {
    version(n).and_then(|_| ProfileKeyCommitment::try_from(vec![n; 97]).ok())
}

/// Version `n` was written with the fields of the `write`th write.
pub fn profile_set(n: u8, write: u32) -> ProfileEvent {
    ProfileVersionSet {
        version: version(n),
        commitment: commitment(n),
        fields: fields(write),
        payment_address: false,
        data: None,
        replaces: None,
    }
    .into()
}

/// Version `n` has another picture.
pub fn avatar_replaced(n: u8, picture: u8) -> ProfileEvent {
    AvatarReplaced {
        version: version(n),
        commitment: commitment(n),
        key: avatar(picture),
        replaces: None,
    }
    .into()
}

/// Version `n` has no picture any more.
pub fn avatar_removed(n: u8, picture: u8) -> ProfileEvent {
    AvatarRemoved {
        version: version(n),
        key: avatar(picture),
    }
    .into()
}

/// Version `n` had to go.
pub fn profile_dropped(n: u8) -> ProfileEvent {
    ProfileVersionDropped {
        version: version(n),
        fields: None,
        avatar: None,
    }
    .into()
}

/// All versions are gone.
pub fn profile_cleared() -> ProfileEvent {
    ProfileCleared {
        fields: Vec::new(),
        avatars: Vec::new(),
        kept: Vec::new(),
    }
    .into()
}
