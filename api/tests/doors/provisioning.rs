//! `/v1/websocket/provisioning/` and `PUT /v1/provisioning/{address}`.

use api::ws::frame::ProvisioningAddress;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::socket::{Opening, Socket};
use crate::support::{Device, Door, Reply};

const NUMBER: &str = "+12015550123";

async fn opening(door: &Door) -> Opening {
    door.listen().await.at("/v1/websocket/provisioning/")
}

/// Takes the address, as a path segment, and answers.
async fn address(socket: &mut Socket) -> String {
    let pushed = socket.pushed().await;
    assert_eq!(
        (pushed.verb.as_deref(), pushed.path.as_deref()),
        (Some("PUT"), Some("/v1/address"))
    );
    assert!(pushed.headers[0].starts_with("X-Signal-Timestamp: 1"));
    socket.respond(pushed.id.unwrap(), 200).await;
    let address = ProvisioningAddress::decode(pushed.body.unwrap()).unwrap();
    let address = address.address.unwrap();
    assert!(address.len() == 24 && address.ends_with("=="), "{address}");
    address.replace('=', "%3D")
}

async fn send(device: &Device, address: &str, body: Value) -> Reply {
    device
        .client
        .put(&format!("/v1/provisioning/{address}"), body)
        .await
}

#[tokio::test]
async fn a_message_reaches_the_new_device_once_over_either_version_of_http() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let opening = opening(&door).await;
    for opening in [opening.clone(), opening.over_http2()] {
        let mut socket = opening.open().await;
        let address = address(&mut socket).await;
        let keepalive = socket
            .request("GET", "/v1/keepalive/provisioning", None)
            .await;
        assert_eq!((keepalive.status, keepalive.body), (Some(200), None));
        let others = socket.request("GET", "/v1/keepalive", None).await;
        assert_eq!(others.status, Some(404));
        // MIME breaks long lines.
        let mut text = BASE64_STANDARD.encode([7; 100]);
        text.insert_str(76, "\r\n");
        send(&primary, &address, json!({ "body": text }))
            .await
            .expect(204);
        send(&primary, &address, json!({ "body": "AAAA" }))
            .await
            .expect(404);
        let pushed = socket.pushed().await;
        assert_eq!(pushed.path.as_deref(), Some("/v1/message"));
        assert_eq!(pushed.body.unwrap(), [7; 100].as_slice());
        socket.respond(pushed.id.unwrap(), 200).await;
        assert_eq!(socket.closed().await, (1000, "Closed".to_owned()));
        send(&primary, &address, json!({ "body": "AAAA" }))
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn an_address_dies_with_its_socket_and_none_is_given_twice() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let opening = opening(&door).await;
    let (mut one, mut two) = (opening.open().await, opening.open().await);
    let (first, second) = (address(&mut one).await, address(&mut two).await);
    assert_ne!(first, second);
    one.leave().await;
    loop {
        let sent = send(&primary, &first, json!({ "body": "AAAA" })).await;
        if sent.status == 404 {
            break; // it may have been brought to a socket that was about to go
        }
    }
    send(&primary, &second, json!({ "body": "AAAA" }))
        .await
        .expect(204);
    send(
        &primary,
        "bm9ib2R5LWlzLWhlcmU%3D",
        json!({ "body": "AAAA" }),
    )
    .await
    .expect(404);
}

#[tokio::test]
async fn messages_that_break_rules_are_refused() {
    let door = Door::open().await;
    let primary = door.register(NUMBER).await;
    let mut socket = opening(&door).await.open().await;
    let address = address(&mut socket).await;
    for body in [
        json!({}),
        json!({ "body": "" }),
        json!({ "body": "***" }),
        json!({ "body": 7 }),
    ] {
        send(&primary, &address, body).await.expect(422);
    }
    send(&primary, &address, json!({ "body": "A".repeat(262_145) }))
        .await
        .expect(400);
    let stranger = door.client();
    let path = format!("/v1/provisioning/{address}");
    stranger
        .put(&path, json!({ "body": "AAAA" }))
        .await
        .expect(401);
    send(&primary, &address, json!({ "body": "A".repeat(262_144) }))
        .await
        .expect(204);
    assert_eq!(socket.pushed().await.body.unwrap().len(), 196_608);
}

#[tokio::test]
async fn the_server_takes_its_leave_of_new_devices_too() {
    let door = Door::open().await;
    let mut socket = opening(&door).await.open().await;
    address(&mut socket).await;
    door.shutdown.token.cancel();
    assert_eq!(socket.closed().await, (1000, "Closed".to_owned()));
}
