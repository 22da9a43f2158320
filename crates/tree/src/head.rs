//! Heads: what the server signs.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use events::Timestamp;
use events::tree::{HeadSignature, TreeHash, TreeHeadSigned};

/// The key that signs heads.
#[derive(Clone)]
pub struct HeadKey(SigningKey);

impl HeadKey {
    /// The key with this seed.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs that the first `size` events have this root.
    pub fn sign(&self, size: u64, root: TreeHash, signed_at: Timestamp) -> SignedHead {
        let signature = self.0.sign(signed_text(size, root, signed_at).as_bytes());
        TreeHeadSigned {
            size,
            root,
            signed_at,
            signature: HeadSignature(signature.to_bytes()),
        }
    }
}

impl fmt::Debug for HeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadKey({})", self.public())
    }
}

/// What heads are checked with. Text form: the 32 bytes in padded base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 public key in padded base64")]
pub struct NotAKey;

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| NotAKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NotAKey)?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| NotAKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0.as_bytes()))
    }
}

/// A head, as its event holds it.
pub type SignedHead = TreeHeadSigned;

impl PublicKey {
    /// Whether the server has signed this head.
    pub fn has_signed(&self, head: &SignedHead) -> bool {
        let text = signed_text(head.size, head.root, head.signed_at);
        let signature = Signature::from_bytes(&head.signature.0);
        self.0.verify_strict(text.as_bytes(), &signature).is_ok()
    }
}

fn signed_text(size: u64, root: TreeHash, signed_at: Timestamp) -> String {
    let root = BASE64_STANDARD.encode(root.0);
    let at = signed_at.epoch_millis();
    format!("heliograph tree head v1\n{size}\n{root}\n{at}\n")
}
