use crypto::zk::Day;
use crypto::zk::backup::{self, Kind, Level, Presentation, Request};

use crate::support::{Part, Prescribed, of_kind};
use crate::zk::{at, generic, verdict};

const FILE: &str = "zk_backups.json";

fn level(vector: &Part) -> Level {
    [Level::Free, Level::Paid]
        .into_iter()
        .find(|level| level.number() == vector.number("backup_level"))
        .unwrap()
}

fn kind(vector: &Part) -> Kind {
    [Kind::Messages, Kind::Media]
        .into_iter()
        .find(|kind| kind.number() == vector.number("credential_type"))
        .unwrap()
}

#[test]
fn credentials_are_issued_as_by_the_official_library() {
    for vector in of_kind(FILE, "issue") {
        let request = Request::parse(&vector.hex("request")).unwrap();
        let day = Day::from_seconds(vector.number("redemption_time")).unwrap();
        let mut rng = Prescribed::new(vector.hex("issue_random"));
        let params = generic(FILE, &vector);
        let response = backup::issue(
            &params,
            &request,
            day,
            level(&vector),
            kind(&vector),
            &mut rng,
        );
        assert_eq!(response, vector.hex("response"), "{}", vector.id());

        let shown = Presentation::parse(&vector.hex("presentation")).unwrap();
        let verified = shown.verify(&params, at(day.seconds())).unwrap();
        assert_eq!(
            (verified.level, verified.kind),
            (level(&vector), kind(&vector)),
            "{}",
            vector.id()
        );
        assert_eq!(
            verified.backup_id_hash,
            backup::backup_id_hash(&vector.array("backup_id")),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn presentations_are_judged_as_by_the_official_library() {
    for vector in of_kind(FILE, "presentation") {
        let (params, now) = (generic(FILE, &vector), at(vector.number("now")));
        let shown = Presentation::parse(&vector.hex("presentation"));
        let verdict = verdict(shown, |shown| shown.verify(&params, now));
        assert_eq!(verdict, vector.text("expect"), "{}", vector.id());
    }
}

#[test]
fn presentations_are_signed() {
    for vector in of_kind(FILE, "presentation-signature") {
        let key = vector.hex("backup_public_key").try_into().unwrap();
        let signature = vector.hex("signature").try_into().unwrap();
        let verdict = verdict(Ok(()), |()| {
            backup::verify_signature(&vector.hex("presentation"), &key, &signature)
        });
        assert_eq!(verdict, vector.text("expect"), "{}", vector.id());
    }
}

#[test]
fn backups_are_filed_under_a_hash() {
    for vector in of_kind("server_tokens.json", "backup-id-hash") {
        let hash = backup::backup_id_hash(&vector.array("backup_id"));
        assert_eq!(hash.as_slice(), vector.hex("hash"), "{}", vector.id());
    }
}
