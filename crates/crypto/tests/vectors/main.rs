//! What the official library accepts, refuses and computes, file by file.

#![expect(
    clippy::unwrap_used,
    reason = "a vector that cannot be read is a failed test"
)]

mod certificates;
mod coverage;
mod external;
mod keys;
mod multi_recipient;
mod sealing;
mod support;
mod tokens;
mod usernames;
mod xeddsa;
mod zk;
mod zk_auth;
mod zk_avatars;
mod zk_backups;
mod zk_group_send;
mod zk_params;
mod zk_payments;
mod zk_profile;
