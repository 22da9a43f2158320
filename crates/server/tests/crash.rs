//! Fifty people write to each other while the server and its Postgres are killed again and again.
//!
//! What was answered 200 must arrive, at least once and in order; no one-time pre-key may be given to two callers; and in
//! the end the read models must be what the log says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::{Account, ClientKeys, DevServer, call, heliograph, register, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

const PEOPLE: usize = 50;
const MESSAGES_EACH: usize = 100;
const SERVER_KILLS: usize = 10;
const POSTGRES_KILLS: usize = 3;
const PRE_KEYS_EACH: u32 = 20;

/// What everybody shares.
struct World {
    client: Client,
    /// Where the server is at the moment.
    base: watch::Receiver<String>,
    accepted: AtomicUsize,
    progress: Notify,
    /// (recipient, pre-key id) of every key that was handed out.
    taken: Mutex<Vec<(usize, &'static str, u64)>>,
}

impl World {
    /// Repeats a request until the server gives a final answer. Lost connections and 5xx are the kills at work.
    async fn insist(
        &self,
        method: Method,
        path: &str,
        me: &Account,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut base = self.base.clone();
        loop {
            let url = format!("{}{path}", *base.borrow_and_update());
            let user = Some((me.aci.as_str(), me.password.as_str()));
            let answer = call(&self.client, method.clone(), url, user, body.clone()).await;
            if let Ok(response) = answer
                && !response.status().is_server_error()
            {
                let status = response.status();
                if let Ok(bytes) = response.bytes().await {
                    return (
                        status,
                        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                    );
                }
            }
            // Either the server comes back elsewhere, or it was only busy.
            let _ = tokio::time::timeout(Duration::from_millis(100), base.changed()).await;
        }
    }
}

/// Messages say who sent them and the how-many-eth they are to this recipient.
fn message(from: usize, number: usize) -> Value {
    let content = BASE64_STANDARD.encode(format!("{from}:{number}"));
    json!({
        "messages": [{
            "type": 1, "destinationDeviceId": 1, "destinationRegistrationId": 4711, "content": content,
        }],
        "timestamp": 1_767_225_600_000_u64,
    })
}

async fn send_all(world: Arc<World>, people: Arc<Vec<Account>>, me: usize) {
    for turn in 0..MESSAGES_EACH {
        let to = (me + 1 + turn % 7) % PEOPLE;
        let path = format!("/v1/messages/{}", people[to].aci);
        let (status, answer) = world
            .insist(Method::PUT, &path, &people[me], Some(message(me, turn / 7)))
            .await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        world.accepted.fetch_add(1, Ordering::Relaxed);
        world.progress.notify_one();
        if turn % 10 == 0 {
            take_pre_key(&world, &people, me, to).await;
        }
    }
}

async fn take_pre_key(world: &World, people: &[Account], me: usize, to: usize) {
    let (status, bundle) = world
        .insist(
            Method::GET,
            &format!("/v2/keys/{}/1", people[to].aci),
            &people[me],
            None,
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{bundle}");
    let device = &bundle["devices"][0];
    let mut taken = world.taken.lock().unwrap();
    if let Some(id) = device["preKey"]["keyId"].as_u64() {
        taken.push((to, "ec", id));
    }
    // The last resort has id 3 and may be handed out for ever.
    if let Some(id) = device["pqPreKey"]["keyId"].as_u64().filter(|id| *id >= 100) {
        taken.push((to, "kyber", id));
    }
}

/// Fetches and acknowledges until all that was sent to `me` is there; checks the order of each sender's messages.
async fn receive_all(world: Arc<World>, people: Arc<Vec<Account>>, me: usize, expected: usize) {
    let mut seen: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut guids = BTreeSet::new();
    while seen.values().map(BTreeSet::len).sum::<usize>() < expected {
        let (status, page) = world
            .insist(Method::GET, "/v1/messages", &people[me], None)
            .await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for envelope in page["messages"].as_array().expect("a page has messages") {
            let guid = envelope["guid"]
                .as_str()
                .expect("a message has a guid")
                .to_owned();
            // Receipts have no content.
            if let Some(content) = envelope["content"].as_str()
                && guids.insert(guid.clone())
            {
                let text = String::from_utf8(BASE64_STANDARD.decode(content).unwrap()).unwrap();
                let (from, number) = text.split_once(':').unwrap();
                let (from, number): (usize, usize) =
                    (from.parse().unwrap(), number.parse().unwrap());
                let before = seen.entry(from).or_default();
                // A repeat after an answer was lost is a second message with the same number.
                if before.insert(number) {
                    assert_eq!(
                        before.len(),
                        number + 1,
                        "message {number} from {from} to {me} is out of order"
                    );
                }
            }
            let path = format!("/v1/messages/uuid/{guid}");
            let (status, _) = world.insist(Method::DELETE, &path, &people[me], None).await;
            assert_eq!(status, StatusCode::NO_CONTENT);
        }
    }
}

/// How many messages are meant for each person.
fn expected() -> Vec<usize> {
    let mut expected = vec![0; PEOPLE];
    for me in 0..PEOPLE {
        for turn in 0..MESSAGES_EACH {
            expected[(me + 1 + turn % 7) % PEOPLE] += 1;
        }
    }
    expected
}

async fn settle(client: &Client, base: &str) -> Vec<Account> {
    let mut people = Vec::new();
    for i in 0..PEOPLE {
        let keys = ClientKeys::new(i as u64);
        let number = support::next_number();
        let account = register(client, base, &number, &format!("password {i}"), Some(&keys))
            .await
            .unwrap();
        let user = Some((account.aci.as_str(), account.password.as_str()));
        let body = Some(keys.one_time(100..100 + PRE_KEYS_EACH));
        let answer = call(
            client,
            Method::PUT,
            format!("{base}/v2/keys?identity=aci"),
            user,
            body,
        )
        .await
        .unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        people.push(account);
    }
    people
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_however_often_the_processes_die() {
    let data = tempfile::tempdir().unwrap();
    let mut server = DevServer::start(data.path());
    let client = Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let people = Arc::new(settle(&client, &server.http).await);
    let (at, base) = watch::channel(server.http.clone());
    let world = Arc::new(World {
        client,
        base,
        accepted: AtomicUsize::new(0),
        progress: Notify::new(),
        taken: Mutex::default(),
    });

    let mut everybody = JoinSet::new();
    for (me, expected) in expected().into_iter().enumerate() {
        everybody.spawn(send_all(Arc::clone(&world), Arc::clone(&people), me));
        everybody.spawn(receive_all(
            Arc::clone(&world),
            Arc::clone(&people),
            me,
            expected,
        ));
    }

    let total = PEOPLE * MESSAGES_EACH;
    for kill in 0..SERVER_KILLS {
        let due = total * (kill + 1) / (SERVER_KILLS + 1);
        while world.accepted.load(Ordering::Relaxed) < due {
            tokio::select! {
                () = world.progress.notified() => {}
                Some(ended) = everybody.join_next() => ended.unwrap(),
            }
        }
        if kill % (SERVER_KILLS / POSTGRES_KILLS) == 0 {
            signal("KILL", server.postmaster());
        }
        server.kill();
        server = DevServer::start(data.path());
        at.send(server.http.clone()).unwrap();
    }

    while let Some(ended) = everybody.join_next().await {
        ended.unwrap();
    }
    let taken = world.taken.lock().unwrap();
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!(
        distinct.len(),
        taken.len(),
        "a one-time pre-key was given to two callers"
    );
    assert!(!taken.is_empty());
    let (status, output) = heliograph(data.path(), &["replay", "verify"]);
    assert!(status.success(), "{output}");
    assert!(server.interrupt().success());
}
