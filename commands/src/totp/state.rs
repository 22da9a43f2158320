//! An account's keys for one-time passwords.

use std::collections::BTreeMap;

use events::Timestamp;
use events::values::totp::{TotpKeyId, TotpMetadata, TotpSecret};

/// How many keys an account may have in force.
pub const MAX_KEYS: usize = 2;

/// The keys of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TotpKeys {
    /// The one that waits for the proof that it was stored.
    pub pending: Option<TotpSecret>,
    /// Those in force. One whose secret cannot be read any more accepts nothing.
    pub confirmed: BTreeMap<TotpKeyId, Confirmed>,
    /// The highest number that was given.
    last: TotpKeyId,
}

/// A key in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The key.
    pub secret: Option<TotpSecret>,
    /// What its owner notes about it.
    pub metadata: Option<TotpMetadata>,
}

impl TotpKeys {
    /// Whether no password is asked for.
    pub fn is_empty(&self) -> bool {
        self.confirmed.is_empty()
    }

    /// Whether the password belongs to one of the keys in force.
    pub fn accept(&self, password: u32, at: Timestamp) -> bool {
        self.confirmed.values().any(|key| key.accepts(password, at))
    }

    /// The number that the next key gets.
    pub const fn next(&self) -> TotpKeyId {
        self.last.next()
    }

    pub(crate) fn confirm(&mut self, id: TotpKeyId, metadata: Option<&TotpMetadata>) {
        let key = Confirmed {
            secret: self.pending.take(),
            metadata: metadata.cloned(),
        };
        self.confirmed.insert(id, key);
        self.last = self.last.max(id);
    }

    pub(crate) fn note(&mut self, id: TotpKeyId, metadata: Option<&TotpMetadata>) {
        if let Some(key) = self.confirmed.get_mut(&id) {
            key.metadata = metadata.cloned();
        }
    }
}

impl Confirmed {
    /// Whether the password belongs to the key.
    pub fn accepts(&self, password: u32, at: Timestamp) -> bool {
        self.secret
            .as_ref()
            .is_some_and(|secret| crypto::totp::verify(&secret.0, password, at))
    }
}
