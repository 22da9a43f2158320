//! Sealing for a client's identity key: HPKE (RFC 9180) in base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! AES-256-GCM, behind a type byte.

use events::ids::RegistrationId;
use events::values::keys::EcPublicKey;
use events::{DeviceId, Timestamp};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;

use crate::keys::EcPrivateKey;

const TYPE: u8 = 1;
const CREATED_AT: &[u8] = b"deviceCreatedAt";

/// The size of a sealed creation time in bytes: type, encapsulated key, eight bytes, tag.
pub const CREATED_AT_LEN: usize = 57;

/// Nothing can be sealed for this key: it has small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be sealed for a key of small order")]
pub struct SmallOrderKey;

/// What was sealed for another key or with other data, was changed since, or is nothing sealed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not open")]
pub struct DoesNotOpen;

/// Seals the moment at which a device was linked so that only its account can read it: 57 bytes. Sealed once, when the
/// device comes to be.
pub fn seal_created_at(
    identity: &EcPublicKey,
    device: DeviceId,
    registration_id: RegistrationId,
    created: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SmallOrderKey> {
    let associated = created_at_data(device, registration_id);
    seal(
        identity,
        CREATED_AT,
        &associated,
        &created.to_i64().to_be_bytes(),
        rng,
    )
}

/// Opens what [`seal_created_at`] sealed. Clients do this; here it serves tests and the load generator.
pub fn open_created_at(
    identity: &EcPrivateKey,
    device: DeviceId,
    registration_id: RegistrationId,
    sealed: &[u8],
) -> Result<Timestamp, DoesNotOpen> {
    let plain = open(
        identity,
        CREATED_AT,
        &created_at_data(device, registration_id),
        sealed,
    )?;
    let millis = i64::from_be_bytes(plain.try_into().map_err(|_| DoesNotOpen)?);
    Timestamp::from_i64(millis).map_err(|_| DoesNotOpen)
}

/// The data that a creation time is bound to: device id (1 byte), registration id (4, big-endian).
fn created_at_data(device: DeviceId, registration_id: RegistrationId) -> [u8; 5] {
    let [a, b, c, d] = u32::from(registration_id).to_be_bytes();
    [device.get(), a, b, c, d]
}

/// Seals `plain`: `01 | encapsulated key (32) | ciphertext | tag (16)`.
pub fn seal(
    to: &EcPublicKey,
    info: &[u8],
    associated: &[u8],
    plain: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SmallOrderKey> {
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.u_coordinate())
        .map_err(|_| SmallOrderKey)?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<
        AesGcm256,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &to, info, plain, associated, rng)
    .map_err(|_| SmallOrderKey)?;
    Ok([&[TYPE], encapsulated.to_bytes().as_slice(), &ciphertext].concat())
}

/// Opens what [`seal`] sealed.
pub fn open(
    key: &EcPrivateKey,
    info: &[u8],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    let [TYPE, rest @ ..] = sealed else {
        return Err(DoesNotOpen);
    };
    let (encapsulated, ciphertext) = rest.split_at_checked(32).ok_or(DoesNotOpen)?;
    let key = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(key.as_bytes())
        .map_err(|_| DoesNotOpen)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)
        .map_err(|_| DoesNotOpen)?;
    hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key,
        &encapsulated,
        info,
        ciphertext,
        associated,
    )
    .map_err(|_| DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn nothing_is_sealed_for_a_key_of_small_order() {
        let mut zero = [0; EcPublicKey::LEN];
        zero[0] = 0x05;
        let key = EcPublicKey::try_from(zero.as_slice()).unwrap();
        let sealed = seal(&key, b"", b"", b"", &mut ChaCha20Rng::from_seed([1; 32]));
        assert_eq!(sealed, Err(SmallOrderKey));
    }
}
