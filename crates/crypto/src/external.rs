//! Credentials for services beside this one (storage, payments, contact discovery, secure value recovery), which check
//! them with a key that they share with the server.

use std::collections::HashMap;
use std::time::Duration;

use events::{Aci, Timestamp};
use subtle::ConstantTimeEq as _;

use crate::mac::MacKey;

const SIGNATURE_LEN: usize = 10;

/// A user name and a password that are good for one service.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The identity, or what is derived from it.
    pub username: String,
    /// `[username:]seconds:signature`; the signature is the first 10 bytes of an HMAC-SHA256 in lower-case hex.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.username)
    }
}

/// Credentials that the server did not issue for this user name and service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("are no credentials of this service")]
pub struct CredentialsInvalid;

/// Issues and checks the credentials of one service.
#[derive(Clone, Debug)]
pub struct ExternalService {
    pub(crate) key: MacKey,
    pub(crate) names: UserNames,
}

/// What the service knows its users by.
#[derive(Clone, Debug)]
pub(crate) enum UserNames {
    /// Their identity. The password repeats it.
    Plain,
    /// So many bytes (in lower-case hex) of an HMAC-SHA256 of the identity.
    Derived(MacKey, usize),
}

impl ExternalService {
    /// A service that knows its users by their ACI: storage, payments. `key`: 32 random bytes.
    pub fn plain(key: [u8; 32]) -> Self {
        Self {
            key: MacKey::new(key),
            names: UserNames::Plain,
        }
    }

    /// Contact discovery: users are known by 10 bytes derived from their ACI. Both keys: 32 random bytes.
    pub fn directory(key: [u8; 32], derivation: [u8; 32]) -> Self {
        Self {
            key: MacKey::new(key),
            names: UserNames::Derived(MacKey::new(derivation), 10),
        }
    }

    /// Secure value recovery: users are known by 16 bytes derived from their ACI ("SVR2"), or from the lower-case hex of
    /// the hash of their backup id ("SVR-B"). Both keys: 32 random bytes.
    pub fn recovery(key: [u8; 32], derivation: [u8; 32]) -> Self {
        Self {
            key: MacKey::new(key),
            names: UserNames::Derived(MacKey::new(derivation), 16),
        }
    }

    /// Credentials for an account, issued at `now`.
    pub fn issue(&self, aci: Aci, now: Timestamp) -> Credentials {
        self.issue_to(&aci.to_string(), now)
    }

    /// Credentials for an identity that is no account, issued at `now`.
    pub fn issue_to(&self, identity: &str, now: Timestamp) -> Credentials {
        let username = self.username(identity);
        let seconds = (now.epoch_millis() / 1000).to_string();
        let signature = hex::encode(self.signature(&username, &seconds));
        let password = match self.names {
            UserNames::Plain => format!("{username}:{seconds}:{signature}"),
            UserNames::Derived(..) => format!("{seconds}:{signature}"),
        };
        Credentials { username, password }
    }

    /// What the service knows an identity by.
    pub fn username(&self, identity: &str) -> String {
        match &self.names {
            UserNames::Plain => identity.to_owned(),
            UserNames::Derived(key, length) => {
                hex::encode(&key.tag(&[identity.as_bytes()])[..*length])
            }
        }
    }

    /// Checks credentials, in constant time. Gives the second in which they were issued: how old they may be is for the
    /// caller to say.
    pub fn verify(&self, username: &str, password: &str) -> Result<u64, CredentialsInvalid> {
        let signed = match self.names {
            UserNames::Plain => password
                .strip_prefix(username)
                .and_then(|rest| rest.strip_prefix(':')),
            UserNames::Derived(..) => Some(password),
        };
        let (seconds, signature) = signed
            .and_then(|rest| rest.split_once(':'))
            .ok_or(CredentialsInvalid)?;
        let mut given = [0; SIGNATURE_LEN];
        hex::decode_to_slice(signature, &mut given).map_err(|_| CredentialsInvalid)?;
        if !bool::from(self.signature(username, seconds).ct_eq(&given)) {
            return Err(CredentialsInvalid);
        }
        seconds.parse().map_err(|_| CredentialsInvalid)
    }

    fn signature(&self, username: &str, seconds: &str) -> [u8; SIGNATURE_LEN] {
        let tag = self
            .key
            .tag(&[username.as_bytes(), b":", seconds.as_bytes()]);
        *tag.first_chunk().expect("a tag of 32 bytes")
    }

    /// Judges `username:password` tokens that a client found in its backups, for the account that a number belongs to now.
    ///
    /// A token older than `max_age` is invalid, and so is one for whose user a newer one is among the others: so at most
    /// one user matches, with one token.
    pub fn check_tokens<'a>(
        &self,
        tokens: impl IntoIterator<Item = &'a str>,
        account: Option<Aci>,
        now: Timestamp,
        max_age: Duration,
    ) -> Vec<TokenVerdict> {
        let oldest = (now.epoch_millis() / 1000).saturating_sub(max_age.as_secs());
        let judged = |token: &'a str| {
            let (username, password) = token.split_once(':')?;
            let issued = self
                .verify(username, password)
                .ok()
                .filter(|issued| *issued >= oldest)?;
            Some((username, issued))
        };
        let valid: Vec<_> = tokens.into_iter().map(judged).collect();
        let mut newest = HashMap::new();
        for (username, issued) in valid.iter().flatten() {
            newest
                .entry(*username)
                .and_modify(|known: &mut u64| *known = (*known).max(*issued))
                .or_insert(*issued);
        }
        let wanted = account.map(|aci| self.username(&aci.to_string()));
        let verdict = |token: &Option<(&str, u64)>| match token {
            Some((username, issued)) if newest[username] == *issued => {
                if wanted.as_deref() == Some(*username) {
                    TokenVerdict::Match
                } else {
                    TokenVerdict::NoMatch
                }
            }
            _ => TokenVerdict::Invalid,
        };
        valid.iter().map(verdict).collect()
    }
}

/// What a client is told about one of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenVerdict {
    /// It belongs to the account.
    Match,
    /// It belongs to another account.
    NoMatch,
    /// It is of no use: not issued here, too old, or replaced.
    Invalid,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn services() -> [ExternalService; 3] {
        [
            ExternalService::plain([1; 32]),
            ExternalService::directory([2; 32], [3; 32]),
            ExternalService::recovery([4; 32], [5; 32]),
        ]
    }

    proptest! {
        #[test]
        fn issued_credentials_verify_and_changed_ones_do_not(aci: [u8; 16], now in 0_u64..1 << 42, bit in 0_usize..800) {
            let now = Timestamp::from_epoch_millis(now).unwrap();
            for service in services() {
                let Credentials { username, password } = service.issue(Aci::from_random(aci), now);
                prop_assert_eq!(service.verify(&username, &password), Ok(now.epoch_millis() / 1000));
                let mut changed = password.clone().into_bytes();
                let bit = bit % (changed.len() * 8);
                changed[bit / 8] ^= 1 << (bit % 8);
                // Upper-case hex is the same signature.
                let changed = String::from_utf8(changed).ok().filter(|text| !text.eq_ignore_ascii_case(&password));
                if let Some(changed) = changed {
                    prop_assert_eq!(service.verify(&username, &changed), Err(CredentialsInvalid));
                }
            }
        }

        #[test]
        fn any_texts_are_credentials_or_refused(username in "\\PC{0,40}", password in "\\PC{0,60}|[0-9]{1,24}:[0-9a-f]{20}") {
            for service in services() {
                prop_assert!(service.verify(&username, &password).is_err());
                let token = format!("{username}:{password}");
                let verdicts = service.check_tokens([token.as_str()], None, Timestamp::MAX, Duration::MAX);
                prop_assert_eq!(verdicts, vec![TokenVerdict::Invalid]);
            }
        }
    }
}
