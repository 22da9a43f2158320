//! Parts of profiles. To the server they are opaque: what stands in them is encrypted for those who know the owner's
//! profile key.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_URL_SAFE, Engine as _};
use serde::{Deserialize, Serialize};

use super::{InvalidBytes, base64_serde, shown_by_its_start, sized_bytes};

/// The name of one version of a profile: 32 bytes that follow from the profile key, 64 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProfileVersion([u8; 32]);

impl ProfileVersion {
    /// The version with this name.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for ProfileVersion {
    type Err = InvalidBytes;

    /// Reads digits of either case. They are written in lower case.
    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map(|()| Self(bytes))
            .map_err(|_| InvalidBytes("a profile version (64 hex digits)"))
    }
}

impl TryFrom<String> for ProfileVersion {
    type Error = InvalidBytes;

    fn try_from(text: String) -> Result<Self, InvalidBytes> {
        text.parse()
    }
}

impl From<ProfileVersion> for String {
    fn from(version: ProfileVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for ProfileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ProfileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileVersion({self})")
    }
}

/// What the owner of a profile published about its key: 97 bytes, kept as they came. Whether they are well-formed is for
/// `crypto` to say.
#[derive(Clone, PartialEq, Eq)]
pub struct ProfileKeyCommitment(Box<[u8; 97]>);

impl ProfileKeyCommitment {
    /// The size in bytes.
    pub const LEN: usize = 97;
}

impl TryFrom<Vec<u8>> for ProfileKeyCommitment {
    type Error = InvalidBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
        Box::<[u8]>::from(bytes)
            .try_into()
            .map(Self)
            .map_err(|_| InvalidBytes("a profile key commitment (97 bytes)"))
    }
}

impl AsRef<[u8]> for ProfileKeyCommitment {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for ProfileKeyCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = hex::encode(self.0.get(..5).unwrap_or(self.0.as_slice()));
        write!(f, "ProfileKeyCommitment({start}…)")
    }
}

base64_serde!(ProfileKeyCommitment);

/// The public half of a key by which credentials for pictures are bound to an account: 33 bytes, kept as they came. Whether
/// they are well-formed is for `crypto` to say.
#[derive(Clone, PartialEq, Eq)]
pub struct ZkCredentialKey([u8; 33]);

impl ZkCredentialKey {
    /// The size in bytes.
    pub const LEN: usize = 33;
}

sized_bytes!(ZkCredentialKey, "a credential key (33 bytes)");
shown_by_its_start!(ZkCredentialKey);

/// The name of a picture that whoever shows a credential may put in its place: a commitment of 32 bytes, 64 hex digits in
/// text. It tells nothing of the account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureName([u8; 32]);

impl PictureName {
    /// The name.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for PictureName {
    type Err = InvalidBytes;

    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map(|()| Self(bytes))
            .map_err(|_| InvalidBytes("the name of a picture (64 hex digits)"))
    }
}

impl fmt::Display for PictureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PictureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PictureName({self})")
    }
}

/// Where a profile's picture is kept: `profiles/` and 16 random bytes in padded URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AvatarKey([u8; 16]);

impl AvatarKey {
    const FOLDER: &'static str = "profiles/";

    /// The key made of these bytes.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for AvatarKey {
    type Err = InvalidBytes;

    fn from_str(text: &str) -> Result<Self, InvalidBytes> {
        const WRONG: InvalidBytes = InvalidBytes("the key of a profile's picture");
        let name = text.strip_prefix(Self::FOLDER).ok_or(WRONG)?;
        let bytes = BASE64_URL_SAFE.decode(name).map_err(|_| WRONG)?;
        bytes.try_into().map(Self).map_err(|_| WRONG)
    }
}

impl TryFrom<String> for AvatarKey {
    type Error = InvalidBytes;

    fn try_from(text: String) -> Result<Self, InvalidBytes> {
        text.parse()
    }
}

impl From<AvatarKey> for String {
    fn from(key: AvatarKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for AvatarKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::FOLDER, BASE64_URL_SAFE.encode(self.0))
    }
}

/// The parts of a profile that are ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProfileField {
    /// The name.
    Name,
    /// A text.
    About,
    /// An emoji beside the text.
    AboutEmoji,
    /// Where payments go.
    PaymentAddress,
    /// Whether the owner's number is shown.
    PhoneNumberSharing,
    /// All of it in one, as clients of the second form of profiles write it.
    Data,
}

impl ProfileField {
    /// Whether so many bytes are a field of this kind. Clients pad to few sizes, so that the length tells nothing.
    pub fn admits(self, length: usize) -> bool {
        match self {
            Self::Name => [81, 285].contains(&length),
            Self::About => [0, 156, 282, 540].contains(&length),
            Self::AboutEmoji => [0, 60].contains(&length),
            Self::PaymentAddress => [0, 582].contains(&length),
            Self::PhoneNumberSharing => [0, 29].contains(&length),
            Self::Data => (1..=937).contains(&length),
        }
    }
}

/// All ciphertext of one version of a profile. An empty field is a missing one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProfileFields {
    /// See [`ProfileField::Name`].
    pub name: Vec<u8>,
    /// See [`ProfileField::About`].
    pub about: Vec<u8>,
    /// See [`ProfileField::AboutEmoji`].
    pub about_emoji: Vec<u8>,
    /// See [`ProfileField::PaymentAddress`].
    pub payment_address: Vec<u8>,
    /// See [`ProfileField::PhoneNumberSharing`].
    pub phone_number_sharing: Vec<u8>,
    /// See [`ProfileField::Data`].
    pub data: Vec<u8>,
}

impl ProfileFields {
    /// No field is longer, in bytes.
    pub const MAX_FIELD: usize = 1024;

    /// The fields as one run of bytes: for each its length (2 bytes, big-endian) and itself.
    ///
    /// # Panics
    ///
    /// If a field is longer than [`Self::MAX_FIELD`], which the doors see to.
    pub fn write(&self) -> Vec<u8> {
        let fields = [
            &self.name,
            &self.about,
            &self.about_emoji,
            &self.payment_address,
            &self.phone_number_sharing,
            &self.data,
        ];
        let mut bytes = Vec::with_capacity(fields.iter().map(|field| 2 + field.len()).sum());
        for field in fields {
            let length = u16::try_from(field.len()).expect("fields have 1024 bytes at the most");
            bytes.extend(length.to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }

    /// Reads what [`Self::write`] wrote.
    pub fn read(mut bytes: &[u8]) -> Result<Self, InvalidBytes> {
        const WRONG: InvalidBytes = InvalidBytes("the fields of a profile");
        let mut field = || {
            let (length, rest) = bytes.split_first_chunk::<2>().ok_or(WRONG)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (field, rest) = rest.split_at_checked(length).ok_or(WRONG)?;
            bytes = rest;
            Ok(field.to_vec())
        };
        let fields = Self {
            name: field()?,
            about: field()?,
            about_emoji: field()?,
            payment_address: field()?,
            phone_number_sharing: field()?,
            data: field()?,
        };
        bytes.is_empty().then_some(fields).ok_or(WRONG)
    }
}

impl fmt::Debug for ProfileFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileFields(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_version_is_64_hex_digits_of_either_case() {
        let version: ProfileVersion = "AB".repeat(32).parse().unwrap();
        assert_eq!(version.to_string(), "ab".repeat(32));
        for wrong in ["", "ab", &"xy".repeat(32), &"ab".repeat(33)] {
            assert!(wrong.parse::<ProfileVersion>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_picture_is_kept_under_24_characters() {
        let key = AvatarKey::from_random([0xff; 16]);
        assert_eq!(key.to_string(), "profiles/_____________________w==");
        assert_eq!(key.to_string().parse(), Ok(key));
        for wrong in [
            "",
            "profiles/",
            "stickers/_____________________w==",
            "profiles/_w==",
        ] {
            assert!(wrong.parse::<AvatarKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_are_those_that_clients_pad_to() {
        use ProfileField::{About, AboutEmoji, Data, Name, PaymentAddress, PhoneNumberSharing};
        let fields = [
            Name,
            About,
            AboutEmoji,
            PaymentAddress,
            PhoneNumberSharing,
            Data,
        ];
        let admitted = |field: ProfileField| {
            let lengths = (0..=ProfileFields::MAX_FIELD).filter(|length| field.admits(*length));
            (
                lengths.clone().min(),
                lengths.clone().max(),
                lengths.count(),
            )
        };
        assert_eq!(
            fields.map(admitted),
            [
                (Some(81), Some(285), 2),
                (Some(0), Some(540), 4),
                (Some(0), Some(60), 2),
                (Some(0), Some(582), 2),
                (Some(0), Some(29), 2),
                (Some(1), Some(937), 937),
            ]
        );
    }

    proptest! {
        #[test]
        fn fields_read_back(parts in proptest::array::uniform6(proptest::collection::vec(any::<u8>(), 0..40))) {
            let [name, about, about_emoji, payment_address, phone_number_sharing, data] = parts;
            let fields = ProfileFields { name, about, about_emoji, payment_address, phone_number_sharing, data };
            let bytes = fields.write();
            prop_assert_eq!(ProfileFields::read(&bytes), Ok(fields));
            prop_assert!(ProfileFields::read(&bytes[..bytes.len() - 1]).is_err());
            prop_assert!(ProfileFields::read(&[bytes, vec![0]].concat()).is_err());
        }

        #[test]
        fn any_bytes_are_fields_or_refused(bytes: Vec<u8>) {
            let _ = ProfileFields::read(&bytes);
        }
    }
}
