//! Receipts and donation permits.

use crypto::zk::receipt::{self, IssuedReceiptTags};
use crypto::zk::{Day, donation};

use crate::support::{Part, Prescribed, of_kind};
use crate::zk::{at, server, verdict};

const RECEIPTS: &str = "zk_receipts.json";
const DONATIONS: &str = "zk_donation_permits.json";

fn day(vector: &Part, name: &str) -> Day {
    Day::from_seconds(vector.number(name)).unwrap()
}

#[test]
fn receipts_are_issued_as_by_the_official_library() {
    for vector in of_kind(RECEIPTS, "issue") {
        let request = receipt::Request::parse(&vector.hex("request")).unwrap();
        let (expiration, level) = (
            day(&vector, "receipt_expiration"),
            vector.number("receipt_level"),
        );
        let mut rng = Prescribed::new(vector.hex("issue_random"));
        let params = server(RECEIPTS, &vector);
        let response = receipt::issue(&params, &request, expiration, level, &mut rng);
        assert_eq!(response, vector.hex("response"), "{}", vector.id());

        let shown = receipt::Presentation::parse(&vector.hex("presentation")).unwrap();
        let receipt = shown.verify(&params).unwrap();
        assert_eq!(
            (receipt.expiration, receipt.level),
            (expiration.seconds(), level),
            "{}",
            vector.id()
        );
        assert_eq!(
            receipt.serial,
            vector.array("receipt_serial"),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn receipts_are_judged_as_by_the_official_library() {
    for vector in of_kind(RECEIPTS, "presentation") {
        let params = server(RECEIPTS, &vector);
        let shown = receipt::Presentation::parse(&vector.hex("presentation"));
        assert_eq!(
            verdict(shown, |shown| shown.verify(&params)),
            vector.text("expect"),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn a_payment_remembers_its_request() {
    for vector in of_kind("server_tokens.json", "issued-receipt-tag") {
        let tag = IssuedReceiptTags::new(vector.array("key")).tag(&vector.hex("request"));
        assert_eq!(tag.as_slice(), vector.hex("tag"), "{}", vector.id());
    }
}

#[test]
fn permits_are_issued_as_by_the_official_library() {
    for vector in of_kind(DONATIONS, "issue") {
        let params = server(DONATIONS, &vector);
        let request = donation::Request::parse(&vector.hex("request")).unwrap();
        let mut rng = Prescribed::new(vector.hex("issue_random"));
        let response = donation::issue(&params, &request, day(&vector, "expiration"), &mut rng);
        assert_eq!(response, vector.hex("response"), "{}", vector.id());

        let permits = vector.list("permits");
        assert_eq!(request.count(), permits.len());
        for permit in permits {
            let permit = donation::Permit::parse(&permit.bytes()).unwrap();
            permit
                .verify(&params, at(vector.number("expiration") - 86_400))
                .unwrap();
        }
    }
}

#[test]
fn permits_are_judged_as_by_the_official_library() {
    for vector in of_kind(DONATIONS, "permit") {
        let (params, now) = (server(DONATIONS, &vector), at(vector.number("now")));
        let permit = donation::Permit::parse(&vector.hex("permit"));
        assert_eq!(
            verdict(permit, |permit| permit.verify(&params, now)),
            vector.text("expect"),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn permits_expire_when_clients_expect_it() {
    for vector in of_kind(DONATIONS, "default-expiration") {
        let expiration = donation::expiration(at(vector.number("now")));
        assert_eq!(
            expiration.seconds(),
            vector.number("default_expiration"),
            "{}",
            vector.id()
        );
    }
}
