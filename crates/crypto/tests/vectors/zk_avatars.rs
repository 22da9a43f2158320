use crypto::zk::Day;
use crypto::zk::avatar::{self, CredentialPublicKey, Presentation, Request};

use crate::support::{Part, Prescribed, of_kind};
use crate::zk::{at, generic, verdict};

const FILE: &str = "zk_avatars.json";

fn issue(vector: &Part) -> (&'static str, Vec<u8>) {
    let mut response = Vec::new();
    let key = CredentialPublicKey::parse(&vector.hex("zk_credential_public_key")).unwrap();
    let of = (
        vector.text("aci").parse().unwrap(),
        vector.text("rotation_id").parse().unwrap(),
        &key,
    );
    let day = Day::from_seconds(vector.number("redemption_time")).unwrap();
    let mut rng = Prescribed::new(vector.hex("issue_random"));
    let verdict = verdict(Request::parse(&vector.hex("request")), |request| {
        response = avatar::issue(&generic(FILE, vector), &request, of, day, &mut rng)?;
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
            let shown = Presentation::parse(&vector.hex("presentation")).unwrap();
            let commitment = shown.verify(
                &generic(FILE, &vector),
                at(vector.number("redemption_time")),
            );
            assert_eq!(
                commitment,
                Ok(vector.array("commitment")),
                "{}",
                vector.id()
            );
        }
    }
}

#[test]
fn presentations_are_judged_as_by_the_official_library() {
    for vector in of_kind(FILE, "presentation") {
        let (params, now) = (generic(FILE, &vector), at(vector.number("now")));
        let shown = Presentation::parse(&vector.hex("presentation"));
        assert_eq!(
            verdict(shown, |shown| shown.verify(&params, now)),
            vector.text("expect"),
            "{}",
            vector.id()
        );
    }
}
