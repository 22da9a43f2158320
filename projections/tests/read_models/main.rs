//! Events in, rows out: every read model on a real Postgres.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot get at its rows has failed"
)]

mod account_activity;
mod accounts;
mod devices;
#[path = "../../../events/tests/samples/mod.rs"]
#[allow(dead_code, reason = "of the samples only the list of all is needed")]
mod every_kind;
mod inbox;
mod needs;
mod pre_keys;
mod profiles;
mod splits;
mod support;
mod verification_sessions;
