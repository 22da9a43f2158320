//! Several nodes on one database behind a plain TCP balancer: they deliver to each other's sockets, a device has one socket
//! over all of them, and a node that is killed or frozen costs nobody a message.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use loadgen::fleet::{Account, Fleet, Recruiting};
use loadgen::load::{Pace, Plan, Recipients, run};
use loadgen::servers::{Servers, Version};
use loadgen::socket::{Event, Socket};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::call;
use support::cluster::{Balancer, Installation, ServeNode};
use support::stream::MessageStream;
use support::wire::Wire;
use tonic::Code;

/// Nothing takes as long unless it never comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What does not wait for any time to be over takes less.
const SOON: Duration = Duration::from_secs(5);

async fn recruit(nodes: &[&ServeNode], accounts: usize) -> (Servers, Fleet) {
    let urls: Vec<_> = nodes
        .iter()
        .map(|node| format!("http://{}", node.http))
        .collect();
    let servers = Servers::new(&urls, None, Version::Http1).unwrap();
    let wanted = Recruiting {
        accounts,
        seed: 1,
        code: "123456".to_owned(),
    };
    let fleet = Fleet::recruit(&servers, &wanted).await.unwrap();
    (servers, fleet)
}

async fn next(socket: &mut Socket) -> Event {
    tokio::time::timeout(PATIENCE, socket.next())
        .await
        .expect("something comes")
}

async fn listening(servers: &Servers, node: usize, account: &Account) -> Socket {
    let mut socket = Socket::open(servers, node, account).await.unwrap();
    while !matches!(next(&mut socket).await, Event::QueueEmpty) {}
    socket
}

async fn closed(socket: &mut Socket) -> Option<u16> {
    loop {
        if let Event::Closed(code) = next(socket).await {
            return code;
        }
    }
}

/// Sends through one of the nodes; the message is its own timestamp.
async fn send(node: &ServeNode, from: &Account, to: &Account, timestamp: u64, online: bool) {
    let body = json!({
        "messages": [{
            "type": 1, "destinationDeviceId": 1, "destinationRegistrationId": 4711, "content": "aGVsbG8=",
        }],
        "timestamp": timestamp, "online": online,
    });
    let url = format!("http://{}/v1/messages/{}", node.http, to.aci);
    let credentials = Some((from.aci.as_str(), from.password.as_str()));
    let answer = call(&Client::new(), Method::PUT, url, credentials, Some(body))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

/// Takes messages until one has this timestamp, acknowledges it, and tells how many came before.
async fn accept(socket: &mut Socket, timestamp: u64) -> usize {
    let mut before = 0;
    loop {
        match next(socket).await {
            Event::Message(id, envelope) => {
                socket.acknowledge(id).await.unwrap();
                if envelope.client_timestamp == Some(timestamp) {
                    return before;
                }
                before += 1;
            }
            Event::Closed(code) => panic!("closed with {code:?}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_deliver_to_each_others_sockets_and_a_device_has_one() {
    let installation = Installation::new().await;
    let (first, second) = (installation.start(), installation.start());
    let (servers, fleet) = recruit(&[&first, &second], 2).await;
    let [alice, bob] = &fleet.accounts[..] else {
        unreachable!()
    };
    let mut on_first = listening(&servers, 0, bob).await;
    send(&second, alice, bob, 1, false).await;
    assert_eq!(accept(&mut on_first, 1).await, 0);
    // What is for now or never finds the node, too.
    send(&second, alice, bob, 2, true).await;
    assert_eq!(accept(&mut on_first, 2).await, 0);

    let mut on_second = listening(&servers, 1, bob).await;
    assert_eq!(closed(&mut on_first).await, Some(4409));
    send(&first, alice, bob, 3, false).await;
    send(&first, alice, bob, 4, true).await;
    accept(&mut on_second, 3).await;
    accept(&mut on_second, 4).await;

    // Who is gone on one node is cut off on the other.
    let url = format!("http://{}/v1/accounts/me", first.http);
    let credentials = Some((bob.aci.as_str(), bob.password.as_str()));
    let answer = call(&Client::new(), Method::DELETE, url, credentials, None).await;
    assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(closed(&mut on_second).await, Some(4401));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_sockets_on_different_nodes_displace_each_other() {
    let installation = Installation::new().await;
    let (first, second) = (installation.start(), installation.start());
    let (servers, fleet) = recruit(&[&first, &second], 2).await;
    let [alice, bob] = &fleet.accounts[..] else {
        unreachable!()
    };

    for timestamp in 1..=3 {
        send(&second, alice, bob, timestamp, false).await;
    }
    let mut stream = MessageStream::open(&first, bob).await;
    let mut taken = Vec::new();
    for timestamp in 1..=3 {
        taken.push(stream.message().await);
        assert_eq!(taken.last().unwrap().client_timestamp, Some(timestamp));
    }
    // What was acknowledged before the client heard of its successor is on its way for a while.
    let mut socket = Socket::open(&servers, 1, bob).await.unwrap();
    assert_eq!(stream.ended().await, Code::Aborted);
    stream.acknowledge(&taken[0]);
    stream.acknowledge(&taken[1]);
    stream.half_close();
    assert_eq!(accept(&mut socket, 3).await, 0);
    assert!(matches!(next(&mut socket).await, Event::QueueEmpty));

    let mut stream = MessageStream::open(&first, bob).await;
    stream.queue_empty().await;
    assert_eq!(closed(&mut socket).await, Some(4409));
    let mut successor = MessageStream::open(&second, bob).await;
    assert_eq!(stream.ended().await, Code::Aborted);
    successor.queue_empty().await;
    send(&first, alice, bob, 4, false).await;
    let message = successor.message().await;
    assert_eq!(message.client_timestamp, Some(4));
}

/// Waits until so many nodes hold the lifelines by which those who bring something to a meeting see that they live.
async fn living(installation: &Installation, nodes: usize) {
    let pool = &installation.database.pool;
    let reached = async {
        while locks::lifelines(pool).await.unwrap().len() != nodes {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, reached)
        .await
        .expect("Postgres sees soon who lives and who does not");
}

/// At how many places something waits for somebody.
async fn meetings(installation: &Installation) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM live.meetings WHERE thing IS NOT NULL")
        .fetch_one(&installation.database.pool)
        .await
        .unwrap()
}

/// Who has the leases, by process.
async fn holders(installation: &Installation) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT DISTINCT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND classid = 1214606441 AND datname = current_database()",
    )
    .fetch_all(&installation.database.pool)
    .await
    .unwrap()
}

/// Waits until the leases are with others than this process, and everybody has come past what is stored now.
async fn taken_over(installation: &Installation, from: u32) {
    let name = format!("heliograph-{from}");
    let head: i64 = sqlx::query_scalar("SELECT position FROM log.head")
        .fetch_one(&installation.database.pool)
        .await
        .unwrap();
    let over = async {
        loop {
            let holders = holders(installation).await;
            let behind: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM projection.checkpoints WHERE position < $1",
            )
            .bind(head)
            .fetch_one(&installation.database.pool)
            .await
            .unwrap();
            if !holders.is_empty() && !holders.contains(&name) && behind == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, over)
        .await
        .expect("leases move");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_frozen_nodes_cost_nobody_a_message() {
    let installation = Installation::new().await;
    let (first, second) = (installation.start(), installation.start());
    let (_, fleet) = recruit(&[&first, &second], 16).await;
    let balancer = Balancer::start(&[first.http, second.http]).await;
    let servers = Servers::new(
        &[format!("http://{}", balancer.address)],
        None,
        Version::Http1,
    )
    .unwrap();
    let plan = Plan {
        pace: Pace::Open { rate: 40.0 },
        time: Duration::from_secs(20),
        grace: PATIENCE,
        size: 200,
        peers: 4,
        recipients: Recipients::Connected,
        patience: Duration::from_secs(4),
        run: 1,
        pids: Vec::new(),
    };
    let trouble = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let killed = first.pid();
        first.kill();
        taken_over(&installation, killed).await;
        let third = installation.start();
        balancer.set(&[second.http, third.http]);
        // It keeps its connections, its leases and whatever it was about to do; its clients go elsewhere.
        let frozen = second.pid();
        second.freeze();
        balancer.set(&[third.http]);
        taken_over(&installation, frozen).await;
        second.thaw();
        balancer.set(&[second.http, third.http]);
        (second, third)
    };
    let (report, nodes) = tokio::join!(run(servers, fleet, &plan), trouble);
    let report = report.unwrap();
    println!("{report}");
    assert!(report.is_sound(), "{report}");
    assert!(report.disconnected > 0 && report.refused == 0, "{report}");
    let (status, output) = verify(&installation);
    assert!(status, "{output}");
    drop(nodes);
}

/// The read models are what the log says, whoever wrote them.
fn verify(installation: &Installation) -> (bool, String) {
    let output = std::process::Command::new(support::HELIOGRAPH)
        .args(["replay", "verify", "--data-dir"])
        .arg(installation.folder())
        .env("DATABASE_URL", installation.database.url())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_had_not_delivered_comes_from_another() {
    let installation = Installation::new().await;
    let (first, second) = (installation.start(), installation.start());
    let (servers, fleet) = recruit(&[&first, &second], 2).await;
    let [alice, bob] = &fleet.accounts[..] else {
        unreachable!()
    };
    let mut socket = listening(&servers, 0, bob).await;
    for timestamp in 1..=20 {
        send(&second, alice, bob, timestamp, false).await;
    }
    for timestamp in 1..=10 {
        accept(&mut socket, timestamp).await;
    }
    first.kill();
    assert_eq!(closed(&mut socket).await, None);
    let mut socket = Socket::open(&servers, 1, bob).await.unwrap();
    // At least the ten that were not acknowledged, in order.
    let mut last = 0;
    loop {
        match next(&mut socket).await {
            Event::Message(id, envelope) => {
                socket.acknowledge(id).await.unwrap();
                let timestamp = envelope.client_timestamp.unwrap();
                assert!(
                    timestamp == last + 1 || last == 0 && timestamp <= 11,
                    "{timestamp} after {last}"
                );
                last = timestamp;
            }
            Event::QueueEmpty => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(last, 20);
    let whoami = format!("http://{}/v1/accounts/whoami", second.http);
    let credentials = Some((bob.aci.as_str(), bob.password.as_str()));
    let answer = call(&Client::new(), Method::GET, whoami, credentials, None).await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(answer["uuid"], bob.aci.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_on_one_node_does_not_come_again_on_another() {
    let installation = Installation::new().await;
    let nodes = [installation.start(), installation.start()];
    let (servers, fleet) = recruit(&[&nodes[0], &nodes[1]], 2).await;
    let [alice, bob] = &fleet.accounts[..] else {
        unreachable!()
    };
    for round in 0..10 {
        let timestamps = round * 10 + 1..=round * 10 + 10;
        let node = usize::try_from(round % 2).unwrap();
        for timestamp in timestamps.clone() {
            send(&nodes[node], alice, bob, timestamp, false).await;
        }
        // The last socket was on the other node, and has left the moment it had acknowledged everything.
        let mut socket = Socket::open(&servers, node, bob).await.unwrap();
        for timestamp in timestamps {
            assert_eq!(accept(&mut socket, timestamp).await, 0, "round {round}");
        }
        socket.leave().await;
    }
}

/// Asks a node, on behalf of somebody.
async fn ask(
    node: &ServeNode,
    method: Method,
    path: &str,
    credentials: (&str, &str),
    body: Option<Value>,
) -> (StatusCode, Value) {
    let url = format!("http://{}{path}", node.http);
    let client = Client::new();
    let answer = call(&client, method, url, Some(credentials), body);
    let answer = answer.await.unwrap();
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

const PROVISIONING: &str = "/v1/websocket/provisioning/";

/// A new device that waits on a node, and the path by which it is written to.
async fn newcomer(node: &ServeNode) -> (Wire, String) {
    let mut newcomer = Wire::open(node, PROVISIONING, None, &[]).await;
    let told = newcomer.next().await.unwrap();
    newcomer.answer(&told).await;
    assert_eq!(told.path.as_deref(), Some("/v1/address"));
    let address = told.body.unwrap().split_off(2); // behind the tag and the length
    let address = std::str::from_utf8(&address).unwrap();
    (newcomer, format!("/v1/provisioning/{address}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_dies_with_the_node_on_which_it_was_waited_at() {
    let installation = Installation::new().await;
    let (first, second) = (installation.start(), installation.start());
    let (_, fleet) = recruit(&[&first, &second], 1).await;
    let Account { aci, password, .. } = &fleet.accounts[0];
    let primary = (aci.as_str(), password.as_str());
    let body = json!({ "body": "aGVsbG8=" });
    living(&installation, 2).await;
    let (mut lost, to_lost) = newcomer(&first).await;
    let (mut alive, to_alive) = newcomer(&second).await;
    first.kill();
    assert_eq!(lost.closed().await, None);
    living(&installation, 1).await;
    let sent = ask(&second, Method::PUT, &to_lost, primary, Some(body.clone())).await;
    assert_eq!(sent.0, StatusCode::NOT_FOUND);
    let sent = ask(&second, Method::PUT, &to_alive, primary, Some(body)).await;
    assert_eq!(sent.0, StatusCode::NO_CONTENT);
    assert_eq!(
        alive.next().await.unwrap().body.as_deref(),
        Some(&b"hello"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_joins_on_one_node_and_is_cut_off_on_all() {
    let installation = Installation::new().await;
    let (first, second) = (installation.start(), installation.start());
    let (_, fleet) = recruit(&[&first, &second], 1).await;
    let Account { aci, password, .. } = &fleet.accounts[0];
    let primary = (aci.as_str(), password.as_str());

    // The new device waits on one node, the primary speaks to the other.
    let (mut newcomer, path) = newcomer(&second).await;
    let body = json!({ "body": "aGVsbG8=" });
    let sent = ask(&first, Method::PUT, &path, primary, Some(body.clone())).await;
    assert_eq!(sent.0, StatusCode::NO_CONTENT);
    let message = newcomer.next().await.unwrap();
    assert_eq!(message.body.as_deref(), Some(&b"hello"[..]));
    newcomer.answer(&message).await;
    assert_eq!(newcomer.closed().await, Some(1000));
    let late = ask(&first, Method::PUT, &path, primary, Some(body)).await;
    assert_eq!(late.0, StatusCode::NOT_FOUND);

    let code = "/v1/devices/provisioning/code";
    let (_, code) = ask(&first, Method::GET, code, primary, None).await;
    let identifier = code["tokenIdentifier"].as_str().unwrap();
    let waiting = format!("/v1/devices/wait_for_linked_device/{identifier}?timeout=60");
    // Whoever waits last waits alone, wherever the others wait.
    let before = meetings(&installation).await;
    let later = async {
        while meetings(&installation).await == before {
            tokio::task::yield_now().await;
        }
        ask(&second, Method::GET, &waiting, primary, None).await
    };
    let joining = json!({
        "verificationCode": code["verificationCode"],
        "accountAttributes": { "fetchesMessages": true, "registrationId": 5 },
    });
    let joining = async {
        let (displaced, _) = ask(&first, Method::GET, &waiting, primary, None).await;
        assert_eq!(displaced, StatusCode::NO_CONTENT);
        let tablet = (aci.as_str(), "tablet");
        ask(
            &first,
            Method::PUT,
            "/v1/devices/link",
            tablet,
            Some(joining),
        )
        .await
    };
    let ((found, device), (joined, _)) = tokio::join!(later, joining);
    assert_eq!((found, joined), (StatusCode::OK, StatusCode::OK));
    assert_eq!(
        (&device["id"], &device["registrationId"]),
        (&json!(2), &json!(5))
    );

    // One socket for messages and one for requests only, on different nodes; both end within a second.
    let user = format!("{aci}.2");
    let tablet = Some((user.as_str(), "tablet"));
    let messages = "/v1/websocket/";
    let requests_only = &[("x-signal-disable-messages", "true")];
    let mut here = Wire::open(&first, messages, tablet, requests_only).await;
    let mut there = Wire::open(&second, messages, tablet, &[]).await;
    while there.next().await.unwrap().path.as_deref() != Some("/api/v1/queue/empty") {}
    let removed = ask(&first, Method::DELETE, "/v1/devices/2", primary, None).await;
    assert_eq!(removed.0, StatusCode::NO_CONTENT);
    let cut_off = async { tokio::join!(here.closed(), there.closed()) };
    let codes = tokio::time::timeout(Duration::from_secs(1), cut_off).await;
    assert_eq!(codes.expect("within a second"), (Some(4401), Some(4401)));
}
