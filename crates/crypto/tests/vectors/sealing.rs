use crypto::keys::EcPrivateKey;
use crypto::sealing::{self, CREATED_AT_LEN};
use events::ids::RegistrationId;
use events::{DeviceId, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::support::{Part, load, of_kind};

const FILE: &str = "hpke.json";

fn info(vector: &Part) -> Vec<u8> {
    vector.get("info").map_or_else(
        || vector.hex("info_hex"),
        |info| info.0.as_str().unwrap().into(),
    )
}

#[test]
fn ciphertexts_of_the_official_library_open() {
    for vector in load(FILE).0 {
        let key = EcPrivateKey::from_bytes(vector.array("identity_private_key"));
        let opened = sealing::open(
            &key,
            &info(&vector),
            &vector.hex("associated_data"),
            &vector.hex("ciphertext"),
        );
        assert_eq!(opened.is_ok(), vector.is_valid(), "{}", vector.id());
        if let Ok(opened) = opened {
            assert_eq!(opened, vector.hex("plaintext"), "{}", vector.id());
        }
    }
}

#[test]
fn creation_times_are_sealed_for_their_account() {
    for vector in of_kind(FILE, "device-created-at")
        .iter()
        .filter(|vector| vector.is_valid())
    {
        let key = EcPrivateKey::from_bytes(vector.array("identity_private_key"));
        let device =
            DeviceId::try_from(u32::try_from(vector.number("device_id")).unwrap()).unwrap();
        let registration = u32::try_from(vector.number("registration_id")).unwrap();
        let registration = RegistrationId::try_from(registration).unwrap();
        let created = Timestamp::from_epoch_millis(vector.number("created_at_ms")).unwrap();
        let theirs =
            sealing::open_created_at(&key, device, registration, &vector.hex("ciphertext"));
        assert_eq!(theirs, Ok(created), "{}", vector.id());

        let identity = vector.hex("identity_public_key").try_into().unwrap();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let ours =
            sealing::seal_created_at(&identity, device, registration, created, &mut rng).unwrap();
        assert_eq!(ours.len(), CREATED_AT_LEN);
        assert_eq!(
            sealing::open_created_at(&key, device, registration, &ours),
            Ok(created),
            "{}",
            vector.id()
        );
    }
}
