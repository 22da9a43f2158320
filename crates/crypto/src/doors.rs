//! What the doors sign for themselves: upload tokens, and names under which they remember callers without knowing them.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::mac::MacKey;

/// One key for everything that only this server's nodes check again. Each purpose is a world of its own.
#[derive(Clone, Debug)]
pub struct DoorKey(MacKey);

impl DoorKey {
    /// A key from its 32 secret bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(MacKey::new(secret))
    }

    /// HMAC-SHA256 over the parts, for one purpose. Different lists of parts never look alike.
    pub fn tag(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let framed = parts.iter().flat_map(|part| {
            let length = u64::try_from(part.len()).expect("no part has 2^64 bytes");
            [length.to_be_bytes().to_vec(), part.to_vec()]
        });
        let message: Vec<u8> = framed.flatten().collect();
        let key = MacKey::new(self.0.tag(&[purpose.as_bytes()]));
        key.tag(&[&message])
    }

    pub(crate) fn key(&self) -> &MacKey {
        &self.0
    }
}

/// Seals bytes under a key that is for one text, or for versions of it: what is sealed twice shows only whether it is the
/// same. AES-256-GCM-SIV.
pub fn seal(key: &[u8; 32], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let tag = cipher(key)
        .seal_in_place_separate_tag(nonce(), Aad::empty(), &mut text)
        .expect("texts of a few kilobytes can be sealed");
    text.extend(tag.as_ref());
    text
}

/// Opens what [`seal`] sealed; `None` if it is something else, or the key is.
pub fn open(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut text = sealed.to_vec();
    let opened = cipher(key).open_in_place(nonce(), Aad::empty(), &mut text);
    let length = opened.ok()?.len();
    text.truncate(length);
    Some(text)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has 32 bytes"))
}

/// Always the same one, so that what is sealed twice can be recognised.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_is_sealed_opens_with_its_key_only() {
        let sealed = seal(&[1; 32], b"answer");
        assert_eq!(open(&[1; 32], &sealed).as_deref(), Some(&b"answer"[..]));
        assert_eq!(open(&[2; 32], &sealed), None);
        let mut changed = sealed.clone();
        changed[0] ^= 1;
        assert_eq!(open(&[1; 32], &changed), None);
        assert_eq!(open(&[1; 32], b""), None);
    }

    /// What another implementation makes of it: what was sealed stays legible.
    #[test]
    fn what_is_sealed_is_aes_256_gcm_siv() {
        let sealed = seal(&[1; 32], b"answer");
        assert_eq!(
            hex::encode(sealed),
            "049685b699708bb154e16ee85002f08f84c7ac9f8aff"
        );
    }

    #[test]
    fn purposes_and_parts_are_told_apart() {
        let key = DoorKey::new([1; 32]);
        let tags: HashSet<_> = [
            key.tag("a", &[b"bc"]),
            key.tag("ab", &[b"c"]),
            key.tag("a", &[b"b", b"c"]),
            key.tag("a", &[b"bc", b""]),
            DoorKey::new([2; 32]).tag("a", &[b"bc"]),
        ]
        .into();
        assert_eq!(tags.len(), 5);
        assert_eq!(key.tag("a", &[b"bc"]), key.clone().tag("a", &[b"bc"]));
    }
}
