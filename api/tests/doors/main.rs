//! The doors from outside: requests in, answers out, with the log and the read models behind them on a real Postgres.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod accounts;
mod any_json;
mod archives;
mod attachments;
mod buckets;
mod catalogue;
mod challenge;
mod client;
mod contract;
mod credentials;
mod devices;
mod expiry;
mod grpc;
mod idempotency;
mod keys;
mod limits;
mod messages;
mod multi_recipient;
mod numbers;
mod pictures;
mod profile;
mod provisioning;
mod push;
mod registration;
mod rest_mailbox;
mod seed;
mod settings;
mod socket;
mod socket_limits;
mod support;
mod usernames;
mod verification;
