//! Identifiers. Each is parsed once and is valid from then on, whether it came from a client or from the store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::values::from_text;

/// A text or number that is no identifier of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {kind}")]
pub struct InvalidId {
    kind: &'static str,
    value: String,
}

impl InvalidId {
    pub(crate) fn new(kind: &'static str, value: impl fmt::Display) -> Self {
        Self {
            kind,
            value: value.to_string(),
        }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an already known UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A fresh id out of 16 random bytes (UUID version 4).
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The bare UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The 16 bytes of the UUID.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Takes the hyphenated form only, in any case.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                hyphenated(text).map(Self).ok_or_else(|| InvalidId::new($kind, text))
            }
        }
    };
}

/// `Uuid::parse_str` also takes braces, URNs and bare hex, none of which the protocol knows.
fn hyphenated(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

uuid_id!(
    /// An account ("account identity"). Random, and kept for as long as the account comes back to its number.
    Aci, "account id"
);
uuid_id!(
    /// A phone number's stable pseudonym ("phone-number identity"): the same number has the same PNI for ever.
    Pni, "phone-number id"
);
uuid_id!(
    /// A message as the server knows it, unique over all mailboxes (the envelope's `server_guid`).
    MessageGuid, "message guid"
);
uuid_id!(
    /// A verification session. Clients see its 16 bytes as padded base64url.
    SessionId, "verification session id"
);
uuid_id!(
    /// Where the encrypted username behind a link is found. Random; whoever has the link knows it.
    LinkHandle, "username link handle"
);
uuid_id!(
    /// An event. Also the key by which a repeated append is recognised.
    EventId, "event id"
);

/// Which of an account's two identities is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// The account's own identity.
    Aci,
    /// The identity that belongs to the phone number.
    Pni,
}

/// The address of an account: by itself, or by its phone number.
///
/// Text form: a bare UUID for an ACI, `PNI:` and a UUID for a PNI. Binary form: 16 bytes, or 0x01 and 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum ServiceId {
    /// Addressed by account.
    Aci(Aci),
    /// Addressed by phone number.
    Pni(Pni),
}

impl ServiceId {
    const PNI_PREFIX: &str = "PNI:";
    const PNI_TYPE_BYTE: u8 = 1;

    /// Which identity this addresses.
    pub const fn kind(self) -> IdentityKind {
        match self {
            Self::Aci(_) => IdentityKind::Aci,
            Self::Pni(_) => IdentityKind::Pni,
        }
    }

    /// The UUID without its kind.
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::Aci(aci) => aci.uuid(),
            Self::Pni(pni) => pni.uuid(),
        }
    }

    /// The compact binary form that envelopes carry: 16 bytes for an ACI, 17 for a PNI.
    pub fn to_binary(self) -> Vec<u8> {
        match self {
            Self::Aci(aci) => aci.as_bytes().to_vec(),
            Self::Pni(pni) => [&[Self::PNI_TYPE_BYTE], pni.as_bytes().as_slice()].concat(),
        }
    }

    /// Reads the compact binary form.
    pub fn from_binary(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [Self::PNI_TYPE_BYTE, uuid @ ..] if uuid.len() == 16 => {
                Uuid::from_slice(uuid).ok().map(|uuid| Self::Pni(Pni(uuid)))
            }
            _ => Uuid::from_slice(bytes)
                .ok()
                .map(|uuid| Self::Aci(Aci(uuid))),
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aci(aci) => aci.fmt(f),
            Self::Pni(pni) => write!(f, "{}{pni}", Self::PNI_PREFIX),
        }
    }
}

impl FromStr for ServiceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parsed = match text.split_at_checked(Self::PNI_PREFIX.len()) {
            Some((prefix, uuid)) if prefix.eq_ignore_ascii_case(Self::PNI_PREFIX) => {
                hyphenated(uuid).map(|uuid| Self::Pni(Pni(uuid)))
            }
            _ => hyphenated(text).map(|uuid| Self::Aci(Aci(uuid))),
        };
        parsed.ok_or_else(|| InvalidId::new("service id", text))
    }
}

impl<'de> Deserialize<'de> for ServiceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, Self::from_str)
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.to_string()
    }
}

impl From<Aci> for ServiceId {
    fn from(aci: Aci) -> Self {
        Self::Aci(aci)
    }
}

impl From<Pni> for ServiceId {
    fn from(pni: Pni) -> Self {
        Self::Pni(pni)
    }
}

/// A device within an account. Device 1 is the primary; nothing above 127 fits the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct DeviceId(u8);

impl DeviceId {
    /// The device that registered the account and manages the others.
    pub const PRIMARY: Self = Self(1);
    /// The highest id that the wire format can carry.
    pub const MAX: Self = Self(127);

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this is device 1.
    pub fn is_primary(self) -> bool {
        self == Self::PRIMARY
    }

    /// Every possible id, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::PRIMARY.0..=Self::MAX.0).map(Self)
    }
}

impl TryFrom<u32> for DeviceId {
    type Error = InvalidId;

    fn try_from(number: u32) -> Result<Self, InvalidId> {
        u8::try_from(number)
            .ok()
            .filter(|id| (1..=Self::MAX.0).contains(id))
            .map(Self)
            .ok_or_else(|| InvalidId::new("device id (1 to 127)", number))
    }
}

impl From<DeviceId> for u32 {
    fn from(id: DeviceId) -> Self {
        Self::from(id.0)
    }
}

impl FromStr for DeviceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = text
            .parse::<u32>()
            .map_err(|_| InvalidId::new("device id (1 to 127)", text))?;
        Self::try_from(number)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number a device draws when it is installed (1 to 16383); senders quote it, so that a reinstalled device is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct RegistrationId(u16);

impl RegistrationId {
    /// The highest id: 14 bits.
    pub const MAX: Self = Self(0x3fff);

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u32> for RegistrationId {
    type Error = InvalidId;

    fn try_from(number: u32) -> Result<Self, InvalidId> {
        u16::try_from(number)
            .ok()
            .filter(|id| (1..=Self::MAX.0).contains(id))
            .map(Self)
            .ok_or_else(|| InvalidId::new("registration id (1 to 16383)", number))
    }
}

impl From<RegistrationId> for u32 {
    fn from(id: RegistrationId) -> Self {
        Self::from(id.0)
    }
}

/// How many devices an account has had under all ids when this one came: ids are reused, generations are not.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation of the next device.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Generation {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse()
            .map(Self)
            .map_err(|_| InvalidId::new("generation", text))
    }
}

/// One life of one device: what keys and mailboxes are filed under, so that a reused id inherits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceAddress {
    /// The account.
    pub aci: Aci,
    /// The device within it.
    pub device: DeviceId,
    /// Which of the devices that had this id.
    pub generation: Generation,
}

/// A pre-key's id, chosen by the client: 0 to 2³¹−1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct PreKeyId(u32);

impl PreKeyId {
    /// The highest id: 31 bits.
    pub const MAX: u32 = 0x7fff_ffff;

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for PreKeyId {
    type Error = InvalidId;

    fn try_from(number: u64) -> Result<Self, InvalidId> {
        u32::try_from(number)
            .ok()
            .filter(|id| *id <= Self::MAX)
            .map(Self)
            .ok_or_else(|| InvalidId::new("pre-key id (0 to 2147483647)", number))
    }
}

impl From<PreKeyId> for u64 {
    fn from(id: PreKeyId) -> Self {
        Self::from(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_hyphenated_uuid_form_is_an_account_id() {
        let uuid = "2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11";
        assert_eq!(uuid.parse::<Aci>().unwrap().to_string(), uuid);
        assert_eq!(
            uuid.to_uppercase().parse::<Aci>().unwrap().to_string(),
            uuid
        );
        for wrong in [
            "",
            "not-a-uuid",
            &uuid.replace('-', ""),
            &format!("{{{uuid}}}"),
            &format!("urn:uuid:{uuid}"),
        ] {
            assert!(wrong.parse::<Aci>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_service_id_needs_its_prefix_for_a_number() {
        let uuid = "2d7c0e6e-5c0c-4d31-9b6e-0d8f5f0d4a11";
        assert_eq!(uuid.parse::<ServiceId>().unwrap().kind(), IdentityKind::Aci);
        assert_eq!(
            format!("PNI:{uuid}").parse::<ServiceId>().unwrap().kind(),
            IdentityKind::Pni
        );
        assert!(format!("ACI:{uuid}").parse::<ServiceId>().is_err());
        assert!("PNI:".parse::<ServiceId>().is_err());
    }

    #[test]
    fn device_and_registration_ids_have_bounds() {
        for (number, valid) in [
            (0, false),
            (1, true),
            (127, true),
            (128, false),
            (300, false),
            (u32::MAX, false),
        ] {
            assert_eq!(DeviceId::try_from(number).is_ok(), valid, "{number}");
        }
        for (number, valid) in [
            (0, false),
            (1, true),
            (16383, true),
            (16384, false),
            (65537, false),
        ] {
            assert_eq!(RegistrationId::try_from(number).is_ok(), valid, "{number}");
        }
        assert!(PreKeyId::try_from(1 << 31).is_err());
    }

    proptest! {
        #[test]
        fn service_ids_round_trip(bytes: [u8; 16], pni: bool) {
            let uuid = Uuid::from_bytes(bytes);
            let id = if pni { ServiceId::Pni(Pni(uuid)) } else { ServiceId::Aci(Aci(uuid)) };
            prop_assert_eq!(id.to_string().parse::<ServiceId>(), Ok(id));
            prop_assert_eq!(ServiceId::from_binary(&id.to_binary()), Some(id));
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,60}") {
            let _ = text.parse::<ServiceId>();
            let _ = text.parse::<DeviceId>();
        }
    }
}
