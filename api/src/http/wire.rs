//! Binary values inside JSON. Four families are in use; what a server writes matters, because clients compare strings,
//! and what it reads must be generous, because clients differ.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The standard alphabet, written without padding, read with or without. Keys, signatures, message contents.
const STANDARD: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, CONFIG.with_encode_padding(false));
/// The standard alphabet, written with padding, read with or without. Device names, profile fields, envelopes.
const PADDED: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, CONFIG.with_encode_padding(true));
/// The URL-safe alphabet, written with padding (session ids alone are), read with or without.
const URL_SAFE_PADDED: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG.with_encode_padding(true));

/// The URL-safe alphabet, written without padding, read with or without. Usernames.
const URL_SAFE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG.with_encode_padding(false));

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// A way to write bytes as text.
pub trait Family {
    /// The alphabet and whether to pad.
    const ENGINE: GeneralPurpose;
}

macro_rules! family {
    ($(#[$doc:meta])* $name:ident, $engine:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl Family for $name {
            const ENGINE: GeneralPurpose = $engine;
        }
    };
}

family!(
    /// Standard alphabet, unpadded.
    Unpadded, STANDARD
);
family!(
    /// Standard alphabet, padded.
    Padded, PADDED
);
family!(
    /// URL-safe alphabet, unpadded.
    UrlSafe, URL_SAFE
);
family!(
    /// URL-safe alphabet, padded.
    UrlSafePadded, URL_SAFE_PADDED
);

/// A value of bytes in base64 of one family. Read with or without padding, whatever the family writes.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64<T, F = Unpadded>(pub T, PhantomData<F>);

impl<T, F> Base64<T, F> {
    /// Wraps a value for writing.
    pub const fn new(value: T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T, F> fmt::Debug for Base64<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Base64(…)")
    }
}

impl<T: AsRef<[u8]>, F: Family> Serialize for Base64<T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&F::ENGINE.encode(&self.0))
    }
}

impl<'de, T, F> Deserialize<'de> for Base64<T, F>
where
    T: TryFrom<Vec<u8>, Error: fmt::Display>,
    F: Family,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = F::ENGINE
            .decode(text.as_bytes())
            .map_err(D::Error::custom)?;
        T::try_from(bytes).map(Self::new).map_err(D::Error::custom)
    }
}

/// Text of a path or header, in the URL-safe alphabet.
pub fn from_url_safe(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_PADDED.decode(text).ok()
}

/// Bytes for a path, in the URL-safe alphabet with padding.
pub fn to_url_safe_padded(bytes: &[u8]) -> String {
    URL_SAFE_PADDED.encode(bytes)
}

/// Text of a header, in the standard alphabet.
pub fn from_standard(text: &str) -> Option<Vec<u8>> {
    PADDED.decode(text).ok()
}

/// Reads a missing value, `null` and an empty string alike: as nothing.
pub fn non_empty<'de, D, T, F>(deserializer: D) -> Result<Option<Base64<T, F>>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<Vec<u8>, Error: fmt::Display>,
    F: Family,
{
    let text = Option::<Cow<str>>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    text.map(|text| Base64::deserialize(serde::de::value::CowStrDeserializer::new(text)))
        .transpose()
}

/// A JSON object. Left to itself, serde would take an array for a struct, by position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(ObjectVisitor(PhantomData))
            .map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

/// Bytes that the official desktop library sends as an array of numbers and mobile clients as base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RawBytes(pub Vec<u8>);

impl fmt::Debug for RawBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawBytes(…)")
    }
}

impl Serialize for RawBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&PADDED.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for RawBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawBytesVisitor).map(Self)
    }
}

struct RawBytesVisitor;

impl<'de> Visitor<'de> for RawBytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 or an array of bytes")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        PADDED.decode(text).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(number) = numbers.next_element::<i16>()? {
            // Java's bytes are signed, everybody else's are not.
            let byte = u8::try_from(number)
                .ok()
                .or_else(|| i8::try_from(number).ok().map(i8::cast_unsigned));
            bytes.push(byte.ok_or_else(|| A::Error::custom("a number is no byte"))?);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{from_value, json};

    #[derive(Debug, Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "non_empty")]
        key: Option<Base64<Vec<u8>>>,
    }

    #[test]
    fn nothing_has_four_spellings() {
        for body in [json!({}), json!({ "key": null }), json!({ "key": "" })] {
            assert!(from_value::<Body>(body).unwrap().key.is_none());
        }
        assert_eq!(
            from_value::<Body>(json!({ "key": "AQ" }))
                .unwrap()
                .key
                .unwrap()
                .0,
            [1]
        );
        assert!(from_value::<Body>(json!({ "key": "***" })).is_err());
        assert!(from_value::<Body>(json!({ "key": 7 })).is_err());
    }

    #[test]
    fn raw_bytes_come_in_either_form() {
        for value in [json!("Af8="), json!("Af8"), json!([1, 255]), json!([1, -1])] {
            assert_eq!(from_value::<RawBytes>(value).unwrap().0, [1, 255]);
        }
        for value in [
            json!([256]),
            json!([-129]),
            json!([1.5]),
            json!({}),
            json!(7),
            json!("*"),
            json!(["1"]),
        ] {
            assert!(from_value::<RawBytes>(value.clone()).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn each_family_reads_what_any_writes(bytes: Vec<u8>) {
            let padded = serde_json::to_value(Base64::<_, Padded>::new(&bytes)).unwrap();
            let unpadded = serde_json::to_value(Base64::<_, Unpadded>::new(&bytes)).unwrap();
            prop_assert!(!unpadded.as_str().unwrap().ends_with('='));
            for text in [padded, unpadded] {
                prop_assert_eq!(&from_value::<Base64<Vec<u8>, Padded>>(text.clone()).unwrap().0, &bytes);
                prop_assert_eq!(&from_value::<Base64<Vec<u8>, Unpadded>>(text).unwrap().0, &bytes);
            }
            prop_assert_eq!(from_url_safe(&to_url_safe_padded(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_base64_or_refused(text: String) {
            let _ = from_url_safe(&text);
            let _ = from_standard(&text);
            let _ = serde_json::from_str::<RawBytes>(&text);
        }
    }
}
