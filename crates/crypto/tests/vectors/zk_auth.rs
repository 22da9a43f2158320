use crypto::zk::auth::{self, GroupPublicParams, Presentation};
use crypto::zk::call_link::{self, CreateRequest};
use crypto::zk::{Day, ServerSecretParams};
use events::{Aci, Pni, ServiceId};

use crate::support::{Part, Prescribed, of_kind};
use crate::zk::{at, generic, server, verdict};

const AUTH: &str = "zk_auth.json";
const CALLS: &str = "zk_call_links.json";

fn day(vector: &Part, name: &str) -> Day {
    Day::from_seconds(vector.number(name)).unwrap()
}

fn aci(vector: &Part) -> Aci {
    vector.text("aci").parse().unwrap()
}

fn issue(params: &ServerSecretParams, vector: &Part, pni: Pni) -> Vec<u8> {
    let mut rng = Prescribed::new(vector.hex("issue_random"));
    auth::issue(
        params,
        aci(vector),
        pni,
        day(vector, "redemption_time"),
        &mut rng,
    )
}

#[test]
fn auth_credentials_are_issued_as_by_the_official_library() {
    for vector in of_kind(AUTH, "issue") {
        let Ok(ServiceId::Pni(pni)) = vector.text("pni").parse() else {
            panic!("{}", vector.id())
        };
        assert_eq!(
            issue(&server(AUTH, &vector), &vector, pni),
            vector.hex("response"),
            "{}",
            vector.id()
        );
    }
    for vector in of_kind(AUTH, "issue-without-pni") {
        let pni = auth::substitute_pni(aci(&vector), &vector.array("auth_credential_salt"));
        assert_eq!(
            issue(&server(AUTH, &vector), &vector, pni),
            vector.hex("response"),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn presentations_to_groups_are_judged_as_by_the_official_library() {
    for vector in of_kind(AUTH, "presentation") {
        let params = server(AUTH, &vector);
        let group = GroupPublicParams::parse(&vector.hex("group_public_params")).unwrap();
        let now = at(vector.number("now"));
        let shown = Presentation::parse(&vector.hex("presentation"));
        let verdict = verdict(shown, |shown| shown.verify(&params, &group, now));
        assert_eq!(verdict, vector.text("expect"), "{}", vector.id());
    }
}

#[test]
fn call_link_credentials_are_issued_as_by_the_official_library() {
    for vector in of_kind(CALLS, "auth-issue") {
        let mut rng = Prescribed::new(vector.hex("issue_random"));
        let day = day(&vector, "redemption_time");
        let response = call_link::issue_auth(&generic(CALLS, &vector), aci(&vector), day, &mut rng);
        assert_eq!(response, vector.hex("response"), "{}", vector.id());
    }
    for vector in of_kind(CALLS, "create-issue") {
        let mut rng = Prescribed::new(vector.hex("issue_random"));
        let request = CreateRequest::parse(&vector.hex("request")).unwrap();
        let day = day(&vector, "timestamp");
        let response = call_link::issue_create(
            &generic(CALLS, &vector),
            &request,
            aci(&vector),
            day,
            &mut rng,
        );
        assert_eq!(response, vector.hex("response"), "{}", vector.id());
    }
}

#[test]
fn call_link_requests_are_read_as_by_the_official_library() {
    for vector in of_kind(CALLS, "create-request-parse") {
        let verdict = verdict(CreateRequest::parse(&vector.hex("request")), |_| Ok(()));
        assert_eq!(verdict, vector.text("expect"), "{}", vector.id());
    }
}
