//! What the doors sign for themselves: upload tokens, and names under which they remember callers without knowing them.

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

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
