//! Unidentified access keys: who knows a profile key may write to its owner without saying who writes.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use events::values::hashes::UnidentifiedAccessKey;
use subtle::ConstantTimeEq as _;

use crate::mac::hmac_sha256;

const LEN: usize = UnidentifiedAccessKey::LEN;

/// How an account lets itself be written to anonymously.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// By anybody.
    Unrestricted,
    /// By those who know this key.
    Key(&'a UnidentifiedAccessKey),
    /// By nobody: restricted, and no key is stored.
    Closed,
}

/// Whether `presented` is `stored`. Constant time.
pub fn matches(stored: &UnidentifiedAccessKey, presented: &UnidentifiedAccessKey) -> bool {
    stored.as_bytes().ct_eq(presented.as_bytes()).into()
}

/// Whether `presented` opens `account`: any key opens an unrestricted one. Constant time for accounts of the same kind.
pub fn opens(account: Access<'_>, presented: &UnidentifiedAccessKey) -> bool {
    match account {
        Access::Unrestricted => true,
        Access::Key(stored) => matches(stored, presented),
        Access::Closed => false,
    }
}

/// Whether `presented` opens all of `accounts`: it is the XOR of the keys of those that are not unrestricted, sixteen
/// zero bytes if there is none. Constant time for accounts of the same kinds; one [`Access::Closed`] refuses them all.
pub fn combined_matches<'a>(
    accounts: impl IntoIterator<Item = Access<'a>>,
    presented: &UnidentifiedAccessKey,
) -> bool {
    combined(accounts).is_some_and(|expected| expected.ct_eq(presented.as_bytes()).into())
}

fn combined<'a>(accounts: impl IntoIterator<Item = Access<'a>>) -> Option<[u8; LEN]> {
    accounts
        .into_iter()
        .try_fold([0; LEN], |sum, account| match account {
            Access::Unrestricted => Some(sum),
            Access::Key(key) => Some(std::array::from_fn(|i| sum[i] ^ key.as_bytes()[i])),
            Access::Closed => None,
        })
}

/// The checksum in an unversioned profile, by which a client sees whether its contact still has the same key:
/// HMAC-SHA256 under the access key over 32 zero bytes.
pub fn checksum(key: &UnidentifiedAccessKey) -> [u8; 32] {
    hmac_sha256(key.as_bytes(), &[&[0; 32]])
}

/// The access key that belongs to a profile key (32 bytes): AES-256 of the block `00…00 02`. Clients do this; here it
/// serves tests and the load generator.
pub fn derive(profile_key: &[u8; 32]) -> UnidentifiedAccessKey {
    let mut block = [0; LEN];
    block[LEN - 1] = 2;
    let mut block = block.into();
    Aes256::new(profile_key.into()).encrypt_block(&mut block);
    UnidentifiedAccessKey::try_from(block.to_vec()).expect("an AES block has 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(bytes: [u8; LEN]) -> UnidentifiedAccessKey {
        bytes.to_vec().try_into().unwrap()
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(bytes: [u8; LEN], others: Vec<[u8; LEN]>, bit in 0_usize..128) {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (stored, presented) = (key(bytes), key(flipped));
            prop_assert!(matches(&stored, &stored) && !matches(&stored, &presented));
            prop_assert!(opens(Access::Key(&stored), &stored) && !opens(Access::Key(&stored), &presented));
            prop_assert!(opens(Access::Unrestricted, &presented) && !opens(Access::Closed, &stored));

            let others: Vec<_> = others.into_iter().map(key).collect();
            let others = || others.iter().map(Access::Key).chain([Access::Unrestricted]);
            let sum = key(combined(others().chain([Access::Key(&stored)])).unwrap());
            prop_assert!(combined_matches(others().chain([Access::Key(&stored)]), &sum));
            prop_assert!(!combined_matches(others().chain([Access::Key(&presented)]), &sum));
            prop_assert!(!combined_matches(others().chain([Access::Key(&stored), Access::Closed]), &sum));
        }
    }
}
