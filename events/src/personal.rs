//! Personal values inside events: sealed with a key that stands beside the log and can be destroyed.
//!
//! In memory a [`Personal`] is clear, or erased. In the log it is only ever sealed: [`Personal::Clear`] refuses to be
//! serialised, so a value that nobody sealed cannot reach the store. Destroying a subject's key turns every value that
//! was sealed with it into [`Personal::Erased`] on the next read; the events themselves do not change.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::ids::{Aci, Pni, SessionId};
use crate::ports::Entropy;
use crate::values::{InvalidBytes, Timestamp, base64_serde};

/// Whose values a key protects, and with whom they disappear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// An account: destroyed when it is deleted.
    Account(Aci),
    /// An account that has come back since it was deleted at this time. It has a key of its own, so that destroying the
    /// earlier one, however late, takes nothing from it.
    Returned(Aci, Timestamp),
    /// A session that verifies a number: destroyed with the account that holds the number, or swept after the session.
    Session(SessionId, Pni),
}

impl Subject {
    /// What the key is filed under.
    pub fn uuid(self) -> Uuid {
        match self {
            Self::Account(aci) => aci.uuid(),
            Self::Returned(aci, deleted) => {
                let mut hash = Sha256::new_with_prefix(b"returned account");
                hash.update(aci.as_bytes());
                hash.update(deleted.epoch_millis().to_be_bytes());
                let digest: [u8; 32] = hash.finalize().into();
                let (first, _) = digest
                    .split_first_chunk::<16>()
                    .expect("a digest has 32 bytes");
                uuid::Builder::from_custom_bytes(*first).into_uuid()
            }
            Self::Session(session, _) => session.uuid(),
        }
    }

    /// An account's life after its last deletion, if there was one.
    pub const fn life(aci: Aci, deleted_before: Option<Timestamp>) -> Self {
        match deleted_before {
            None => Self::Account(aci),
            Some(at) => Self::Returned(aci, at),
        }
    }
}

/// Names a key without telling it. A subject that comes back after erasure gets a new key with a new id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

/// A subject's key: AES-256-GCM-SIV, which forgives a repeated nonce.
#[derive(Clone)]
pub struct SubjectKey {
    /// Its name.
    pub id: KeyId,
    /// Shared by all clones, so that no copy stays behind where one of them was.
    secret: Arc<Zeroizing<[u8; 32]>>,
}

impl SubjectKey {
    /// Wraps a stored key.
    pub fn new(id: KeyId, secret: [u8; 32]) -> Self {
        Self {
            id,
            secret: Arc::new(Zeroizing::new(secret)),
        }
    }

    /// Draws a new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(
            KeyId(uuid::Builder::from_random_bytes(entropy.bytes()).into_uuid()),
            entropy.bytes(),
        )
    }

    /// The 32 bytes, for the store that keeps them.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    fn seal(&self, plaintext: &[u8], entropy: &dyn Entropy) -> Sealed {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let cipher = self.cipher();
        let length = NONCE_LEN + plaintext.len() + AES_256_GCM_SIV.tag_len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(nonce);
        bytes.extend(plaintext);
        let tag = cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.id.0.as_bytes()),
                &mut bytes[NONCE_LEN..],
            )
            .expect("personal values lie far below the cipher's limit of 64 GiB");
        bytes.extend(tag.as_ref());
        Sealed {
            key: self.id,
            bytes: SealedBytes(bytes),
        }
    }

    fn open(&self, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.bytes.0.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = Zeroizing::new(ciphertext.to_vec());
        let plaintext = self.cipher().open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(self.id.0.as_bytes()),
            &mut bytes,
        );
        let length = plaintext.ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM_SIV, self.secret());
        LessSafeKey::new(key.expect("the key has 32 bytes"))
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({})", self.id.0)
    }
}

/// A value as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key that opens it, while there is one.
    key: KeyId,
    /// Nonce (12 bytes), ciphertext and tag.
    #[serde(rename = "box")]
    bytes: SealedBytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SealedBytes(Vec<u8>);

impl TryFrom<Vec<u8>> for SealedBytes {
    type Error = InvalidBytes;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
        Ok(Self(bytes))
    }
}

impl AsRef<[u8]> for SealedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

base64_serde!(SealedBytes);

/// A personal value: clear in memory, sealed in the log, erased once its key is gone.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal<T> {
    /// Readable. Cannot be stored.
    Clear(T),
    /// As stored. Cannot be read.
    Sealed(Sealed),
    /// The key is destroyed; nobody will ever read it again.
    Erased,
}

impl<T> Personal<T> {
    /// The value, unless it has been erased (or not been opened).
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Clear(value) => Some(value),
            Self::Sealed(_) | Self::Erased => None,
        }
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::Clear(value)
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Personal(clear)",
            Self::Sealed(_) => "Personal(sealed)",
            Self::Erased => "Personal(erased)",
        })
    }
}

impl<T> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sealed(sealed) => sealed.serialize(serializer),
            Self::Clear(_) | Self::Erased => Err(serde::ser::Error::custom(
                "a personal value must be sealed before it is stored",
            )),
        }
    }
}

impl<'de, T> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sealed::deserialize(deserializer).map(Self::Sealed)
    }
}

/// A sealed value that its own key does not open: the stored bytes have been changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a personal value does not open with its key {}: its stored bytes were changed", .0.0)]
pub struct Tampered(KeyId);

/// A field of an event that holds a [`Personal`] value, whatever its type.
pub trait PersonalField {
    /// Seals a clear value.
    fn seal(&mut self, key: &SubjectKey, entropy: &dyn Entropy);
    /// The key that opens the field, if it is sealed.
    fn key(&self) -> Option<KeyId>;
    /// Opens a sealed value, if its key is among `keys`; tells which key is wanting, if it is not.
    fn open(&mut self, keys: &HashMap<KeyId, SubjectKey>) -> Result<Option<KeyId>, Tampered>;
    /// Marks a value that is still sealed as erased.
    fn give_up(&mut self);
}

impl<T: Serialize + DeserializeOwned> PersonalField for Personal<T> {
    fn seal(&mut self, key: &SubjectKey, entropy: &dyn Entropy) {
        if let Self::Clear(value) = self {
            let plaintext =
                Zeroizing::new(serde_json::to_vec(value).expect("personal values are plain data"));
            *self = Self::Sealed(key.seal(&plaintext, entropy));
        }
    }

    fn key(&self) -> Option<KeyId> {
        match self {
            Self::Sealed(sealed) => Some(sealed.key),
            Self::Clear(_) | Self::Erased => None,
        }
    }

    fn open(&mut self, keys: &HashMap<KeyId, SubjectKey>) -> Result<Option<KeyId>, Tampered> {
        let Self::Sealed(sealed) = self else {
            return Ok(None);
        };
        let Some(key) = keys.get(&sealed.key) else {
            return Ok(Some(sealed.key));
        };
        let tampered = Tampered(sealed.key);
        let plaintext = key.open(sealed).ok_or(tampered)?;
        *self = Self::Clear(serde_json::from_slice(&plaintext).map_err(|_| tampered)?);
        Ok(None)
    }

    fn give_up(&mut self) {
        if matches!(self, Self::Sealed(_)) {
            *self = Self::Erased;
        }
    }
}

/// Something in an event that holds personal values: a field, an optional or boxed one, or a part with fields of its own.
pub trait VisitPersonal {
    /// Shows each of them to `visit`.
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField));
}

impl<T: Serialize + DeserializeOwned> VisitPersonal for Personal<T> {
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField)) {
        visit(self);
    }
}

impl<V: VisitPersonal> VisitPersonal for Option<V> {
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField)) {
        if let Some(inner) = self {
            inner.visit_personal(visit);
        }
    }
}

impl<V: VisitPersonal> VisitPersonal for Box<V> {
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField)) {
        (**self).visit_personal(visit);
    }
}

/// The store of subjects' keys failed.
#[derive(Debug, thiserror::Error)]
#[error("the store of personal keys is unavailable")]
pub struct KeysUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where subjects' keys are kept: beside the log, never in it.
#[async_trait]
pub trait SubjectKeys: Send + Sync + 'static {
    /// The subject's key; made on first use, and one only however many ask at once.
    async fn obtain(&self, subject: Subject) -> Result<SubjectKey, KeysUnavailable>;

    /// Those of the keys that still exist.
    async fn find(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, SubjectKey>, KeysUnavailable>;

    /// Destroys the subject's key for good; tells whether there was one.
    async fn destroy(&self, subject: Subject) -> Result<bool, KeysUnavailable>;

    /// Subjects that have a key, in the order of their ids: at most `limit` after `after`.
    async fn subjects(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Subject>, KeysUnavailable>;

    /// The sessions about a number that have a key.
    async fn sessions_of(&self, pni: Pni) -> Result<Vec<Subject>, KeysUnavailable>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::try_from(i % 251).unwrap();
            }
        }
    }

    fn keys(key: &SubjectKey) -> HashMap<KeyId, SubjectKey> {
        HashMap::from([(key.id, key.clone())])
    }

    #[test]
    fn a_clear_value_cannot_be_stored() {
        assert!(serde_json::to_string(&Personal::Clear("+12025550100")).is_err());
    }

    #[test]
    fn a_sealed_value_opens_with_its_key_and_is_erased_without_it() {
        let key = SubjectKey::generate(&Counting);
        let mut value = Personal::Clear("+12025550100".to_owned());
        value.seal(&key, &Counting);
        let stored = serde_json::to_string(&value).unwrap();
        assert!(!stored.contains("2025550100"));
        let mut read: Personal<String> = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.key(), Some(key.id));
        assert_eq!(read.open(&keys(&key)), Ok(None));
        assert_eq!(read.known().map(String::as_str), Some("+12025550100"));
        let mut late: Personal<String> = serde_json::from_str(&stored).unwrap();
        assert_eq!(late.open(&HashMap::new()), Ok(Some(key.id)));
        late.give_up();
        assert_eq!(late, Personal::Erased);
        read.give_up();
        assert!(read.known().is_some(), "what is open stays open");
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(text in "\\PC{0,40}", at: prop::sample::Index, flip in 1u8..) {
            let key = SubjectKey::generate(&Counting);
            let mut value = Personal::Clear(text);
            value.seal(&key, &Counting);
            let Personal::Sealed(sealed) = &mut value else { unreachable!() };
            let at = at.index(sealed.bytes.0.len());
            sealed.bytes.0[at] ^= flip;
            prop_assert_eq!(value.open(&keys(&key)), Err(Tampered(key.id)));
        }
    }
}
