use crypto::zk::Day;
use crypto::zk::group_send::{self, MemberCiphertext, Token};
use events::ServiceId;

use crate::support::{Part, Prescribed, of_kind};
use crate::zk::{at, server, verdict};

const FILE: &str = "zk_group_send.json";

fn recipients(vector: &Part) -> Vec<ServiceId> {
    vector
        .list("recipients")
        .iter()
        .map(|id| id.0.as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn tokens_are_judged_as_by_the_official_library() {
    for vector in of_kind(FILE, "token") {
        let (params, now) = (server(FILE, &vector), at(vector.number("now")));
        let token = Token::parse(&vector.hex("token"));
        let verdict = verdict(token, |token| {
            token.verify(&params, recipients(&vector), now)
        });
        assert_eq!(verdict, vector.text("expect"), "{}", vector.id());
    }
}

#[test]
fn tokens_are_made_as_by_the_official_library() {
    let mut made = 0;
    for vector in of_kind(FILE, "token")
        .iter()
        .filter(|vector| vector.is_valid())
    {
        let bytes = vector.hex("token");
        let expiration = Token::parse(&bytes).unwrap().expiration();
        if let Ok(expiration) = Day::from_seconds(expiration) {
            let token = Token::endorsing(&server(FILE, vector), recipients(vector), expiration);
            assert_eq!(token.unwrap().to_bytes(), bytes[..33], "{}", vector.id());
            made += 1;
        }
    }
    assert!(made > 0, "no vector has a token that clients would make");
}

#[test]
fn endorsements_are_issued_as_by_the_official_library() {
    for vector in of_kind(FILE, "issue") {
        let members = vector.list("member_ciphertexts");
        let members: Vec<_> = members
            .iter()
            .map(|m| MemberCiphertext::parse(&m.bytes()).unwrap())
            .collect();
        let expiration = Day::from_seconds(vector.number("expiration")).unwrap();
        let mut rng = Prescribed::new(vector.hex("issue_random"));
        let response = group_send::issue(&server(FILE, &vector), &members, expiration, &mut rng);
        assert_eq!(response, Some(vector.hex("response")), "{}", vector.id());
    }
}

#[test]
fn clients_refuse_expirations_that_are_no_day() {
    for vector in of_kind(FILE, "client-receives") {
        assert_eq!(
            Day::from_seconds(vector.number("expiration")).is_ok(),
            vector.is_valid(),
            "{}",
            vector.id()
        );
    }
}
