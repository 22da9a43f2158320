//! Projections that follow a log on a real Postgres, through lost connections, poison and other nodes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot get at its rows has failed"
)]

mod connections;
mod decoding;
mod leases;
mod live;
mod poison;
mod progress;
mod reacting;
mod support;
