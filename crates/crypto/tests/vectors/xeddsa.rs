use crypto::keys::{EcPrivateKey, ec_public_key};
use crypto::xeddsa;
use events::values::keys::Signature;

use crate::support::{Part, Prescribed, load, of_kind};

fn verdict(vector: &Part) -> bool {
    let (Ok(key), Ok(signature)) = (
        ec_public_key(&vector.hex("public_key")),
        Signature::try_from(vector.hex("signature")),
    ) else {
        return false;
    };
    xeddsa::verify(&key, &vector.hex("message"), &signature)
}

#[test]
fn signatures_are_judged_as_by_the_official_library() {
    for vector in load("xeddsa.json").0 {
        assert_eq!(verdict(&vector), vector.is_valid(), "{}", vector.id());
    }
}

#[test]
fn the_same_randomness_gives_the_same_signature() {
    for vector in of_kind("xeddsa.json", "deterministic-signing") {
        let key = EcPrivateKey::from_bytes(vector.array("identity_private_key"));
        assert_eq!(
            key.public_key().as_ref(),
            vector.hex("public_key"),
            "{}",
            vector.id()
        );
        let mut rng = Prescribed::new(vector.hex("random64"));
        let signature = xeddsa::sign(&key, &vector.hex("message"), &mut rng);
        assert_eq!(
            signature.as_ref(),
            vector.hex("signature"),
            "{}",
            vector.id()
        );
    }
}
