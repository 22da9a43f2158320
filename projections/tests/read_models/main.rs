//! Events in, rows out: every read model on a real Postgres.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot get at its rows has failed"
)]

mod account_activity;
mod accounts;
mod devices;
mod inbox;
mod pre_keys;
mod profiles;
mod splits;
mod support;
mod verification_sessions;
