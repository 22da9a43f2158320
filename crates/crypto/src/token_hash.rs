//! Salted hashes of tokens that clients prove to know: device passwords, registration locks, recovery passwords.
//!
//! `2.` and the lower-case hex of HKDF-SHA256 over the token's UTF-8 bytes: 32 bytes, info `authtoken`, and for salt the
//! ASCII bytes of the salt's hex text (the text is not decoded first). A token has too much entropy for a slow hash to
//! be of use; a registration lock is derived from a stretched PIN by the client.

use events::values::hashes::SaltedHash;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const VERSION: &str = "2.";
const INFO: &[u8] = b"authtoken";
/// In front of a hash: no token matches until the account is registered again.
const LOCKED: char = '!';

/// Hashes `token` under 16 fresh random bytes of salt.
pub fn hash(token: &str, salt: [u8; 16]) -> SaltedHash {
    let salt = hex::encode(salt);
    let hash = digest(token, &salt);
    SaltedHash {
        salt: salt.into(),
        hash: hash.into(),
    }
}

/// Whether `token` is the one that was hashed. Constant time; a locked hash or one of another version never matches.
pub fn verify(token: &str, stored: &SaltedHash) -> bool {
    digest(token, &stored.salt)
        .as_bytes()
        .ct_eq(stored.hash.as_bytes())
        .into()
}

/// [`hash`] for tokens that are bytes (recovery passwords): their lower-case hex is the token.
pub fn hash_bytes(token: &[u8], salt: [u8; 16]) -> SaltedHash {
    hash(&hex_token(token), salt)
}

/// [`verify`] for tokens that are bytes (recovery passwords): their lower-case hex is the token.
pub fn verify_bytes(token: &[u8], stored: &SaltedHash) -> bool {
    verify(&hex_token(token), stored)
}

/// The same hash, locked: `!` in front of it. Locking twice changes nothing.
#[must_use]
pub fn lock(stored: &SaltedHash) -> SaltedHash {
    if is_locked(stored) {
        return stored.clone();
    }
    SaltedHash {
        salt: stored.salt.clone(),
        hash: format!("{LOCKED}{}", stored.hash).into(),
    }
}

/// Whether [`lock`] was called on this hash.
pub fn is_locked(stored: &SaltedHash) -> bool {
    stored.hash.starts_with(LOCKED)
}

fn hex_token(token: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(token))
}

fn digest(token: &str, salt: &str) -> String {
    let mut output = [0; 32];
    Hkdf::<Sha256>::new(Some(salt.as_bytes()), token.as_bytes())
        .expand(INFO, &mut output)
        .expect("32 bytes are within what HKDF gives");
    format!("{VERSION}{}", hex::encode(output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_locked_hash_matches_nothing() {
        let stored = hash("password", [1; 16]);
        assert!(verify("password", &stored) && !is_locked(&stored));
        let locked = lock(&stored);
        assert!(!verify("password", &locked) && is_locked(&locked));
        assert_eq!(lock(&locked), locked);
    }

    proptest! {
        #[test]
        fn only_the_same_token_matches(token: String, other: String, salt: [u8; 16]) {
            let stored = hash(&token, salt);
            prop_assert!(verify(&token, &stored));
            prop_assert_eq!(verify(&other, &stored), other == token);
        }

        #[test]
        fn a_flipped_bit_of_a_recovery_password_is_noticed(token: [u8; 32], salt: [u8; 16], bit in 0_usize..256) {
            let stored = hash_bytes(&token, salt);
            prop_assert!(verify_bytes(&token, &stored) && verify(&hex::encode(token), &stored));
            let mut other = token;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify_bytes(&other, &stored));
        }
    }
}
