//! `/v1/accounts`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Door;
use crate::support::device::{ACCESS_KEY, attributes, b64};

const NUMBER: &str = "+12015550123";

#[tokio::test]
async fn credentials_name_the_account_by_id_or_by_number() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    let whoami = |username: String, password: &'static str| {
        let client = door.client().basic(&username, password);
        async move { client.get("/v1/accounts/whoami").await.status.as_u16() }
    };
    let aci = device.aci.clone();
    for username in [
        aci.clone(),
        format!("{aci}.1"),
        NUMBER.to_owned(),
        format!("{NUMBER}.1"),
        aci.to_uppercase(),
    ] {
        assert_eq!(
            whoami(username.clone(), "password").await,
            200,
            "{username}"
        );
        assert_eq!(
            whoami(username.clone(), "Password").await,
            401,
            "{username}"
        );
    }
    for username in [
        format!("{aci}.2"),
        format!("{aci}.0"),
        format!("PNI:{}", device.pni),
        device.pni,
        "+12015550199".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            whoami(username.clone(), "password").await,
            401,
            "{username}"
        );
    }
}

#[tokio::test]
async fn attributes_change_who_may_write_anonymously() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    let path = format!("/v2/keys/{}/*", device.aci);
    let fetch = |key: [u8; 16]| {
        let client = door.client().with("unidentified-access-key", b64(key));
        let path = path.clone();
        async move { client.get(&path).await.status.as_u16() }
    };
    assert_eq!((fetch(ACCESS_KEY).await, fetch([8; 16]).await), (200, 401));

    let mut body = attributes();
    body["unidentifiedAccessKey"] = json!("CAgICAgICAgICAgICAgICA==");
    let changed = device
        .client
        .put("/v1/accounts/attributes/", body.clone())
        .await;
    assert!(changed.position().is_some());
    assert_eq!(
        (
            changed.status.as_u16(),
            changed.body.len(),
            changed.header("content-type")
        ),
        (204, 0, None)
    );
    assert_eq!((fetch(ACCESS_KEY).await, fetch([8; 16]).await), (401, 200));

    body["unidentifiedAccessKey"] = Value::Null;
    device
        .client
        .put("/v1/accounts/attributes", body.clone())
        .await
        .expect(422);
    body["unrestrictedUnidentifiedAccess"] = json!(true);
    device
        .client
        .put("/v1/accounts/attributes", body)
        .await
        .expect(204);
    assert_eq!(fetch([0; 16]).await, 200);
}

#[tokio::test]
async fn in_the_published_contract_a_missing_access_key_stays() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    let client = door.client().basic(&device.aci, "password");
    client
        .put(
            "/v1/accounts/attributes",
            json!({ "fetchesMessages": true }),
        )
        .await
        .expect(204);
    let anonymous = door
        .client()
        .with("unidentified-access-key", b64(ACCESS_KEY));
    anonymous
        .get(&format!("/v2/keys/{}/*", device.aci))
        .await
        .expect(200);
}

#[tokio::test]
async fn whether_an_account_exists_is_told_to_nobody_who_says_who_they_are() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    let head = |id: String| {
        let client = door.client();
        async move {
            client
                .send("HEAD", &format!("/v1/accounts/account/{id}"), None)
                .await
                .status
                .as_u16()
        }
    };
    assert_eq!(head(device.aci.clone()).await, 200);
    assert_eq!(head(format!("PNI:{}", device.pni)).await, 200);
    assert_eq!(
        head(device.pni.clone()).await,
        404,
        "a PNI needs its prefix"
    );
    assert_eq!(
        head("00000000-0000-4000-8000-000000000000".into()).await,
        404
    );
    assert_eq!(head("xyz".into()).await, 404);
    let path = format!("/v1/accounts/account/{}", device.aci);
    assert_eq!(device.client.send("HEAD", &path, None).await.status, 400);
    assert_eq!(device.client.get(&path).await.status, 405);
}

#[tokio::test]
async fn a_deleted_account_is_gone_at_once() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    device.client.delete("/v1/accounts/me").await.expect(204);
    device.client.get("/v1/accounts/whoami").await.expect(401);
    let other = door.register("+12015550124").await;
    other
        .client
        .get(&format!("/v2/keys/{}/*", device.aci))
        .await
        .expect(404);
    other.send(&device.aci, b"x", 1).await.expect(404);
    let head = door
        .client()
        .send(
            "HEAD",
            &format!("/v1/accounts/account/{}", device.aci),
            None,
        )
        .await;
    assert_eq!(head.status, 404);
}

#[tokio::test]
async fn a_device_is_marked_as_seen_once_a_day() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    let seen = async || {
        // What marks a device runs beside the request that made it known.
        let head = door.api.queries.head().await.unwrap();
        let models = [projections::Model::Devices];
        door.api
            .queries
            .caught_up(&models, head, Duration::from_secs(30))
            .await;
        let devices = device.client.get("/v1/devices").await.expect(200);
        (head, devices["devices"][0]["lastSeen"].as_u64().unwrap())
    };
    let (first, day) = seen().await;
    assert_eq!(day % 86_400_000, 0, "to the day, and no closer");
    assert_eq!(seen().await.0, first);
    door.clock.advance(Duration::from_hours(48));
    seen().await;
    let later = loop {
        let (head, later) = seen().await;
        if head > first {
            break later;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(later, day + 2 * 86_400_000);
}

#[tokio::test]
async fn remote_configuration_comes_with_a_tag() {
    let door = Door::open().await;
    let device = door.register(NUMBER).await;
    let reply = device.client.get("/v2/config").await;
    let tag = reply.header("etag").unwrap().to_owned();
    let config = reply.expect(200)["config"].clone();
    assert_eq!(
        config["desktop.libsignal.grpc.KeyTransparencyQueryServiceSearchV2"],
        "ws"
    );
    assert!(
        config
            .as_object()
            .unwrap()
            .keys()
            .all(|name| name.starts_with("desktop.")),
        "{config}"
    );
    let again = device
        .client
        .clone()
        .with("if-none-match", &tag)
        .get("/v2/config")
        .await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    door.client().get("/v2/config").await.expect(401);
}
