//! Several nodes on one Postgres.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::ids::DeviceAddress;
use events::{Aci, DeviceId, Generation};
use live::{Connected, Handle, Incoming, Node, Options, Timing};
use testkit::postgres::TestDatabase;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Nothing takes as long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

const TIMING: Timing = Timing {
    beat: Duration::from_millis(100),
    absent: Duration::from_secs(20),
    dead: Duration::from_mins(1),
};

/// A running node.
struct Running {
    handle: Handle,
    heard: UnboundedReceiver<Incoming>,
    kept: Vec<Incoming>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(database: &TestDatabase, name: u8, timing: Timing) -> Self {
        let (sender, heard) = unbounded_channel();
        let (node, handle) = Node::new(Options {
            database: database.pool.clone(),
            node: Uuid::from_bytes([name; 16]),
            timing,
            deliver: Arc::new(move |incoming| drop(sender.send(incoming))),
        });
        let shutdown = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let task = tokio::spawn(node.run(shutdown.clone()));
        Self {
            handle,
            heard,
            kept: Vec::new(),
            shutdown,
            task,
        }
    }

    async fn next(&mut self) -> Incoming {
        tokio::time::timeout(PATIENCE, self.heard.recv())
            .await
            .expect("something comes")
            .unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn device(n: u8, generation: u32) -> DeviceAddress {
    DeviceAddress {
        aci: Aci::from_random([n; 16]),
        device: DeviceId::PRIMARY,
        generation: Generation(generation),
    }
}

async fn until(database: &TestDatabase, connected: &[DeviceAddress], expected: usize) {
    let asked = Connected::new(database.pool.clone(), TIMING.absent);
    let reached = async {
        while asked.among(connected).await.unwrap().len() != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached)
        .await
        .expect("they come and go");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_connects_elsewhere_is_displaced_where_it_was() {
    let database = TestDatabase::create().await;
    let mut first = Running::start(&database, 1, TIMING);
    let mut second = Running::start(&database, 2, TIMING);
    first.handle.claim(device(1, 1), 7);
    until(&database, &[device(1, 1)], 1).await;
    second.handle.claim(device(1, 1), 9);
    let displaced = Incoming::Displaced {
        by: device(1, 1),
        socket: 7,
    };
    assert_eq!(first.next().await, displaced);
    // A late farewell of the displaced socket takes nothing from its successor.
    first.handle.release(device(1, 1), 7);
    first.handle.claim(device(1, 2), 8);
    let displaced = Incoming::Displaced {
        by: device(1, 2),
        socket: 9,
    };
    assert_eq!(second.next().await, displaced);
    until(&database, &[device(1, 1), device(1, 2)], 1).await;
    first.stop().await;
    until(&database, &[device(1, 1), device(1, 2)], 0).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_learns_when_the_one_that_it_displaced_elsewhere_has_settled() {
    let database = TestDatabase::create().await;
    let mut first = Running::start(&database, 1, TIMING);
    let second = Running::start(&database, 2, TIMING);
    let soon = async |settled| tokio::time::timeout(PATIENCE, settled).await.is_ok();
    assert!(
        soon(first.handle.claim(device(1, 1), 7)).await,
        "it was nobody's"
    );
    assert!(
        soon(first.handle.claim(device(1, 1), 8)).await,
        "it was our own"
    );
    let mut settled = second.handle.claim(device(1, 1), 9);
    let displaced = Incoming::Displaced {
        by: device(1, 1),
        socket: 8,
    };
    assert_eq!(first.next().await, displaced);
    assert_eq!(settled.try_recv(), Err(TryRecvError::Empty));
    first.handle.settled(device(1, 1));
    assert!(soon(settled).await);
    // Whoever is displaced in turn, or leaves, waits for nobody.
    let waiting = first.handle.claim(device(1, 1), 10);
    let displacing = first.handle.claim(device(1, 1), 11);
    assert!(soon(waiting).await);
    first.handle.release(device(1, 1), 11);
    assert!(soon(displacing).await);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_reach_the_node_of_their_device_in_order() {
    let database = TestDatabase::create().await;
    let mut first = Running::start(&database, 1, TIMING);
    let second = Running::start(&database, 2, TIMING);
    first.handle.claim(device(1, 1), 7);
    until(&database, &[device(1, 1)], 1).await;
    second
        .handle
        .forward(device(2, 1), Bytes::from_static(b"to nobody"));
    second
        .handle
        .forward(device(1, 2), Bytes::from_static(b"to a later life"));
    let large = Bytes::from(vec![7; 200_000]);
    for n in 0..100_u8 {
        second.handle.forward(device(1, 1), Bytes::from(vec![n]));
    }
    second.handle.forward(device(1, 1), large.clone());
    let expected = (0..100_u8).map(|n| Bytes::from(vec![n])).chain([large]);
    for envelope in expected {
        let address = device(1, 1);
        assert_eq!(
            first.next().await,
            Incoming::Ephemeral { address, envelope }
        );
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_sockets_of_a_device_one_stays_and_every_other_hears() {
    const NODES: u8 = 3;
    const ROUNDS: u64 = 40;
    let database = TestDatabase::create().await;
    let mut nodes: Vec<_> = (1..=NODES)
        .map(|name| Running::start(&database, name, TIMING))
        .collect();
    // Each node opens a socket for each of two devices again and again, all at once.
    for socket in 0..ROUNDS {
        for (n, node) in nodes.iter().enumerate() {
            node.handle.claim(device(1, 1), socket * 2);
            if n % 2 == 0 {
                node.handle.claim(device(2, 1), socket * 2 + 1);
            }
            tokio::task::yield_now().await;
        }
    }
    // Whoever holds a device in the end holds it with its last socket; every other node was told to let it go.
    for (wanted, last) in [
        (device(1, 1), 2 * (ROUNDS - 1)),
        (device(2, 1), 2 * ROUNDS - 1),
    ] {
        let lost = Incoming::Displaced {
            by: wanted,
            socket: last,
        };
        let claimants = || (0..usize::from(NODES)).filter(|n| wanted == device(1, 1) || n % 2 == 0);
        let settled = async {
            loop {
                let mut keeping = Vec::new();
                for n in claimants() {
                    let node = &mut nodes[n];
                    while let Ok(heard) = node.heard.try_recv() {
                        node.kept.push(heard);
                    }
                    if !node.kept.contains(&lost) {
                        keeping.push(Uuid::from_bytes([u8::try_from(n + 1).unwrap(); 16]));
                    }
                }
                assert!(!keeping.is_empty(), "all were told to let go");
                if let [name] = keeping[..]
                    && holds(&database, wanted, name, last).await
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, settled)
            .await
            .expect("one holds it, the others have heard");
    }
    for node in nodes {
        node.stop().await;
    }
}

async fn holds(database: &TestDatabase, device: DeviceAddress, node: Uuid, socket: u64) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM live.sockets WHERE aci = $1 AND node = $2 AND socket = $3)",
    )
    .bind(device.aci.uuid())
    .bind(node)
    .bind(i64::try_from(socket).unwrap())
    .fetch_one(&database.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_forgets_is_said_again() {
    let database = TestDatabase::create().await;
    let mut first = Running::start(&database, 1, TIMING);
    let second = Running::start(&database, 2, TIMING);
    for n in 1..=2 {
        first.handle.claim(device(n, 1), n.into());
    }
    until(&database, &[device(1, 1), device(2, 1)], 2).await;
    // What a crash leaves of unlogged tables, and a device that comes back faster than its node.
    let mut transaction = database.pool.begin().await.unwrap();
    sqlx::raw_sql(
        "TRUNCATE live.nodes, live.sockets, live.parcels; INSERT INTO live.nodes VALUES (gen_random_uuid())",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    sqlx::query("INSERT INTO live.sockets SELECT $1, 1, 1, node, 99 FROM live.nodes")
        .bind(device(2, 1).aci.uuid())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let displaced = Incoming::Displaced {
        by: device(2, 1),
        socket: 2,
    };
    assert_eq!(first.next().await, displaced);
    until(&database, &[device(1, 1), device(2, 1)], 2).await;
    first.stop().await;
    until(&database, &[device(1, 1), device(2, 1)], 1).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_devices_of_a_silent_node_are_not_connected() {
    let database = TestDatabase::create().await;
    let short = Timing {
        absent: Duration::from_millis(300),
        dead: Duration::from_millis(600),
        ..TIMING
    };
    let first = Running::start(&database, 1, TIMING);
    first.handle.claim(device(1, 1), 1);
    until(&database, &[device(1, 1)], 1).await;
    first.task.abort(); // like SIGKILL: it says nothing any more
    let asked = Connected::new(database.pool.clone(), short.absent);
    let mut second = Running::start(&database, 2, short);
    let gone = async {
        while !asked.among(&[device(1, 1)]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let left = "SELECT (SELECT count(*) FROM live.sockets) + (SELECT count(*) FROM live.nodes)";
        while sqlx::query_scalar::<_, i64>(left)
            .fetch_one(&database.pool)
            .await
            .unwrap()
            != 1
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("it is found out");
    // Whoever wakes devices that left has to hear of it, too.
    assert_eq!(second.next().await, Incoming::Orphaned(device(1, 1)));
    second.stop().await;
}
