//! One rule, many doors: the same operations over REST, a WebSocket and gRPC come to the same.

mod by_grpc;
mod by_json;
mod mail;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::device::REGISTRATION_ID;
use crate::support::socket::Socket;
use crate::support::{Device, Door};

/// Something that Alice, who has one device, does with Bob, who has two.
#[derive(Clone, Debug)]
enum Operation {
    /// To Bob or to nobody; to these devices, which are known by the right registration id or by another.
    Send {
        known: bool,
        devices: Vec<u32>,
        current: bool,
        content: u8,
    },
    /// The same, without saying who sends.
    Seal {
        known: bool,
        devices: Vec<u32>,
        current: bool,
        right_key: bool,
        content: u8,
    },
    /// Takes keys of a device of Bob's, or of all.
    Take { known: bool, device: Option<u32> },
    /// Bob's first device uploads so many keys.
    Upload(u8),
    /// Bob's first device counts its keys.
    Count,
    /// Somebody asks whether there is such an account.
    Exists { known: bool },
    /// Bob looks at his devices.
    List,
    /// One of Bob's devices removes one.
    Remove { by_primary: bool, target: u32 },
}

fn operation() -> impl Strategy<Value = Operation> {
    let devices = || {
        prop_oneof![
            3 => Just(vec![1, 2]),
            1 => Just(vec![1]),
            1 => Just(vec![1, 2, 3]),
            1 => Just(vec![2, 5]),
        ]
    };
    let mostly = || proptest::bool::weighted(0.8);
    prop_oneof![
        4 => (mostly(), devices(), mostly(), any::<u8>())
            .prop_map(|(known, devices, current, content)| Operation::Send { known, devices, current, content }),
        3 => (mostly(), devices(), mostly(), mostly(), any::<u8>())
            .prop_map(|(known, devices, current, right_key, content)| Operation::Seal { known, devices, current, right_key, content }),
        3 => (mostly(), proptest::option::of(1_u32..4))
            .prop_map(|(known, device)| Operation::Take { known, device }),
        2 => (1_u8..4).prop_map(Operation::Upload),
        2 => Just(Operation::Count),
        1 => any::<bool>().prop_map(|known| Operation::Exists { known }),
        1 => Just(Operation::List),
        1 => (any::<bool>(), 1_u32..4)
            .prop_map(|(by_primary, target)| Operation::Remove { by_primary, target }),
    ]
}

/// What somebody saw, in the words of none of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Done,
    Is(bool),
    Counts(u64, u64),
    Devices(Vec<u64>),
    /// By device: the one-time key and the Kyber key.
    Keys(BTreeMap<u64, (Option<u64>, Option<u64>)>),
    Mismatched {
        missing: Vec<u64>,
        extra: Vec<u64>,
    },
    Stale(Vec<u64>),
    Unknown,
    Unauthorized,
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Rest,
    WebSocket,
    Grpc,
}

/// Two people who meet nobody else.
struct Scene<'a> {
    door: &'a Door,
    alice: Device,
    bob: Device,
    tablet: Device,
    /// Of Alice, of Bob's two devices and of nobody, if they use sockets.
    sockets: Option<[Socket; 4]>,
}

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    Alice,
    Bob,
    Tablet,
    Nobody,
}

fn registration_id(current: bool) -> u64 {
    REGISTRATION_ID + u64::from(!current)
}

impl<'a> Scene<'a> {
    async fn set(door: &'a Door, way: Way) -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = || {
            format!(
                "+1201555{:04}",
                1000 + NUMBERS.fetch_add(1, Ordering::Relaxed)
            )
        };
        let (alice, bob) = (
            door.register(&number()).await,
            door.register(&number()).await,
        );
        let tablet = door.link(&bob, "tablet").await;
        let sockets = match way {
            Way::WebSocket => {
                // Sockets for requests only: what is delivered is looked at in the end.
                let opening = door.listen().await;
                let quiet = opening.clone().with("x-signal-disable-messages", "true");
                Some([
                    quiet.clone().by(&alice).open().await,
                    quiet.clone().by(&bob).open().await,
                    quiet.by(&tablet).open().await,
                    opening.open().await,
                ])
            }
            Way::Rest | Way::Grpc => None,
        };
        Self {
            door,
            alice,
            bob,
            tablet,
            sockets,
        }
    }
}

async fn play(door: &Door, way: Way, operations: &[Operation]) -> (Vec<Seen>, Vec<(i32, Bytes)>) {
    let mut scene = Scene::set(door, way).await;
    let mut removed = false;
    let mut seen = Vec::new();
    for operation in operations {
        // A device that is gone asks for nothing any more; how it is told differs with the door.
        let by_tablet = matches!(
            operation,
            Operation::Remove {
                by_primary: false,
                ..
            }
        );
        if removed && by_tablet {
            continue;
        }
        let saw = match way {
            Way::Rest | Way::WebSocket => scene.by_json(operation).await,
            Way::Grpc => scene.by_grpc(operation).await,
        };
        removed |= matches!(operation, Operation::Remove { target: 2, .. });
        seen.push(saw);
    }
    let mail = scene.mail(way).await;
    (seen, mail)
}

#[test]
fn the_three_doors_come_to_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let door = runtime.block_on(Door::open());
    let config = Config {
        cases: 10,
        failure_persistence: None,
        max_shrink_iters: 30,
        ..Config::default()
    };
    let operations = proptest::collection::vec(operation(), 1..14);
    let outcome = TestRunner::new(config).run(&operations, |operations| {
        let (rest, socket, grpc) = runtime.block_on(async {
            (
                play(&door, Way::Rest, &operations).await,
                play(&door, Way::WebSocket, &operations).await,
                play(&door, Way::Grpc, &operations).await,
            )
        });
        prop_assert_eq!(&rest, &socket);
        prop_assert_eq!(&rest, &grpc);
        Ok(())
    });
    outcome.unwrap();
}
