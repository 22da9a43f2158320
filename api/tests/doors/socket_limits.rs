//! Who gets no WebSocket, and what the answer to an upgrade says beside.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Config;
use api::config::{Platform, Version};
use http::{HeaderMap, StatusCode};

use crate::support::Door;
use crate::support::socket::Opening;

async fn refusal(opening: &Opening) -> (StatusCode, HeaderMap) {
    let (status, headers) = opening.try_open().await.err().expect("it is refused");
    assert!(headers.contains_key("x-signal-timestamp"));
    (status, headers)
}

#[tokio::test]
async fn when_the_house_is_full_who_is_in_goes_on() {
    let config = Config {
        sockets: 2,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let opening = door.listen().await;
    let mut first = opening.clone().by(&bob).open().await;
    first.queue_empty().await;
    let second = opening.open().await;
    for opening in [opening.clone().by(&alice), opening.clone().over_http2()] {
        for _ in 0..20 {
            let (status, headers) = refusal(&opening).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(headers["retry-after"], "30");
        }
    }
    alice.send(&bob.aci, b"x", 1).await.expect(200);
    assert_eq!(first.accept().await, 1);
    second.leave().await;
    let free = async {
        while opening.try_open().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), free)
        .await
        .expect("a place is free again");
}

#[tokio::test]
async fn neither_an_address_nor_an_account_takes_all_places() {
    let config = Config {
        sockets_per_address: 4,
        sockets_per_account: 2,
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let (alice, bob) = (
        door.register("+12015550123").await,
        door.register("+12015550124").await,
    );
    let opening = door.listen().await;
    let requests_only = opening
        .clone()
        .by(&alice)
        .with("x-signal-disable-messages", "true");
    let mut open = vec![requests_only.open().await, requests_only.open().await];
    let (status, headers) = refusal(&requests_only).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "30");
    open.push(opening.clone().by(&bob).open().await);
    open.push(opening.open().await);
    assert_eq!(refusal(&opening).await.0, StatusCode::TOO_MANY_REQUESTS);
    for socket in &mut open {
        let answer = socket.request("GET", "/v1/keepalive", None).await;
        assert_eq!(answer.status, Some(200));
    }
}

#[tokio::test]
async fn a_linked_device_hears_that_its_primary_is_not_seen() {
    let door = Door::open().await;
    let alice = door.register("+12015550123").await;
    let tablet = door.link(&alice, "tablet").await;
    let opening = door.listen().await;
    let alert =
        |socket: &crate::support::socket::Socket| socket.headers.get("x-signal-alert").cloned();
    let socket = opening.clone().by(&tablet).open().await;
    assert_eq!(alert(&socket), None);
    door.clock.advance(Duration::from_hours(30 * 24));
    for opening in [
        opening.clone().by(&tablet),
        opening.clone().by(&tablet).over_http2(),
    ] {
        let socket = opening.open().await;
        assert_eq!(alert(&socket).unwrap(), "idle-primary-device");
    }
    let socket = opening.by(&alice).open().await;
    assert_eq!(alert(&socket), None, "the primary knows");
}

#[tokio::test]
async fn clients_that_are_too_old_are_told_so() {
    let config = Config {
        oldest_clients: BTreeMap::from([(Platform::Desktop, Version(7, 80, 1))]),
        ..Config::default()
    };
    let door = Door::open_with(config).await;
    let opening = door.listen().await;
    let old = "Signal-Desktop/7.80.0 Linux";
    for opening in [
        opening.clone().with("user-agent", old),
        opening.clone().with("user-agent", old).over_http2(),
    ] {
        assert_eq!(refusal(&opening).await.0.as_u16(), 499);
    }
    let asking = |agent: &'static str| door.client().with("user-agent", agent);
    let path = "/v1/accounts/account/00000000-0000-4000-8000-000000000000";
    assert_eq!(
        asking(old).send("HEAD", path, None).await.status.as_u16(),
        499
    );
    for agent in ["Signal-Desktop/7.80.1", "Signal-iOS/1.0.0", "curl/8.5.0"] {
        assert_eq!(asking(agent).send("HEAD", path, None).await.status, 404);
        opening.clone().with("user-agent", agent).open().await;
    }
}
