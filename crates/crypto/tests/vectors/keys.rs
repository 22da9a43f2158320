use crypto::keys::{self, EcPrivateKey};
use events::ServiceId;
use events::ids::PreKeyId;
use events::values::keys::{KyberPreKey, SignedPreKey};

use crate::support::{Part, of_kind};

const FILE: &str = "keys_and_ids.json";

#[test]
fn curve25519_keys_are_read_in_canonical_form() {
    for vector in of_kind(FILE, "ec-public") {
        let key = keys::ec_public_key(&vector.hex("input"));
        assert_eq!(key.is_ok(), vector.is_valid(), "{}", vector.id());
        if let Ok(key) = key {
            assert_eq!(key.as_ref(), vector.hex("canonical"), "{}", vector.id());
        }
        if vector.get("private_key_input").is_some() {
            let private = EcPrivateKey::from_bytes(vector.array("private_key_input"));
            assert_eq!(
                private.as_bytes().as_slice(),
                vector.hex("private_key_serialized"),
                "{}",
                vector.id()
            );
            assert_eq!(
                private.public_key().as_ref(),
                vector.hex("canonical"),
                "{}",
                vector.id()
            );
        }
    }
}

#[test]
fn kyber_keys_have_one_size_and_type() {
    for vector in of_kind(FILE, "kyber-public") {
        assert_eq!(
            keys::kyber_public_key(&vector.hex("input")).is_ok(),
            vector.is_valid(),
            "{}",
            vector.id()
        );
    }
}

/// Service ids live in `events`; the vectors about them are here with all the others.
#[test]
fn service_ids_are_read_as_by_the_official_library() {
    for vector in of_kind(FILE, "service-id-binary") {
        let id = ServiceId::from_binary(&vector.hex("input"));
        assert_eq!(id.is_some(), vector.is_valid(), "{}", vector.id());
        if let Some(id) = id {
            assert_eq!(id.to_string(), vector.text("string"), "{}", vector.id());
            assert_eq!(id.to_binary(), vector.hex("binary"), "{}", vector.id());
        }
    }
    for vector in of_kind(FILE, "service-id-string") {
        let id = vector.text("input_string").parse::<ServiceId>();
        assert_eq!(id.is_ok(), is_taken(&vector), "{}", vector.id());
        if let (Ok(id), true) = (id, vector.is_valid()) {
            assert_eq!(id.to_string(), vector.text("string"), "{}", vector.id());
        }
    }
}

/// The library wants `PNI:` in capitals; `events` takes it in any case.
fn is_taken(vector: &Part) -> bool {
    vector.is_valid() || vector.id() == "str-pni-lower"
}

#[test]
fn the_digest_over_repeated_use_keys_is_that_of_clients() {
    let id = |vector: &Part, name| PreKeyId::try_from(vector.number(name)).unwrap();
    for vector in of_kind(FILE, "check-keys-digest") {
        let signature = || vec![0; 64].try_into().unwrap();
        let signed = SignedPreKey {
            key_id: id(&vector, "signed_prekey_id"),
            public_key: vector.hex("signed_prekey").try_into().unwrap(),
            signature: signature(),
        };
        let last_resort = KyberPreKey {
            key_id: id(&vector, "last_resort_id"),
            public_key: vector.hex("last_resort_key").try_into().unwrap(),
            signature: signature(),
        };
        let identity = vector.hex("identity_key").try_into().unwrap();
        let digest = keys::repeated_use_digest(&identity, &signed, &last_resort);
        assert_eq!(
            digest.as_slice() == vector.hex("digest"),
            vector.is_valid(),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn identity_fingerprints_are_those_of_clients() {
    for vector in of_kind("server_tokens.json", "identity-fingerprint") {
        let key = vector.hex("identity_key").try_into().unwrap();
        assert_eq!(
            keys::fingerprint(&key).as_slice(),
            vector.hex("fingerprint"),
            "{}",
            vector.id()
        );
    }
}
