//! Certificates and credentials.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use crypto::certificate::SenderCertificate;
use events::ports::Clock as _;
use serde_json::{Value, json};

use crate::support::{Device, Door, SECRETS};

const NUMBER: &str = "+12015550161";
const DAY: u64 = 86_400;

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

async fn certificate(device: &Device, query: &str) -> SenderCertificate {
    let path = format!("/v1/certificate/delivery{query}");
    let answer = device.client.get(&path).await.expect(200);
    SenderCertificate::parse(&bytes(&answer["certificate"])).unwrap()
}

#[tokio::test]
async fn a_sender_certificate_says_which_device_of_which_account() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let linked = door.link(&alice, "linked").await;
    for (query, number) in [
        ("", Some(NUMBER)),
        ("?includeE164=TRUE", Some(NUMBER)),
        ("?includeE164=false", None),
        ("?includeE164=no", None),
    ] {
        let certificate = certificate(&linked, query).await;
        let now = door.clock.now();
        certificate
            .verify(std::slice::from_ref(&SECRETS.trust_root), &[], now)
            .unwrap();
        assert_eq!(certificate.sender(), alice.aci);
        assert_eq!(certificate.device().get(), 2);
        assert_eq!(certificate.e164(), number, "{query}");
        assert_eq!(certificate.identity(), &alice.keys.aci.public_key());
        let week = Duration::from_hours(7 * 24);
        assert_eq!(certificate.expires(), now.plus(week).epoch_millis());
    }
    let anonymous = door.client().get("/v1/certificate/delivery").await;
    assert_eq!(anonymous.status.as_u16(), 401);
}

#[tokio::test]
async fn group_credentials_come_for_each_day_of_a_week() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let today = door.clock.now().epoch_millis() / 1000 / DAY * DAY;
    let get = async |start: u64, end: u64| {
        let path = format!(
            "/v1/certificate/auth/group?redemptionStartSeconds={start}&redemptionEndSeconds={end}&pniAsServiceId=true"
        );
        alice.client.get(&path).await
    };
    let answer = get(today - DAY, today + DAY).await.expect(200);
    assert_eq!(answer["pni"], alice.pni);
    for (list, length) in [("credentials", 425), ("callLinkAuthCredentials", 361)] {
        let credentials = answer[list].as_array().unwrap();
        let times: Vec<_> = credentials
            .iter()
            .map(|c| c["redemptionTime"].as_u64().unwrap())
            .collect();
        assert_eq!(times, [today - DAY, today, today + DAY]);
        for credential in credentials {
            assert_eq!(bytes(&credential["credential"]).len(), length);
        }
    }
    for (start, end) in [
        (0, 0),
        (today, today + 1),
        (today + DAY, today),
        (today - 2 * DAY, today),
        (today + DAY, today + 9 * DAY),
        (today - DAY, today + 7 * DAY),
    ] {
        assert_eq!(get(start, end).await.status.as_u16(), 400, "{start} {end}");
    }
    let path = "/v1/certificate/auth/group?redemptionStartSeconds=soon";
    assert_eq!(alice.client.get(path).await.status.as_u16(), 400);
    assert_eq!(
        alice
            .client
            .get("/v1/certificate/auth/group")
            .await
            .status
            .as_u16(),
        400
    );
}

#[tokio::test]
async fn services_take_what_the_server_issues() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let services = &SECRETS.external;
    for (path, service) in [
        ("/v2/svr/auth", &services.svr2),
        ("/v2/backup/auth", &services.svr2),
        ("/v1/storage/auth", &services.storage),
        ("/v2/directory/auth", &services.directory),
        ("/v1/payments/auth", &services.payments),
    ] {
        let issued = alice.client.get(path).await.expect(200);
        let (username, password) = (issued["username"].as_str(), issued["password"].as_str());
        let (username, password) = (username.unwrap(), password.unwrap());
        assert_eq!(username, service.username(&alice.aci), "{path}");
        let seconds = door.clock.now().epoch_millis() / 1000;
        assert_eq!(service.verify(username, password), Ok(seconds), "{path}");
        assert_eq!(door.client().get(path).await.status.as_u16(), 401, "{path}");
    }
}

#[tokio::test]
async fn credentials_found_in_backups_are_told_apart() {
    let door = Door::open().await;
    let (alice, bob) = (
        door.register(NUMBER).await,
        door.register("+12015550162").await,
    );
    let issue = async |device: &Device| {
        let issued = device.client.get("/v2/svr/auth").await.expect(200);
        let part = |name: &str| issued[name].as_str().unwrap().to_owned();
        format!("{}:{}", part("username"), part("password"))
    };
    let old = issue(&alice).await;
    door.clock.advance(Duration::from_hours(1));
    let (own, other) = (issue(&alice).await, issue(&bob).await);
    let check = async |body: Value| door.client().post("/v2/svr/auth/check", body).await;
    let tokens = json!([old, own, other, "nonsense"]);
    let answer = check(json!({ "number": NUMBER, "tokens": tokens }))
        .await
        .expect(200);
    let expected = json!({ "matches": {
        old.as_str(): "invalid",
        own.as_str(): "match",
        other.as_str(): "no-match",
        "nonsense": "invalid",
    } });
    assert_eq!(answer, expected);
    let body = json!({ "number": NUMBER, "passwords": tokens });
    let alias = door.client().post("/v2/backup/auth/check", body).await;
    assert_eq!(alias.expect(200), expected);
    door.clock.advance(Duration::from_hours(31 * 24));
    let late = check(json!({ "number": NUMBER, "tokens": [own] }))
        .await
        .expect(200);
    assert_eq!(late["matches"][&own], "invalid");
    for wrong in [
        json!({ "number": "1", "tokens": ["a:b"] }),
        json!({ "number": NUMBER, "tokens": [] }),
        json!({ "number": NUMBER, "tokens": vec!["a:b"; 11] }),
        json!({}),
    ] {
        assert_eq!(check(wrong).await.status.as_u16(), 422);
    }
}

#[tokio::test]
async fn calls_have_links_and_relays() {
    let relay = api::config::Relay {
        key: crypto::relay::RelayKey::new("secret".to_owned()),
        lifetime: Duration::from_hours(1),
        urls: vec!["turn:relay.example".to_owned()],
        urls_with_ips: Vec::new(),
        hostname: None,
    };
    let config = api::Config {
        relays: vec![relay],
        ..api::Config::default()
    };
    let door = Door::open_with(config).await;
    let alice = door.register(NUMBER).await;
    let answer = alice.client.get("/v2/calling/relays").await.expect(200);
    let [relay] = answer["relays"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(
        (&relay["urls"], &relay["ttl"]),
        (&json!(["turn:relay.example"]), &json!(3600))
    );
    let expires = door.clock.now().epoch_millis() / 1000 + 3600;
    assert!(
        relay["username"]
            .as_str()
            .unwrap()
            .starts_with(&expires.to_string())
    );

    let create = async |request: Value| {
        let body = json!({ "createCallLinkCredentialRequest": request });
        alice.client.post("/v1/call-link/create-auth", body).await
    };
    let request = BASE64_STANDARD.encode([0; 97]);
    let issued = create(json!(request)).await.expect(200);
    assert_eq!(bytes(&issued["credential"]).len(), 465);
    let today = door.clock.now().epoch_millis() / 1000 / DAY * DAY;
    assert_eq!(issued["redemptionTime"], today);
    assert_eq!(create(json!("AAAA")).await.status.as_u16(), 400);
    assert_eq!(create(Value::Null).await.status.as_u16(), 422);
}

#[tokio::test]
async fn a_pack_of_stickers_has_a_form_for_each() {
    let door = Door::open().await;
    let alice = door.register(NUMBER).await;
    let get = async |count: &str| {
        alice
            .client
            .get(&format!("/v1/sticker/pack/form/{count}"))
            .await
    };
    let pack = get("2").await.expect(200);
    let id = pack["packId"].as_str().unwrap();
    assert_eq!((id.len(), &pack["manifest"]["id"]), (32, &json!(-1)));
    assert_eq!(
        pack["manifest"]["key"],
        format!("stickers/{id}/manifest.proto")
    );
    let stickers = pack["stickers"].as_array().unwrap();
    assert_eq!(stickers.len(), 2);
    for (index, sticker) in stickers.iter().enumerate() {
        assert_eq!(sticker["id"], index);
        assert_eq!(sticker["key"], format!("stickers/{id}/full/{index}"));
        for field in [
            "credential",
            "policy",
            "signature",
            "date",
            "signedUploadLocation",
        ] {
            assert!(sticker[field].is_string(), "{field}");
        }
        assert!(sticker["cdn"].is_u64() && sticker["headers"].is_object());
    }
    assert_eq!(
        get("201").await.expect(200)["stickers"]
            .as_array()
            .unwrap()
            .len(),
        201
    );
    for (count, status) in [("0", 400), ("202", 400), ("-1", 400), ("x", 404)] {
        assert_eq!(get(count).await.status.as_u16(), status, "{count}");
    }
}
