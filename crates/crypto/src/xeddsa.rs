//! XEdDSA as the official library computes it: signatures by Curve25519 keys, verified on the Edwards curve.
//!
//! It differs from the published XEdDSA in one point: the sign of the Edwards key travels in the top bit of the
//! signature, which the published form sets to zero. A verifier of that form refuses half of all genuine signatures.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use events::values::keys::{EcPublicKey, Signature};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::keys::EcPrivateKey;

/// Bits 253 to 255 of the scalar S, in its last byte. They are zero in every genuine signature.
const EXCESS_BITS: u8 = 0xe0;
const SIGN_BIT: u8 = 0x80;

/// Hashing for the nonce starts with a point encoding that no curve point has, so it cannot collide with a challenge.
const NONCE_PREFIX: [u8; 32] = {
    let mut prefix = [0xff; 32];
    prefix[0] = 0xfe;
    prefix
};

/// Whether `signature` (64 bytes) over `message` was made with the private half of `identity`.
///
/// Variable time: nothing here is secret. Agrees with the official library also where a stricter reader would not: S is
/// reduced modulo the group order, u modulo the field prime, and small-order keys are not refused.
pub fn verify(identity: &EcPublicKey, message: &[u8], signature: &Signature) -> bool {
    let Some((r, mut s)) = halves(signature.as_bytes()) else {
        return false;
    };
    let sign = s[31] >> 7;
    s[31] &= !SIGN_BIT;
    if s[31] & EXCESS_BITS != 0 {
        return false;
    }
    let Some(key) = MontgomeryPoint(*identity.u_coordinate()).to_edwards(sign) else {
        return false;
    };
    let challenge = challenge(&r, &key.compress(), message);
    let s = Scalar::from_bytes_mod_order(s);
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&challenge, &-key, &s);
    expected.compress().as_bytes().ct_eq(&r).into()
}

/// Signs `message`. 64 bytes of `rng` are drawn; the same key and message give another signature each time.
pub fn sign(private: &EcPrivateKey, message: &[u8], rng: &mut impl CryptoRng) -> Signature {
    let mut random = Zeroizing::new([0; 64]);
    rng.fill_bytes(random.as_mut());
    let secret = Zeroizing::new(Scalar::from_bytes_mod_order(*private.as_bytes()));
    let key = EdwardsPoint::mul_base(&secret).compress();

    let nonce = Zeroizing::new(wide(
        Sha512::new()
            .chain_update(NONCE_PREFIX)
            .chain_update(private.as_bytes())
            .chain_update(message)
            .chain_update(*random),
    ));
    let r = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
    let mut s = (*nonce + challenge(&r, &key, message) * *secret).to_bytes();
    s[31] |= key.as_bytes()[31] & SIGN_BIT;
    Signature::try_from([r, s].as_flattened()).expect("two halves of 32 bytes each")
}

fn halves(signature: &[u8; 64]) -> Option<([u8; 32], [u8; 32])> {
    Some((*signature.first_chunk()?, *signature.last_chunk()?))
}

fn challenge(r: &[u8; 32], key: &CompressedEdwardsY, message: &[u8]) -> Scalar {
    wide(
        Sha512::new()
            .chain_update(r)
            .chain_update(key.as_bytes())
            .chain_update(message),
    )
}

fn wide(hash: Sha512) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}
