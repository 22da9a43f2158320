//! Credentials for relays of calls, by the convention that TURN servers know as "REST API": the user name says until when
//! it is good, the password is a MAC over it under a secret that server and relay share.

use std::fmt;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::{Aci, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::external::Credentials;
use crate::mac::hmac_sha256;

/// The secret that a relay shares with the server: `static-auth-secret` in coturn.
#[derive(Clone)]
pub struct RelayKey(Zeroizing<String>);

impl RelayKey {
    /// Wraps the secret.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// Credentials that an account may use for so long. The user name is `<seconds since 1970>:<16 hex digits>`; the digits
    /// stand for the account, and tell the relay nothing of it. The password is padded base64 of HMAC-SHA1.
    pub fn issue(&self, aci: Aci, lifetime: Duration, now: Timestamp) -> Credentials {
        let expires = now.plus(lifetime).epoch_millis() / 1000;
        let user = hmac_sha256(self.0.as_bytes(), &[b"relay user", aci.as_bytes()]);
        let username = format!("{expires}:{}", hex::encode(&user[..8]));
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(username.as_bytes());
        Credentials {
            password: BASE64_STANDARD.encode(mac.finalize().into_bytes()),
            username,
        }
    }
}

impl fmt::Debug for RelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_that_a_relay_computes() {
        let key = RelayKey::new("north".to_owned());
        let now = Timestamp::from_epoch_millis(1_767_225_600_000).unwrap();
        let aci = Aci::from_random([7; 16]);
        let Credentials { username, password } = key.issue(aci, Duration::from_hours(1), now);
        let (expires, user) = username.split_once(':').unwrap();
        assert_eq!((expires, user.len()), ("1767229200", 16));
        let mut mac = Hmac::<Sha1>::new_from_slice(b"north").unwrap();
        mac.update(username.as_bytes());
        let sent = BASE64_STANDARD.decode(password).unwrap();
        mac.verify_slice(&sent).unwrap();
        let other = key.issue(Aci::from_random([8; 16]), Duration::from_hours(1), now);
        assert_ne!(other.username, username);
    }
}
