//! What a form lets its holder upload, in a text that only the server can write.

use api::ports::objects::ObjectKey;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use crypto::doors::DoorKey;
use events::Timestamp;
use subtle::ConstantTimeEq as _;

const PURPOSE: &str = "upload token";

/// One object, its size, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) key: ObjectKey,
    pub(crate) max_bytes: u64,
    pub(crate) until: Timestamp,
}

impl Grant {
    pub(crate) fn sign(&self, key: &DoorKey) -> String {
        let text = format!(
            "{} {} {}",
            self.until.epoch_millis(),
            self.max_bytes,
            self.key
        );
        let tag = key.tag(PURPOSE, &[text.as_bytes()]);
        format!("{}.{}", BASE64.encode(text), BASE64.encode(tag))
    }

    /// What a token grants. `None` if the server has not written it or its time is over.
    pub(crate) fn verify(token: &str, key: &DoorKey, at: Timestamp) -> Option<Self> {
        let (text, tag) = token.split_once('.')?;
        let (text, tag) = (BASE64.decode(text).ok()?, BASE64.decode(tag).ok()?);
        let genuine: bool = key.tag(PURPOSE, &[&text]).ct_eq(tag.as_slice()).into();
        let text = String::from_utf8(text).ok().filter(|_| genuine)?;
        let mut parts = text.splitn(3, ' ');
        let until = parts.next()?.parse().ok()?;
        let grant = Self {
            until: Timestamp::from_epoch_millis(until).ok()?,
            max_bytes: parts.next()?.parse().ok()?,
            key: parts.next()?.parse().ok()?,
        };
        Some(grant).filter(|grant| at < grant.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant() -> Grant {
        Grant {
            key: ObjectKey::attachment([1; 15]),
            max_bytes: 100,
            until: at(2_000),
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_epoch_millis(millis).unwrap()
    }

    #[test]
    fn a_token_says_what_was_granted_until_its_time_is_over() {
        let key = DoorKey::new([1; 32]);
        let token = grant().sign(&key);
        assert_eq!(Grant::verify(&token, &key, at(1_999)), Some(grant()));
        assert_eq!(Grant::verify(&token, &key, at(2_000)), None);
        assert_eq!(Grant::verify(&token, &DoorKey::new([2; 32]), at(0)), None);
    }

    proptest! {
        #[test]
        fn a_token_that_was_changed_is_worth_nothing(at_byte: prop::sample::Index, to: u8, text: String) {
            let key = DoorKey::new([1; 32]);
            let token = grant().sign(&key);
            let mut changed = token.clone().into_bytes();
            let index = at_byte.index(changed.len());
            changed[index] = to;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            // The last character of unpadded base64 has bits that mean nothing; the decoder refuses them.
            prop_assert!(changed == token || Grant::verify(&changed, &key, at(0)).is_none());
            prop_assert_eq!(Grant::verify(&text, &key, at(0)), None);
        }
    }
}
