//! Samples of events of profiles.

use events::payload::PayloadDigest;
use events::profile::{
    AvatarRemoved, AvatarReplaced, ProfileCleared, ProfileEvent, ProfileVersionDropped,
    ProfileVersionSet,
};
use events::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};

use super::payload;

pub(super) fn samples() -> Vec<ProfileEvent> {
    let version = Some(ProfileVersion::from_bytes([0xab; 32]));
    let commitment = ProfileKeyCommitment::try_from(vec![0; 97]).ok();
    let avatar = |fill| AvatarKey::from_random([fill; 16]);
    let fields = payload(b"fields");
    vec![
        ProfileVersionSet {
            version,
            commitment: commitment.clone(),
            fields,
            payment_address: true,
            data: Some(PayloadDigest::of(b"data")),
            replaces: Some(fields.id),
        }
        .into(),
        ProfileVersionSet {
            version: None,
            commitment: None,
            fields,
            payment_address: false,
            data: None,
            replaces: None,
        }
        .into(),
        AvatarReplaced {
            version,
            commitment,
            key: avatar(2),
            replaces: Some(avatar(1)),
        }
        .into(),
        AvatarReplaced {
            version,
            commitment: None,
            key: avatar(1),
            replaces: None,
        }
        .into(),
        AvatarRemoved {
            version,
            key: avatar(2),
        }
        .into(),
        ProfileVersionDropped {
            version,
            fields: Some(fields.id),
            avatar: Some(avatar(1)),
        }
        .into(),
        ProfileVersionDropped {
            version: None,
            fields: None,
            avatar: None,
        }
        .into(),
        ProfileCleared {
            fields: vec![fields.id],
            avatars: vec![avatar(1)],
            kept: Vec::new(),
        }
        .into(),
        ProfileCleared {
            fields: vec![fields.id],
            avatars: Vec::new(),
            kept: vec![avatar(1)],
        }
        .into(),
    ]
}
