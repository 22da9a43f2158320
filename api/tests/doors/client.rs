//! The typed client, over a real connection.

use std::sync::Arc;

use api::admission::Quota;
use api::client::{Client, Credentials, Error};
use api::http::devices::link::LinkRequest;
use api::http::messages::send::SendRequest;
use api::http::registration::register::RegisterRequest;
use api::openapi::shapes::MismatchedDevices;
use serde_json::from_value;

use crate::support::device::{Identities, link_body, message, registration};
use crate::support::{CODE, Door};

impl Door {
    /// A typed client, through a listener.
    async fn typed(&self) -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let places = Arc::clone(&Quota::unlimited());
        let serving = api::serve(listener, self.router.clone(), places, self.shutdown.clone());
        self.shutdown.tracker.spawn(serving);
        Client::new(reqwest::Client::new(), server)
    }
}

/// Registers a number, and returns the account's id.
async fn register(client: &Client, number: &str, keys: &Identities) -> String {
    let session = client.create_verification_session(number).await.unwrap();
    let id = session.body.id;
    client.request_verification_code(&id, "sms").await.unwrap();
    let session = client.submit_verification_code(&id, CODE).await.unwrap();
    assert!(session.body.verified);
    let credentials = Credentials {
        username: number.to_owned(),
        password: "password".to_owned(),
    };
    let request: RegisterRequest = from_value(registration(&id, keys)).unwrap();
    let client = client.with(credentials).once(format!("register {number}"));
    let registered = client.register_account(&request).await.unwrap();
    assert!(registered.position.is_some() && !registered.replayed);
    let again = client.register_account(&request).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.position, registered.position);
    registered.body.identity.uuid.to_string()
}

#[tokio::test]
async fn a_program_registers_links_sends_and_receives() {
    let door = Door::open().await;
    let client = door.typed().await;
    let keys = Identities::generate(1);
    let alice_id = register(&client, "+12015550131", &keys).await;
    let bob_id = register(&client, "+12015550132", &Identities::generate(2)).await;
    let device = |aci: &str, device: u8| {
        client.with(Credentials {
            username: format!("{aci}.{device}"),
            password: "password".to_owned(),
        })
    };
    let (alice, bob) = (device(&alice_id, 1), device(&bob_id, 1));
    let identity = alice.account_identity().await.unwrap().body;
    assert_eq!(identity.uuid.to_string(), alice_id);
    assert_eq!(alice.pre_key_count().await.unwrap().body.count, 0);

    let token = alice.provisioning_code().await.unwrap().body;
    let link: LinkRequest = from_value(link_body(&token.verification_code, &keys)).unwrap();
    let linked = device(&alice_id, 1).link_device(&link).await.unwrap();
    assert_eq!(linked.body.device_id.get(), 2);
    assert_eq!(alice.devices().await.unwrap().body.devices.len(), 2);

    let request: SendRequest = from_value(message(b"hi", 1)).unwrap();
    let sent = alice.send_message(&bob_id, &request).await.unwrap();
    assert!(sent.body.needs_sync);
    let refused = bob.send_message(&alice_id, &request).await.unwrap_err();
    let mismatched: MismatchedDevices = refused.body().unwrap();
    assert_eq!(mismatched.missing_devices, [2]);
    let waiting = bob.messages().await.unwrap().body.messages;
    assert_eq!(waiting.len(), 1);
    let guid = waiting[0].guid.to_string();
    bob.acknowledge_message(&guid).await.unwrap();
    assert!(bob.messages().await.unwrap().body.messages.is_empty());

    alice.remove_device(2).await.unwrap();
    assert_eq!(alice.attachment_form(5).await.unwrap().body.cdn, 3);
    let keys = alice.device_keys(&bob_id, "*").await.unwrap().body;
    assert_eq!(keys.devices.len(), 1);
    bob.delete_account().await.unwrap();
    let gone = bob.account_identity().await.err().unwrap();
    assert!(matches!(gone, Error::Refused { status, .. } if status == 401));
}
