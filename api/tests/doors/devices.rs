//! `/v1/devices`.

use std::time::Duration;

use api::Config;
use api::config::DialectSwitch;
use serde_json::json;

use crate::support::device::{Identities, b64, link_body};
use crate::support::{Client, Device, Door};

const NUMBER: &str = "+12015550123";

async fn token(primary: &Device) -> String {
    let reply = primary
        .client
        .get("/v1/devices/provisioning/code")
        .await
        .expect(200);
    assert_eq!(reply["tokenIdentifier"].as_str().unwrap().len(), 43);
    reply["verificationCode"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_linked_device_is_a_device_of_the_account() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let body = link_body(&token(&primary).await, &primary.keys);
    let client = door.client().official().basic("anything", "linked");
    let reply = client.put("/v1/devices/link", body).await;
    assert!(reply.position().is_some());
    assert_eq!(
        reply.expect(200),
        json!({ "uuid": primary.aci, "pni": primary.pni, "deviceId": 2 })
    );
    let linked = door.client().basic(&format!("{}.2", primary.aci), "linked");
    linked.get("/v1/accounts/whoami").await.expect(200);

    let list = primary.client.get("/v1/devices").await.expect(200);
    insta::assert_json_snapshot!(list);
    let bundle = linked
        .get(&format!("/v2/keys/{}/*", primary.aci))
        .await
        .expect(200);
    assert_eq!(bundle["devices"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_is_good_once_and_for_ten_minutes() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let official = door.client().official().basic("x", "linked");
    let other = door.client().basic("x", "linked");
    let link = |client: &Client, token: &str| {
        let (client, body) = (client.clone(), link_body(token, &primary.keys));
        async move { client.put("/v1/devices/link", body).await.status.as_u16() }
    };
    let first = token(&primary).await;
    assert_eq!(link(&official, &first).await, 200);
    assert_eq!(
        (link(&official, &first).await, link(&other, &first).await),
        (403, 422),
        "spent"
    );
    let forged = first.replace(&primary.aci, "00000000-0000-4000-8000-000000000000");
    assert_eq!(
        (link(&official, &forged).await, link(&official, "x").await),
        (403, 403)
    );
    let late = token(&primary).await;
    door.clock.advance(Duration::from_mins(11));
    assert_eq!(
        (link(&official, &late).await, link(&other, &late).await),
        (403, 422),
        "expired"
    );
}

#[tokio::test]
async fn an_account_has_six_devices_at_the_most() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let spare = token(&primary).await;
    for _ in 0..5 {
        door.link(&primary, "linked").await;
    }
    let full = json!({ "current": 6, "max": 6 });
    assert_eq!(
        primary
            .client
            .get("/v1/devices/provisioning/code")
            .await
            .expect(411),
        full
    );
    let body = link_body(&spare, &primary.keys);
    let official = door.client().official().basic("x", "y");
    assert_eq!(
        official
            .put("/v1/devices/link", body.clone())
            .await
            .expect(411),
        full
    );
    let other = door.client().basic("x", "y");
    assert_eq!(other.put("/v1/devices/link", body).await.expect(403), full);
}

#[tokio::test]
async fn links_that_break_rules_are_refused() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let official = door.client().official().basic("x", "y");
    let token = token(&primary).await;
    official
        .put(
            "/v1/devices/link",
            link_body(&token, &Identities::generate(5)),
        )
        .await
        .expect(422);
    for name in [
        "accountAttributes",
        "verificationCode",
        "aciSignedPreKey",
        "pniPqLastResortPreKey",
    ] {
        let mut body = link_body(&token, &primary.keys);
        body.as_object_mut().unwrap().remove(name);
        official.put("/v1/devices/link", body).await.expect(422);
    }
    let mut body = link_body(&token, &primary.keys);
    body["accountAttributes"]["name"] = json!(b64([1; 226]));
    official.put("/v1/devices/link", body).await.expect(422);
    door.client()
        .put("/v1/devices/link", json!({}))
        .await
        .expect(400);
    let bare =
        json!({ "verificationCode": token, "accountAttributes": { "fetchesMessages": true } });
    let linked = door
        .client()
        .basic("x", "y")
        .put("/v1/devices/link", bare)
        .await
        .expect(200);
    assert_eq!(
        linked["deviceId"], 2,
        "the published contract asks for no keys"
    );
}

#[tokio::test]
async fn who_may_remove_whom() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let (second, third) = (
        door.link(&primary, "a").await,
        door.link(&primary, "b").await,
    );
    second.client.delete("/v1/devices/3").await.expect(401);
    second.client.delete("/v1/devices/1").await.expect(401);
    primary.client.delete("/v1/devices/1").await.expect(403);
    primary.client.delete("/v1/devices/x").await.expect(404);
    primary.client.delete("/v1/devices/300").await.expect(404);
    primary.client.delete("/v1/devices/5").await.expect(404);
    second
        .client
        .get("/v1/devices/provisioning/code")
        .await
        .expect(401);
    third.client.delete("/v1/devices/3").await.expect(204);
    third.client.get("/v1/accounts/whoami").await.expect(401);
    primary.client.delete("/v1/devices/2").await.expect(204);
    second.client.get("/v1/accounts/whoami").await.expect(401);
    let list = primary.client.get("/v1/devices").await.expect(200);
    assert_eq!(list["devices"].as_array().unwrap().len(), 1);

    let reused = door.link(&primary, "c").await;
    assert_eq!(reused.id, 2, "the lowest free number");
    second.client.get("/v1/accounts/whoami").await.expect(401);
}

#[tokio::test]
async fn in_the_deployed_dialect_removing_what_is_not_there_succeeds() {
    let config = Config {
        dialect: DialectSwitch::Deployed,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let primary = door.register(NUMBER).await;
    primary.client.delete("/v1/devices/5").await.expect(204);
}
