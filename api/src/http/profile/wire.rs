//! Profiles on the wire. Ciphertext is padded base64, and `null` where there is none.

use events::ServiceId;
use events::values::Capability;
use events::values::keys::EcPublicKey;
use events::values::profile::{AvatarKey, ProfileFields};
use projections::accounts::Account;
use projections::devices::Device;
use projections::profiles::StoredProfile;
use serde::{Deserialize, Serialize};

use crate::http::wire::{Base64, Padded};

/// What everybody who may see a profile at all is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaseProfile {
    /// Of the identity that was asked for.
    #[schema(value_type = Option<String>)]
    pub identity_key: Option<Base64<EcPublicKey, Padded>>,
    /// What shows to those who have the access key that it is still the same: HMAC-SHA256 under it. Not the key.
    #[schema(value_type = Option<String>)]
    pub unidentified_access: Option<Base64<Vec<u8>, Padded>>,
    /// Whether anonymous senders need to know nothing.
    pub unrestricted_unidentified_access: bool,
    /// What the account's devices can do.
    pub capabilities: ShownCapabilities,
    /// Badges. Nothing is sold here, so nobody has any.
    pub badges: Vec<Badge>,
    /// The identity.
    #[schema(value_type = String)]
    pub uuid: ServiceId,
}

/// The capabilities that others are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "so many capabilities are shown, each by its name"
)]
pub struct ShownCapabilities {
    /// Device 1 can send missing attachments to its siblings.
    pub attachment_backfill: bool,
    /// All devices speak the post-quantum ratchet.
    pub spqr: bool,
    /// All devices speak the second form of profiles.
    #[serde(rename = "profiles_v2")]
    pub profiles_v2: bool,
    /// All devices understand the sync message about a changed username.
    pub username_change_sync_message: bool,
}

/// A badge on a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Badge {
    /// Which one.
    pub id: String,
    /// What it is for.
    pub category: String,
    /// Its name, in the reader's language.
    pub name: String,
    /// What it says, in the reader's language.
    pub description: String,
    /// Six pictures, from small to large.
    pub sprites6: Vec<String>,
    /// One picture for all sizes.
    pub svg: String,
    /// The same for light and dark surroundings.
    pub svgs: Vec<BadgeSvg>,
}

/// A picture of a badge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BadgeSvg {
    /// On light ground.
    pub light: String,
    /// On dark ground.
    pub dark: String,
}

/// What the owner writes on a version: ciphertext, as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WrittenFields {
    /// The name.
    #[schema(value_type = Option<String>)]
    pub name: Option<Base64<Vec<u8>, Padded>>,
    /// A text.
    #[schema(value_type = Option<String>)]
    pub about: Option<Base64<Vec<u8>, Padded>>,
    /// An emoji beside the text.
    #[schema(value_type = Option<String>)]
    pub about_emoji: Option<Base64<Vec<u8>, Padded>>,
    /// Where payments go; shown in the current version only.
    #[schema(value_type = Option<String>)]
    pub payment_address: Option<Base64<Vec<u8>, Padded>>,
    /// Whether the owner's number is shown.
    #[schema(value_type = Option<String>)]
    pub phone_number_sharing: Option<Base64<Vec<u8>, Padded>>,
}

/// What stands in one version of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionFields {
    /// What the owner wrote.
    #[serde(flatten)]
    pub written: WrittenFields,
    /// Where the picture is.
    #[schema(value_type = Option<String>)]
    pub avatar: Option<AvatarKey>,
}

/// A profile with one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionedProfile {
    /// What does not depend on the version.
    #[serde(flatten)]
    pub base: BaseProfile,
    /// What stands in it.
    #[serde(flatten)]
    pub fields: VersionFields,
}

/// The same, with a place for a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Profile)]
pub struct CredentialProfile {
    /// The profile.
    #[serde(flatten)]
    pub profile: VersionedProfile,
    /// By which its reader shows a group that the profile key is the right one.
    #[schema(value_type = Option<String>)]
    pub credential: Option<Base64<Vec<u8>, Padded>>,
}

impl BaseProfile {
    /// What is told of one identity of an account. A number's identity is not reached anonymously, and tells nothing of
    /// how its account is.
    pub fn of(account: &Account, devices: &[Device], identity: ServiceId) -> Self {
        let (key, checksum) = match identity {
            ServiceId::Aci(_) => (
                &account.identity.aci,
                account
                    .access_key
                    .as_ref()
                    .map(crypto::access_key::checksum),
            ),
            ServiceId::Pni(_) => (&account.identity.pni, None),
        };
        Self {
            identity_key: key.clone().map(Base64::new),
            unidentified_access: checksum.map(|checksum| Base64::new(checksum.to_vec())),
            unrestricted_unidentified_access: matches!(identity, ServiceId::Aci(_))
                && account.unrestricted,
            capabilities: ShownCapabilities::of(devices),
            badges: Vec::new(),
            uuid: identity,
        }
    }
}

impl ShownCapabilities {
    fn of(devices: &[Device]) -> Self {
        let can = |device: &Device, capability| device.capabilities.contains(&capability);
        let all = |capability| {
            !devices.is_empty() && devices.iter().all(|device| can(device, capability))
        };
        Self {
            attachment_backfill: devices.iter().any(|device| {
                device.id.is_primary() && can(device, Capability::AttachmentBackfill)
            }),
            spqr: all(Capability::Spqr),
            profiles_v2: all(Capability::ProfilesV2),
            username_change_sync_message: all(Capability::UsernameChangeSyncMessage),
        }
    }
}

impl From<WrittenFields> for ProfileFields {
    fn from(written: WrittenFields) -> Self {
        let bytes =
            |field: Option<Base64<Vec<u8>, Padded>>| field.map_or_else(Vec::new, |bytes| bytes.0);
        Self {
            name: bytes(written.name),
            about: bytes(written.about),
            about_emoji: bytes(written.about_emoji),
            payment_address: bytes(written.payment_address),
            phone_number_sharing: bytes(written.phone_number_sharing),
            data: Vec::new(),
        }
    }
}

impl From<StoredProfile> for VersionFields {
    fn from(stored: StoredProfile) -> Self {
        let field = |bytes: Vec<u8>| (!bytes.is_empty()).then(|| Base64::new(bytes));
        let ProfileFields {
            name,
            about,
            about_emoji,
            payment_address,
            phone_number_sharing,
            data: _,
        } = stored.fields.unwrap_or_default();
        Self {
            written: WrittenFields {
                name: field(name),
                about: field(about),
                about_emoji: field(about_emoji),
                payment_address: field(payment_address).filter(|_| stored.current),
                phone_number_sharing: field(phone_number_sharing),
            },
            avatar: stored.avatar,
        }
    }
}
