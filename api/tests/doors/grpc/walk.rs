//! Every method that is described, with nothing, with wrong credentials, and with nonsense.

use api::grpc::NOT_OFFERED;
use api::grpc::proto::DESCRIPTORS;
use bytes::Bytes;
use events::ports::Entropy;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use testkit::environment::SeededEntropy;
use tonic::Code;

use crate::support::Door;

/// Who calls a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Devices,
    Nobody,
    Both,
}

/// The paths of all methods, and who calls them.
fn methods() -> Vec<(String, For)> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let callers = match service.name() {
                    "ProductConfiguration" => For::Both,
                    name if name.ends_with("Anonymous") => For::Nobody,
                    _ => For::Devices,
                };
                methods.push((path, callers));
            }
        }
    }
    methods
}

/// Bytes that might be a message, and some that have its shape.
fn nonsense(entropy: &dyn Entropy, round: u8) -> Vec<u8> {
    let bytes: [u8; 64] = entropy.bytes();
    let length = usize::from(bytes[0] % 64);
    match round % 4 {
        0 => Vec::new(),
        1 => bytes[..length].to_vec(),
        // A first field of bytes, of any length.
        2 => [&[0x0a, bytes[0] % 64], &bytes[..length]].concat(),
        // Fields of bytes, one behind the other, of the length that ids have.
        _ => (1..8)
            .flat_map(|field| [&[field << 3 | 2, 16], &bytes[..16]].concat())
            .collect(),
    }
}

#[tokio::test]
async fn every_method_ends_as_documented_whoever_calls_with_whatever() {
    let door = Door::open().await;
    let device = door.register("+12015550123").await;
    let entropy = SeededEntropy::default();
    let (nobody, wrong) = (
        door.calls(),
        door.calls().basic(&device.username(), "wrong"),
    );
    let right = door.calls().by(&device);
    let mut methods = methods();
    assert!(methods.len() > 50, "{methods:?}");
    // What ends the account comes last, so that the others meet one.
    methods.sort_by_key(|(path, _)| path.ends_with("/DeleteAccount"));
    for (path, callers) in &methods {
        let offered = match callers {
            For::Nobody | For::Both => nobody.raw(path, &[]).await,
            For::Devices => right.raw(path, &[]).await,
        };
        assert_ne!(offered, Code::Unimplemented, "{path}");
        for round in 0..24 {
            let message = nonsense(&entropy, round);
            let calls = [&nobody, &wrong, &right];
            let mut codes = Vec::new();
            for calls in calls {
                codes.push(calls.raw(path, &message).await);
            }
            let expected = match callers {
                For::Nobody => [codes[0], Code::InvalidArgument, Code::InvalidArgument],
                For::Devices => [Code::Unauthenticated, Code::Unauthenticated, codes[2]],
                For::Both => [codes[0], Code::Unauthenticated, codes[0]],
            };
            assert_eq!(codes, expected, "{path} {message:?}");
        }
        for body in [
            vec![],
            vec![0],
            vec![0, 0, 0, 0, 9, 1],
            vec![1, 0, 0, 0, 0],
            vec![7; 9],
        ] {
            nobody.unframed(path, body.clone().into()).await;
            right.unframed(path, body.into()).await;
        }
        let long = right
            .unframed(path, Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]))
            .await;
        assert_ne!(long, Code::Ok, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let door = Door::open().await;
    let paths = NOT_OFFERED
        .iter()
        .map(|service| format!("/{service}/AnyMethod"));
    let invented = [
        "/org.signal.chat.keys.Keys/Invented".to_owned(),
        "/org.signal.chat.invented.Service/Method".to_owned(),
    ];
    for path in paths.chain(invented) {
        let ended = door.calls().raw(&path, &[]).await;
        assert_eq!(ended, Code::Unimplemented, "{path}");
    }
}

#[test]
fn the_descriptors_that_are_checked_in_are_those_of_the_build() {
    let checked_in = include_bytes!("../../../src/grpc/descriptors.bin");
    assert!(
        checked_in == DESCRIPTORS,
        "the .proto files have changed: copy the build's descriptors.bin to api/src/grpc/"
    );
}
