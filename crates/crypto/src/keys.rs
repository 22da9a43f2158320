//! Curve25519 private keys, the reading of public keys as clients send them, and digests over public keys.

use std::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;
use events::values::InvalidBytes;
use events::values::keys::{EcPublicKey, KyberPreKey, KyberPublicKey, SignedPreKey};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A Curve25519 private key: 32 bytes, clamped. Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct EcPrivateKey(Zeroizing<[u8; Self::LEN]>);

impl EcPrivateKey {
    /// The size in bytes.
    pub const LEN: usize = 32;

    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(*bytes)
    }

    /// Reads a key and clamps it: bits 0 to 2 and 255 are cleared, bit 254 is set.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(clamp_integer(bytes)))
    }

    /// The clamped bytes. Secret.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The public half.
    pub fn public_key(&self) -> EcPublicKey {
        typed(&MontgomeryPoint::mul_base_clamped(*self.0).to_bytes())
    }
}

impl fmt::Debug for EcPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcPrivateKey(…)")
    }
}

/// Puts the type byte in front of a u-coordinate.
fn typed(u: &[u8; 32]) -> EcPublicKey {
    let bytes: [u8; EcPublicKey::LEN] =
        std::array::from_fn(|i| if i == 0 { 0x05 } else { u[i - 1] });
    EcPublicKey::try_from(bytes.as_slice()).expect("33 bytes, the first of them 0x05")
}

/// Reads a Curve25519 public key as the official library does: type byte 0x05, 32 bytes of u-coordinate, and whatever
/// follows is dropped. No point validation: every u is taken.
///
/// # Errors
/// Fewer than 33 bytes, or another type byte.
pub fn ec_public_key(bytes: &[u8]) -> Result<EcPublicKey, InvalidBytes> {
    EcPublicKey::try_from(bytes.get(..EcPublicKey::LEN).unwrap_or_default())
}

/// Reads a Kyber-1024 public key: type byte 0x08 and 1568 bytes, no more and no less. The key itself is opaque here.
///
/// # Errors
/// Another length than 1569 bytes, or another type byte.
pub fn kyber_public_key(bytes: &[u8]) -> Result<KyberPublicKey, InvalidBytes> {
    KyberPublicKey::try_from(bytes)
}

/// What a client compares (`POST /v2/keys/check`) to see whether the server still has its repeated-use keys: SHA-256
/// over identity key, signed pre-key and last-resort pre-key, each pre-key after its id as 8 bytes, big-endian.
///
/// The signatures take no part in it.
pub fn repeated_use_digest(
    identity: &EcPublicKey,
    signed: &SignedPreKey,
    last_resort: &KyberPreKey,
) -> [u8; 32] {
    Sha256::new()
        .chain_update(identity)
        .chain_update(u64::from(signed.key_id).to_be_bytes())
        .chain_update(&signed.public_key)
        .chain_update(u64::from(last_resort.key_id).to_be_bytes())
        .chain_update(&last_resort.public_key)
        .finalize()
        .into()
}

/// What a client sends in a batch identity check: the first 4 bytes of SHA-256 over the 33 bytes of the key.
pub fn fingerprint(identity: &EcPublicKey) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::digest(identity).into();
    [digest[0], digest[1], digest[2], digest[3]]
}
