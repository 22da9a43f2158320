use crypto::username::{self, Username};

use crate::support::{Prescribed, of_kind};

const FILE: &str = "usernames.json";

#[test]
fn proofs_are_judged_as_by_the_official_library() {
    for vector in of_kind(FILE, "proof") {
        let verdict = username::verify(&vector.array("hash"), &vector.hex("proof"));
        assert_eq!(verdict.is_ok(), vector.is_valid(), "{}", vector.id());
    }
}

#[test]
fn hash_and_proof_are_functions_of_name_and_randomness() {
    for vector in of_kind(FILE, "proof")
        .iter()
        .filter(|vector| vector.is_valid())
    {
        let name: Username = vector.text("username").parse().unwrap();
        assert_eq!(name.hash(), vector.array("hash"), "{}", vector.id());
        let mut rng = Prescribed::new(vector.hex("random"));
        assert_eq!(name.prove(&mut rng), vector.hex("proof"), "{}", vector.id());
    }
    for vector in of_kind(FILE, "hash-only") {
        let name: Username = vector.text("username").parse().unwrap();
        assert_eq!(name.hash(), vector.array("hash"), "{}", vector.id());
    }
}

#[test]
fn names_are_read_as_by_the_official_library() {
    for vector in of_kind(FILE, "syntax") {
        assert_eq!(
            vector.text("username").parse::<Username>().is_ok(),
            vector.is_valid(),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn links_have_a_length() {
    for vector in of_kind(FILE, "link") {
        let length = vector.hex("encrypted_username").len();
        assert_eq!(
            username::link_length_is_allowed(length),
            vector.is_valid(),
            "{}",
            vector.id()
        );
    }
    assert!(!username::link_length_is_allowed(0) && !username::link_length_is_allowed(129));
}
