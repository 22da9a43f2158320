//! Read models that are rebuilt, proved and explained, beside workers that go on.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot get at its rows has failed"
)]

mod audit;
mod rebuild;
mod status;
mod support;
mod verify;
