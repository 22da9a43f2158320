//! The messages and services of the protocol, as the build script made them.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    reason = "generated from the .proto files beside this one"
)]

tonic::include_proto!("event_store.client");

pub mod gossip {
    tonic::include_proto!("event_store.client.gossip");
}

pub mod server_features {
    tonic::include_proto!("event_store.client.server_features");
}

pub mod streams {
    tonic::include_proto!("event_store.client.streams");
}
