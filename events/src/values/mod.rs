//! Values with rules of their own. A constructor is the rule; past it nobody checks again.

pub mod backup;
pub mod e164;
pub mod hashes;
pub mod keys;
pub mod profile;
pub mod totp;
pub mod username;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// A moment: milliseconds since 1970-01-01 UTC, from 0 to 8 640 000 000 000 000 (the range of a client's clock).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(try_from = "u64", into = "u64")]
pub struct Timestamp(u64);

/// A number of milliseconds outside of what a clock can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} ms is outside 0..=8640000000000000")]
pub struct TimestampOutOfRange(u64);

impl Timestamp {
    /// The latest moment that a client may name.
    pub const MAX: Self = Self(8_640_000_000_000_000);

    /// Reads milliseconds since the epoch.
    pub const fn from_epoch_millis(millis: u64) -> Result<Self, TimestampOutOfRange> {
        if millis <= Self::MAX.0 {
            Ok(Self(millis))
        } else {
            Err(TimestampOutOfRange(millis))
        }
    }

    /// Milliseconds since the epoch.
    pub const fn epoch_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds since the epoch, as Postgres keeps them.
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).expect("the range ends far below i64::MAX")
    }

    /// Reads what [`Self::to_i64`] gave.
    pub fn from_i64(millis: i64) -> Result<Self, TimestampOutOfRange> {
        Self::from_epoch_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// This moment less some time, at the least 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// This moment and some time, at the most [`Self::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl TryFrom<u64> for Timestamp {
    type Error = TimestampOutOfRange;

    fn try_from(millis: u64) -> Result<Self, Self::Error> {
        Self::from_epoch_millis(millis)
    }
}

impl From<Timestamp> for u64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes of the wrong number, or of a form that their kind does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct InvalidBytes(pub(crate) &'static str);

/// Reads a value from its text, which is not kept.
pub(crate) fn from_text<'de, D, T, E>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
{
    struct Text<F, T, E>(F, PhantomData<fn() -> Result<T, E>>);

    impl<F, T, E> Visitor<'_> for Text<F, T, E>
    where
        F: FnOnce(&str) -> Result<T, E>,
        E: fmt::Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<X: serde::de::Error>(self, text: &str) -> Result<T, X> {
            (self.0)(text).map_err(X::custom)
        }
    }

    deserializer.deserialize_str(Text(read, PhantomData))
}

/// Implements serde for a byte value as unpadded standard base64, through `as_ref` and `TryFrom<Vec<u8>>`.
macro_rules! base64_serde {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$crate::values::to_base64(self.as_ref()))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = $crate::values::from_text(deserializer, $crate::values::from_base64)?;
                Self::try_from(bytes).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use base64_serde;

/// Makes a tuple struct over an array of bytes a byte value: read from as many bytes, and base64 in stored events.
macro_rules! sized_bytes {
    ($name:ident, $what:literal) => {
        impl TryFrom<Vec<u8>> for $name {
            type Error = $crate::values::InvalidBytes;

            fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
                let bytes = bytes.try_into().map(Self);
                bytes.map_err(|_| $crate::values::InvalidBytes($what))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        $crate::values::base64_serde!($name);
    };
}
pub(crate) use sized_bytes;

/// Debug output of a byte value that is no secret: its first bytes in hex.
macro_rules! shown_by_its_start {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let start = hex::encode(&self.0[..4]);
                write!(f, concat!(stringify!($name), "({}…)"), start)
            }
        }
    };
}
pub(crate) use shown_by_its_start;

/// The form that stored events use: standard alphabet, no padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD_NO_PAD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    BASE64_STANDARD_NO_PAD.decode(text)
}

/// A device's name as its owner encrypted it: 1 to 225 bytes that mean nothing to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedDeviceName(Box<[u8]>);

impl EncryptedDeviceName {
    /// The longest name, in bytes of ciphertext.
    pub const MAX_LEN: usize = 225;
}

impl TryFrom<Vec<u8>> for EncryptedDeviceName {
    type Error = InvalidBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
        if (1..=Self::MAX_LEN).contains(&bytes.len()) {
            Ok(Self(bytes.into()))
        } else {
            Err(InvalidBytes("a device name of 1 to 225 bytes"))
        }
    }
}

impl AsRef<[u8]> for EncryptedDeviceName {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

base64_serde!(EncryptedDeviceName);

/// When a device joined its account, readable to the account's owner only: 57 bytes that `crypto` seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCreationTime(Box<[u8; SealedCreationTime::LEN]>);

impl SealedCreationTime {
    /// The size in bytes.
    pub const LEN: usize = 57;
}

impl TryFrom<Vec<u8>> for SealedCreationTime {
    type Error = InvalidBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
        let bytes: Box<[u8]> = bytes.into();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| InvalidBytes("a sealed creation time (57 bytes)"))
    }
}

impl AsRef<[u8]> for SealedCreationTime {
    fn as_ref(&self) -> &[u8] {
        &*self.0
    }
}

base64_serde!(SealedCreationTime);

/// What a device can do, by name. Unknown names are ignored at the door, so this only ever holds known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capability {
    /// Keeps an encrypted copy of the account in remote storage.
    Storage,
    /// Can hand the account over to a new device directly.
    Transfer,
    /// Can send missing attachments to its siblings.
    AttachmentBackfill,
    /// Speaks the post-quantum ratchet.
    Spqr,
    /// Speaks the second form of profiles.
    #[serde(rename = "profiles_v2")]
    ProfilesV2,
    /// Understands the sync message about a changed username.
    UsernameChangeSyncMessage,
    /// Works in accounts without a phone number.
    OptionalPhoneNumber,
}

impl Capability {
    /// Every capability that the server knows.
    pub const ALL: [Self; 7] = [
        Self::Storage,
        Self::Transfer,
        Self::AttachmentBackfill,
        Self::Spqr,
        Self::ProfilesV2,
        Self::UsernameChangeSyncMessage,
        Self::OptionalPhoneNumber,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Transfer => "transfer",
            Self::AttachmentBackfill => "attachmentBackfill",
            Self::Spqr => "spqr",
            Self::ProfilesV2 => "profiles_v2",
            Self::UsernameChangeSyncMessage => "usernameChangeSyncMessage",
            Self::OptionalPhoneNumber => "optionalPhoneNumber",
        }
    }

    /// The capability of that name, if the server knows it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
    }
}

/// The capabilities of one device.
pub type Capabilities = std::collections::BTreeSet<Capability>;

/// A secret in memory that no log line and no error text may show.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_names_are_those_of_the_stored_form() {
        for capability in Capability::ALL {
            assert_eq!(serde_json::to_value(capability).unwrap(), capability.name());
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
        }
    }

    #[test]
    fn time_stays_in_its_range() {
        assert!(Timestamp::from_epoch_millis(8_640_000_000_000_000).is_ok());
        assert!(Timestamp::from_epoch_millis(8_640_000_000_000_001).is_err());
        assert!(Timestamp::from_i64(-1).is_err());
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::default().since(Timestamp::MAX), Duration::ZERO);
    }
}
