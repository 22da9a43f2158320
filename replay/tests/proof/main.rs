//! Read models that are rebuilt, proved and explained, beside workers that go on.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot get at its rows has failed"
)]

mod as_of;
mod audit;
mod cluster;
mod export;
mod rebuild;
mod retention;
mod serving;
mod status;
mod steering;
mod support;
mod tamper;
mod verify;
