//! `/v1/accounts/username_hash` and `/v1/accounts/username_link`.

use std::time::Duration;

use api::Config;
use api::config::DialectSwitch;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD, Engine as _};
use crypto::username::Username;
use events::ports::Entropy;
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::environment::SeededEntropy;

use crate::support::{Client, Device, Door, Reply};

const HASH: &str = "/v1/accounts/username_hash";
const LINK: &str = "/v1/accounts/username_link";

fn username(name: &str) -> Username {
    format!("{name}.01").parse().unwrap()
}

/// The hash of a name, as clients write it.
pub(crate) fn hash(name: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(username(name).hash())
}

pub(crate) fn proof(name: &str) -> String {
    let entropy: &dyn Entropy = &SeededEntropy::new(1);
    BASE64_URL_SAFE_NO_PAD.encode(username(name).prove(&mut entropy.rng()))
}

pub(crate) async fn reserve(client: &Client, names: &[&str]) -> Reply {
    let hashes: Vec<_> = names.iter().copied().map(hash).collect();
    let body = json!({ "usernameHashes": hashes });
    client.put(&format!("{HASH}/reserve"), body).await
}

fn confirmation(name: &str) -> Value {
    json!({
        "usernameHash": hash(name),
        "zkProof": proof(name),
        "encryptedUsername": "AAEC_w",
    })
}

pub(crate) async fn confirm(client: &Client, name: &str) -> Reply {
    client
        .put(&format!("{HASH}/confirm"), confirmation(name))
        .await
}

/// Takes a username; tells where the link to it stands.
async fn take(device: &Device, name: &str) -> String {
    reserve(&device.client, &[name]).await.expect(200);
    let confirmed = confirm(&device.client, name).await.expect(200);
    confirmed["usernameLinkHandle"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_username_is_reserved_confirmed_found_and_given_up() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let reserved = reserve(&alice.client, &["jimio", "spare"]).await;
    assert_eq!(
        reserved.expect(200),
        json!({ "usernameHash": hash("jimio") })
    );
    let confirmed = confirm(&alice.client, "jimio").await;
    assert!(confirmed.position().is_some());
    let confirmed = confirmed.expect(200);
    assert_eq!(confirmed["usernameHash"], hash("jimio"));
    let whoami = alice.client.get("/v1/accounts/whoami").await.expect(200);
    for property in ["usernameHash", "usernameLinkHandle"] {
        assert_eq!(whoami[property], confirmed[property]);
    }
    let found = door
        .client()
        .get(&format!("{HASH}/{}", hash("jimio")))
        .await;
    assert_eq!(found.expect(200), json!({ "uuid": alice.aci }));
    let link = format!(
        "{LINK}/{}",
        confirmed["usernameLinkHandle"].as_str().unwrap()
    );
    let behind = json!({ "usernameLinkEncryptedValue": "AAEC_w", "keepLinkHandle": false });
    assert_eq!(door.client().get(&link).await.expect(200), behind);
    alice.client.get(&link).await.expect(400);

    let deleted = alice.client.delete(HASH).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    alice.client.delete(HASH).await.expect(204);
    door.client()
        .get(&format!("{HASH}/{}", hash("jimio")))
        .await
        .expect(404);
    door.client().get(&link).await.expect(404);
    let bob = door.register("+12015550124").await;
    reserve(&bob.client, &["jimio"]).await.expect(409);
    door.clock.advance(Duration::from_hours(7 * 24));
    reserve(&bob.client, &["jimio"]).await.expect(200);
}

#[tokio::test]
async fn a_link_can_be_set_anew_kept_and_deleted() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let set = async |keep| {
        let body = json!({ "usernameLinkEncryptedValue": "BBBB", "keepLinkHandle": keep });
        alice.client.put(LINK, body).await
    };
    set(true).await.expect(409);
    let first = take(&alice, "jimio").await;
    let kept = set(true).await.expect(200);
    assert_eq!(kept["usernameLinkHandle"], first);
    let moved = set(false).await.expect(200);
    let moved = moved["usernameLinkHandle"].as_str().unwrap().to_owned();
    assert_ne!(moved, first);
    let at = async |handle: &str| door.client().get(&format!("{LINK}/{handle}")).await;
    at(&first).await.expect(404);
    assert_eq!(
        at(&moved).await.expect(200)["usernameLinkEncryptedValue"],
        "BBBB"
    );
    at("no-uuid").await.expect(404);
    alice.client.delete(LINK).await.expect(204);
    alice.client.delete(LINK).await.expect(204);
    at(&moved).await.expect(404);
    for wrong in [json!({}), json!({ "usernameLinkEncryptedValue": "" })] {
        alice.client.put(LINK, wrong).await.expect(422);
    }
    let long = BASE64_URL_SAFE.encode([1; 129]);
    let body = json!({ "usernameLinkEncryptedValue": long });
    alice.client.put(LINK, body).await.expect(422);
}

#[tokio::test]
async fn confirming_takes_a_reservation_and_a_true_proof() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    confirm(&alice.client, "jimio").await.expect(409);
    reserve(&alice.client, &["jimio"]).await.expect(200);
    confirm(&alice.client, "other").await.expect(409);
    let mut forged = confirmation("jimio");
    forged["zkProof"] = json!(proof("other"));
    let path = format!("{HASH}/confirm");
    alice.client.put(&path, forged).await.expect(422);
    for missing in ["usernameHash", "zkProof"] {
        let mut body = confirmation("jimio");
        body[missing] = Value::Null;
        alice.client.put(&path, body).await.expect(422);
    }
    let mut without_link = confirmation("jimio");
    without_link["encryptedUsername"] = Value::Null;
    let confirmed = alice.client.put(&path, without_link).await.expect(200);
    assert_eq!(confirmed["usernameLinkHandle"], Value::Null);

    let bob = door.register("+12015550124").await;
    reserve(&bob.client, &["bobby"]).await.expect(200);
    door.clock.advance(Duration::from_mins(6));
    reserve(&alice.client, &["bobby"]).await.expect(200);
    confirm(&bob.client, "bobby").await.expect(410);
    for wrong in [
        json!({}),
        json!({ "usernameHashes": [] }),
        json!({ "usernameHashes": ["AAAA"] }),
    ] {
        let reserve = format!("{HASH}/reserve");
        alice.client.put(&reserve, wrong).await.expect(422);
    }
    let many: Vec<_> = (0..21).map(|_| hash("jimio")).collect();
    let body = json!({ "usernameHashes": many });
    alice
        .client
        .put(&format!("{HASH}/reserve"), body)
        .await
        .expect(422);
}

#[tokio::test]
async fn in_the_published_contract_a_username_is_claimed_at_its_own_path() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let bob = door.register("+12015550124").await;
    let claim = async |device: &Device, name| {
        let path = format!("{HASH}/{}", hash(name));
        device.client.put(&path, confirmation(name)).await
    };
    let claimed = claim(&alice, "jimio").await.expect(200);
    assert_eq!(claimed["usernameHash"], hash("jimio"));
    claim(&bob, "jimio").await.expect(409);
    reserve(&bob.client, &["bobby"]).await.expect(200);
    door.clock.advance(Duration::from_mins(6));
    claim(&bob, "bobby").await.expect(410);
    let path = format!("{HASH}/{}", hash("third"));
    bob.client
        .put(&path, confirmation("other"))
        .await
        .expect(422);
    bob.client
        .put(&format!("{HASH}/short"), confirmation("third"))
        .await
        .expect(422);
}

#[tokio::test]
async fn whether_who_looks_up_may_say_who_they_are_is_for_the_switch() {
    for (dialect, status) in [
        (DialectSwitch::ByContent, 200),
        (DialectSwitch::Deployed, 400),
    ] {
        let config = Config {
            dialect,
            ..Config::default()
        };
        let door = Door::open_with(config).await;
        let alice = door.register("+12015550123").await;
        take(&alice, "jimio").await;
        let path = format!("{HASH}/{}", hash("jimio"));
        alice.client.get(&path).await.expect(status);
        door.client().get(&path).await.expect(200);
        door.client().get(&format!("{HASH}/x!")).await.expect(422);
    }
}

#[tokio::test]
async fn after_another_registration_the_link_leads_nowhere_until_the_username_is_confirmed_again() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let handle = take(&alice, "jimio").await;
    let again = door.register("+12015550123").await;
    let whoami = again.client.get("/v1/accounts/whoami").await.expect(200);
    assert_eq!(whoami["usernameHash"], Value::Null);
    let link = format!("{LINK}/{handle}");
    door.client().get(&link).await.expect(404);
    let confirmed = confirm(&again.client, "jimio").await.expect(200);
    assert_eq!(confirmed["usernameLinkHandle"], handle);
    door.client().get(&link).await.expect(200);
}

#[tokio::test]
async fn of_many_who_want_a_username_at_once_one_gets_it() {
    let door = Door::open().await;
    let mut people = Vec::new();
    for n in 0..10 {
        people.push(door.register(&format!("+1201555{:04}", 200 + n)).await);
    }
    let attempts = people.iter().map(|device| async {
        let reserved = reserve(&device.client, &["jimio"]).await.status == 200;
        let confirmed = confirm(&device.client, "jimio").await;
        assert!(reserved || confirmed.status == 409);
        (device.aci.clone(), confirmed.status.as_u16())
    });
    let outcomes = join_all(attempts).await;
    let winners: Vec<_> = outcomes
        .iter()
        .filter(|(_, status)| *status == 200)
        .collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let found = door
        .client()
        .get(&format!("{HASH}/{}", hash("jimio")))
        .await;
    assert_eq!(found.expect(200)["uuid"], winners[0].0);
}
