use base64::prelude::{BASE64_STANDARD, Engine as _};
use crypto::access_key::{self, Access};
use crypto::linking::LinkTokens;
use crypto::token_hash;
use events::Timestamp;
use events::values::hashes::{SaltedHash, UnidentifiedAccessKey};

use crate::support::{Part, of_kind};

#[test]
fn salted_hashes_are_compared_as_texts() {
    for vector in of_kind("server_tokens.json", "salted-token") {
        let stored = SaltedHash {
            salt: vector.text("salt").into(),
            hash: vector.text("hash").into(),
        };
        assert_eq!(
            token_hash::verify(vector.text("token"), &stored),
            vector.is_valid(),
            "{}",
            vector.id()
        );
        if vector.is_valid() {
            assert_eq!(
                token_hash::hash(vector.text("token"), vector.array("salt")),
                stored,
                "{}",
                vector.id()
            );
        }
    }
}

#[test]
fn linking_tokens_are_good_for_ten_minutes() {
    let time = |vector: &Part, name| Timestamp::from_epoch_millis(vector.number(name)).unwrap();
    for vector in of_kind("server_tokens.json", "link-device-token") {
        let (tokens, token) = (
            LinkTokens::new(vector.array("secret")),
            vector.text("token"),
        );
        let aci = vector.text("aci").parse().unwrap();
        let verdict = tokens.verify(token, time(&vector, "now_ms"));
        assert_eq!(verdict.is_ok(), vector.is_valid(), "{}", vector.id());
        if vector.is_valid() {
            assert_eq!(verdict, Ok(aci), "{}", vector.id());
            assert_eq!(
                tokens.issue(aci, time(&vector, "issued_ms")),
                token,
                "{}",
                vector.id()
            );
            assert_eq!(
                LinkTokens::identifier(token),
                vector.text("token_identifier"),
                "{}",
                vector.id()
            );
        }
    }
}

fn access_key(vector: &Part) -> UnidentifiedAccessKey {
    vector.hex("unidentified_access_key").try_into().unwrap()
}

#[test]
fn access_keys_follow_from_profile_keys() {
    for vector in of_kind("access_keys.json", "derive") {
        let key = access_key::derive(&vector.array("profile_key"));
        assert_eq!(
            key.as_bytes().as_slice(),
            vector.hex("access_key"),
            "{}",
            vector.id()
        );
        let checksum = BASE64_STANDARD.encode(access_key::checksum(&key));
        assert_eq!(
            checksum,
            vector.text("unidentified_access_checksum"),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn combined_access_keys_open_all_or_nothing() {
    for vector in of_kind("access_keys.json", "combined") {
        let accounts = vector.list("accounts");
        let keys: Vec<_> = accounts
            .iter()
            .map(|a| a.get("unidentified_access_key").map(|_| access_key(a)))
            .collect();
        let accesses = accounts.iter().zip(&keys).map(|(account, key)| match key {
            _ if account["unrestricted"].as_bool().unwrap() => Access::Unrestricted,
            Some(key) => Access::Key(key),
            None => Access::Closed,
        });
        let header = BASE64_STANDARD.decode(vector.text("header_base64")).ok();
        let presented = header.and_then(|bytes| UnidentifiedAccessKey::try_from(bytes).ok());
        let verdict =
            presented.is_some_and(|presented| access_key::combined_matches(accesses, &presented));
        assert_eq!(verdict, vector.is_valid(), "{}", vector.id());
    }
}
