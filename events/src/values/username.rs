//! Usernames, which the server knows as hashes and as ciphertext only.

use std::fmt;
use std::str::FromStr;

use super::{InvalidBytes, base64_serde, sized_bytes};
use crate::ids::InvalidId;

/// The hash of a username: a commitment of 32 bytes. Written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsernameHash(pub [u8; Self::LEN]);

impl UsernameHash {
    /// The size in bytes.
    pub const LEN: usize = 32;
}

sized_bytes!(UsernameHash, "the hash of a username (32 bytes)");

impl fmt::Display for UsernameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for UsernameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsernameHash({self})")
    }
}

impl FromStr for UsernameHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId::new("username hash", text);
        let digits = text.as_bytes();
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 2 * Self::LEN || !digits.iter().all(is_digit) {
            return Err(invalid());
        }
        let mut hash = [0; Self::LEN];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(hash))
    }
}

/// A username as its owner encrypted it for those who have the link: 1 to 128 bytes that mean nothing to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedUsername(Box<[u8]>);

impl EncryptedUsername {
    /// The longest, in bytes of ciphertext.
    pub const MAX_LEN: usize = 128;
}

impl TryFrom<Vec<u8>> for EncryptedUsername {
    type Error = InvalidBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
        if (1..=Self::MAX_LEN).contains(&bytes.len()) {
            Ok(Self(bytes.into()))
        } else {
            Err(InvalidBytes("an encrypted username of 1 to 128 bytes"))
        }
    }
}

impl AsRef<[u8]> for EncryptedUsername {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EncryptedUsername {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptedUsername(…)")
    }
}

base64_serde!(EncryptedUsername);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hash_reads_back(hash: [u8; 32]) {
            let hash = UsernameHash(hash);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            prop_assert!(hash.to_string().to_uppercase().parse::<UsernameHash>().is_err() == hash.to_string().contains(|c: char| c.is_ascii_lowercase()));
        }

        #[test]
        fn any_text_is_a_hash_or_refused(text: String) {
            let _ = text.parse::<UsernameHash>();
        }
    }

    #[test]
    fn an_encrypted_username_has_1_to_128_bytes() {
        let fits = |length| EncryptedUsername::try_from(vec![7; length]).is_ok();
        assert!(!fits(0) && fits(1) && fits(128) && !fits(129));
    }
}
