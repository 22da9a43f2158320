//! `/v1/devices`.

use std::time::Duration;

use api::Config;
use api::config::DialectSwitch;
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use crypto::sealing::open_created_at;
use events::{DeviceId, RegistrationId};
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
    insta::assert_json_snapshot!(list, { ".devices[].createdAtCiphertext" => "[sealed]" });
    for device in list["devices"].as_array().unwrap() {
        let sealed = device["createdAtCiphertext"].as_str().unwrap();
        let id = u32::try_from(device["id"].as_u64().unwrap()).unwrap();
        let created = open_created_at(
            &primary.keys.aci,
            DeviceId::try_from(id).unwrap(),
            RegistrationId::try_from(111).unwrap(),
            &BASE64_STANDARD_NO_PAD.decode(sealed).unwrap(),
        );
        assert_eq!(json!(created.unwrap().epoch_millis()), device["created"]);
    }
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

#[tokio::test]
async fn the_primary_waits_for_the_device_that_uses_its_token() {
    let door = Door::open().await;
    let (primary, sender) = (
        door.register(NUMBER).await,
        door.register("+12015550124").await,
    );
    sender
        .send(&primary.aci, b"from before", 1)
        .await
        .expect(200);
    let code = primary
        .client
        .get("/v1/devices/provisioning/code")
        .await
        .expect(200);
    let path = |timeout| {
        let identifier = code["tokenIdentifier"].as_str().unwrap();
        format!("/v1/devices/wait_for_linked_device/{identifier}?timeout={timeout}")
    };
    let nobody = primary.client.get(&path(1)).await;
    assert_eq!((nobody.status.as_u16(), nobody.body.len()), (204, 0));
    let waiting = async { primary.client.get(&path(60)).await };
    let linking = async {
        let body = link_body(code["verificationCode"].as_str().unwrap(), &primary.keys);
        let client = door.client().official().basic("x", "linked");
        client.put("/v1/devices/link", body).await.expect(200);
        let unread = primary.client.get(&path(1)).await.status.as_u16();
        assert_eq!(unread, 204, "a message from before waits for the primary");
    };
    let (displaced, ()) = tokio::join!(waiting, linking);
    assert_eq!(displaced.status, 204, "somebody else waits for the same");

    let waiting = async { primary.client.get(&path(60)).await };
    let fetching = async {
        let mail = primary.client.get("/v1/messages").await.expect(200);
        let guid = mail["messages"][0]["guid"].as_str().unwrap();
        let path = format!("/v1/messages/uuid/{guid}");
        primary.client.delete(&path).await.expect(204);
    };
    let (linked, ()) = tokio::join!(waiting, fetching);
    let linked = linked.expect(200);
    assert_eq!(linked["id"], 2);
    let list = primary.client.get("/v1/devices").await.expect(200);
    assert_eq!(linked, list["devices"][1]);
    assert_eq!(
        primary.client.get(&path(60)).await.expect(200),
        linked,
        "also afterwards"
    );
    let tablet = door.client().basic(&format!("{}.2", primary.aci), "linked");
    tablet.get(&path(1)).await.expect(400);
    for bad in [path(0), path(3601), path("x".len()).replace("=1", "=x")] {
        primary.client.get(&bad).await.expect(400);
    }
    let short = "/v1/devices/wait_for_linked_device/AAAA";
    primary.client.get(short).await.expect(400);
    door.clock.advance(Duration::from_hours(2));
    assert_eq!(primary.client.get(&path(1)).await.status, 204);
}

#[tokio::test]
async fn the_end_of_the_server_ends_long_polls() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let polls = [
        format!("/v1/devices/wait_for_linked_device/{}", "A".repeat(43)),
        "/v1/devices/transfer_archive".to_owned(),
        "/v1/devices/restore_account/token".to_owned(),
    ];
    let waiting = polls.map(|path| {
        let client = primary.client.clone();
        async move { client.get(&format!("{path}?timeout=3600")).await.status }
    });
    let ending = async { door.shutdown.token.cancel() };
    let (ended, ()) = tokio::join!(futures::future::join_all(waiting), ending);
    assert_eq!(ended, [204, 204, 204]);
}

#[tokio::test]
async fn a_device_can_do_what_it_last_said() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let put = |body| primary.client.json("PUT", "/v1/devices/capabilities", body);
    let said = put(json!({ "storage": true, "deleteSync": true, "spqr": false })).await;
    said.expect(204);
    assert!(said.position().is_some());
    let whoami = primary.client.get("/v1/accounts/whoami").await.expect(200);
    assert_eq!(whoami["storageCapable"], true);
    let again = put(json!({ "storage": true })).await;
    assert_eq!((again.status.as_u16(), again.position()), (204, None));
    put(json!({})).await.expect(204);
    let whoami = primary.client.get("/v1/accounts/whoami").await.expect(200);
    assert_eq!(whoami["storageCapable"], false);
    put(json!({ "storage": 1 })).await.expect(422);
    put(json!(["storage"])).await.expect(422);
}

#[tokio::test]
async fn an_account_does_not_lose_what_all_of_its_devices_can_do() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let mut body = link_body(&token(&primary).await, &primary.keys);
    let official = door.client().official().basic("x", "y");
    body["accountAttributes"]["capabilities"] = json!({ "storage": true });
    official
        .put("/v1/devices/link", body.clone())
        .await
        .expect(409);
    body["accountAttributes"]["capabilities"] = serde_json::Value::Null;
    official
        .put("/v1/devices/link", body.clone())
        .await
        .expect(422);
    door.client()
        .basic("x", "y")
        .put("/v1/devices/link", body)
        .await
        .expect(200);
}

#[tokio::test]
async fn an_archive_is_offered_to_a_device_and_taken_by_it() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let tablet = door.link(&primary, "tablet").await;
    let path = "/v1/devices/transfer_archive";
    let offer = |archive| {
        let body = json!({
            "destinationDeviceId": 2,
            "destinationDeviceRegistrationId": 111,
            "transferArchive": archive,
        });
        primary.client.json("PUT", path, body)
    };
    let archive = json!({ "cdn": 3, "key": "YXJjaGl2ZQ" });
    let waiting = async { tablet.client.get(path).await };
    let (found, offered) = tokio::join!(waiting, offer(archive.clone()));
    offered.expect(204);
    assert_eq!(found.expect(200), archive);
    let without = json!({ "error": "CONTINUE_WITHOUT_UPLOAD" });
    offer(without.clone()).await.expect(204);
    assert_eq!(tablet.client.get(path).await.expect(200), without);
    let nobody = primary.client.get(&format!("{path}?timeout=1")).await;
    assert_eq!(nobody.status, 204, "it was for another device");
    for bad in [
        json!({}),
        json!({ "cdn": 3 }),
        json!({ "error": "x" }),
        json!({ "cdn": 3, "key": "k", "error": "RELINK_REQUESTED" }),
    ] {
        offer(bad).await.expect(422);
    }
    door.clock.advance(Duration::from_hours(2));
    let late = tablet.client.get(&format!("{path}?timeout=1")).await;
    assert_eq!(late.status, 204, "an offer holds for an hour");
}

#[tokio::test]
async fn an_old_device_tells_a_new_one_how_to_restore() {
    let door = Door::open().await;
    let client = door.client();
    let path = "/v1/devices/restore_account/a-token";
    let choice = json!({ "method": "DEVICE_TRANSFER", "deviceTransferBootstrap": b64([5; 4096]) });
    let waiting = async { client.get(path).await };
    let leaving = async { client.put(path, choice.clone()).await };
    let (found, left) = tokio::join!(waiting, leaving);
    left.expect(204);
    assert_eq!(found.expect(200), choice);
    let other = json!({ "method": "DECLINE", "deviceTransferBootstrap": null });
    client.put(path, other.clone()).await.expect(204);
    assert_eq!(
        client.get(path).await.expect(200),
        other,
        "the last word counts"
    );
    assert_eq!(
        client
            .get("/v1/devices/restore_account/other?timeout=1")
            .await
            .status,
        204
    );
    let long = format!("/v1/devices/restore_account/{}", "x".repeat(65));
    client.put(&long, choice).await.expect(400);
    client.get(&long).await.expect(400);
    let large = json!({ "method": "DECLINE", "deviceTransferBootstrap": b64([5; 4097]) });
    client.put(path, large).await.expect(422);
    client.put(path, json!({ "method": "x" })).await.expect(422);
}
