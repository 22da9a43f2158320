//! Makes the messages and services of the EventStoreDB double out of their descriptions.

use std::error::Error;
use std::path::Path;

const FOLDER: &str = "src/eventstore/proto";
const FILES: [&str; 4] = [
    "shared.proto",
    "server_features.proto",
    "gossip.proto",
    "streams.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let descriptors = protox::compile(FILES.map(|file| Path::new(FOLDER).join(file)), [FOLDER])?;
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
