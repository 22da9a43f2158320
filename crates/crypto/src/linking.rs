//! Tokens by which a primary device lets another device link itself to the account.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD, Engine as _};
use events::values::hashes::LinkTokenHash;
use events::{Aci, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::mac::MacKey;

/// Issues and checks linking tokens: `<aci>.<epoch millis>:<HMAC-SHA256 of what is before the colon>`, the MAC in padded
/// URL-safe base64. That a token is used only once is for the account's events to show, by its [`hash`](Self::hash).
#[derive(Clone, Debug)]
pub struct LinkTokens(MacKey);

/// Why a linking token opens no account. Clients get 403 for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkTokenInvalid {
    /// Not in the form of a token.
    #[error("is not a linking token")]
    Malformed,
    /// Issued by somebody else, or changed since.
    #[error("was not issued by this server")]
    Forged,
    /// Issued more than [`LinkTokens::LIFETIME`] ago.
    #[error("has expired")]
    Expired,
}

impl LinkTokens {
    /// How long a token is valid; it still is at the very end of it.
    pub const LIFETIME: Duration = Duration::from_mins(10);

    /// Tokens under `secret` (32 random bytes). A changed secret invalidates the tokens of the last ten minutes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(MacKey::new(secret))
    }

    pub(crate) const fn key(&self) -> &MacKey {
        &self.0
    }

    /// A token for the account, issued at `now`.
    pub fn issue(&self, aci: Aci, now: Timestamp) -> String {
        let claims = format!("{aci}.{now}");
        format!("{claims}:{}", self.mac(&claims))
    }

    /// Whose token this is. The whole text is compared, in constant time, with the one that was issued: another spelling
    /// of the same MAC would be another token to whoever remembers spent ones.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Aci, LinkTokenInvalid> {
        let (claims, mac) = token.split_once(':').ok_or(LinkTokenInvalid::Malformed)?;
        if !bool::from(self.mac(claims).as_bytes().ct_eq(mac.as_bytes())) {
            return Err(LinkTokenInvalid::Forged);
        }
        let (aci, issued) = parse(claims).ok_or(LinkTokenInvalid::Malformed)?;
        if issued.plus(Self::LIFETIME) < now {
            Err(LinkTokenInvalid::Expired)
        } else {
            Ok(aci)
        }
    }

    /// The name under which the primary device waits for the token to be used: unpadded URL-safe base64 of its
    /// [`hash`](Self::hash), 43 characters.
    pub fn identifier(token: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Self::hash(token).0)
    }

    /// SHA-256 of the token's text, by which a spent token is recognised.
    pub fn hash(token: &str) -> LinkTokenHash {
        LinkTokenHash(Sha256::digest(token).into())
    }

    fn mac(&self, claims: &str) -> String {
        BASE64_URL_SAFE.encode(self.0.tag(&[claims.as_bytes()]))
    }
}

fn parse(claims: &str) -> Option<(Aci, Timestamp)> {
    let (aci, millis) = claims.split_once('.')?;
    Some((
        aci.parse().ok()?,
        Timestamp::from_epoch_millis(millis.parse().ok()?).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_issued_token_is_valid_until_it_expires(secret: [u8; 32], aci: [u8; 16], millis in 0_u64..1 << 52, age in 0_u64..=1_200_000) {
            let (tokens, aci) = (LinkTokens::new(secret), Aci::from_random(aci));
            let issued = Timestamp::from_epoch_millis(millis).unwrap();
            let now = Timestamp::from_epoch_millis(millis + age).unwrap();
            let expected = if age <= 600_000 { Ok(aci) } else { Err(LinkTokenInvalid::Expired) };
            prop_assert_eq!(tokens.verify(&tokens.issue(aci, issued), now), expected);
        }

        #[test]
        fn a_flipped_bit_is_noticed(secret: [u8; 32], aci: [u8; 16], bit in 0_usize..800) {
            let tokens = LinkTokens::new(secret);
            let mut token = tokens.issue(Aci::from_random(aci), Timestamp::default()).into_bytes();
            let bit = bit % (token.len() * 8);
            token[bit / 8] ^= 1 << (bit % 8);
            if let Ok(token) = String::from_utf8(token) {
                prop_assert!(tokens.verify(&token, Timestamp::default()).is_err());
            }
        }

        #[test]
        fn any_text_is_a_token_or_refused(text in "\\PC{0,120}|[0-9a-f-]{36}\\.[0-9]{1,22}:[A-Za-z0-9_-]{43}=") {
            prop_assert!(LinkTokens::new([0; 32]).verify(&text, Timestamp::default()).is_err());
        }
    }
}
