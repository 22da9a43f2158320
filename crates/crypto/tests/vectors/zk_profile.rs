use crypto::access_key;
use crypto::zk::Day;
use crypto::zk::profile::{self, Commitment, Request};

use crate::support::{Part, Prescribed, of_kind};
use crate::zk::{at, server, verdict};

const FILE: &str = "zk_profile.json";

fn issue(vector: &Part) -> (&'static str, Vec<u8>) {
    let mut response = Vec::new();
    let mut rng = Prescribed::new(vector.hex("issue_random"));
    let commitment = Commitment::parse(&vector.hex("commitment"));
    let read =
        Request::parse(&vector.hex("request")).and_then(|request| Ok((request, commitment?)));
    let verdict = verdict(read, |(request, commitment)| {
        let aci = vector.text("aci").parse().unwrap();
        let expiration = Day::from_seconds(vector.number("expiration")).unwrap();
        response = profile::issue(
            &server(FILE, vector),
            &request,
            aci,
            &commitment,
            expiration,
            &mut rng,
        )?;
        Ok(())
    });
    (verdict, response)
}

#[test]
fn credentials_are_issued_as_by_the_official_library() {
    for vector in of_kind(FILE, "issue") {
        let (verdict, response) = issue(&vector);
        assert_eq!(verdict, vector.text("expect"), "{}", vector.id());
        if vector.is_valid() {
            assert_eq!(response, vector.hex("response"), "{}", vector.id());
        }
    }
}

#[test]
fn commitment_version_and_access_key_follow_from_the_profile_key() {
    for vector in of_kind(FILE, "issue")
        .iter()
        .filter(|vector| vector.is_valid())
    {
        let (key, aci) = (
            vector.array("profile_key"),
            vector.text("aci").parse().unwrap(),
        );
        assert_eq!(
            Commitment::of(&key, aci).to_bytes(),
            vector.hex("commitment"),
            "{}",
            vector.id()
        );
        assert_eq!(
            profile::version(&key, aci),
            vector.text("version"),
            "{}",
            vector.id()
        );
        assert_eq!(
            access_key::derive(&key).as_bytes().as_slice(),
            vector.hex("access_key"),
            "{}",
            vector.id()
        );
    }
}

/// What clients refuse is the time; the response is well made each time.
#[test]
fn no_expiration_is_offered_that_clients_refuse() {
    for vector in of_kind(FILE, "client-receives") {
        let (expiration, now) = (vector.number("expiration"), at(vector.number("client_now")));
        match Day::from_seconds(expiration) {
            Ok(_) => assert_eq!(
                issue(&vector),
                ("ok", vector.hex("response")),
                "{}",
                vector.id()
            ),
            Err(_) => assert!(!vector.is_valid(), "{}", vector.id()),
        }
        let offered = profile::expiration(now).seconds();
        let whole_days_left = (offered - vector.number("client_now")) / 86_400;
        assert!((1..=7).contains(&whole_days_left), "{}", vector.id());
    }
}
