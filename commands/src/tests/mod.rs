//! What no single rule shows: the executor under rivalry and failure, prefix safety, invariants over long histories.

mod executor;
mod histories;
mod invariants;
mod keys;
mod messages;
mod messages_to_many;
mod numbers;
mod prefix_safety;
mod profiles;
mod registration;
mod usernames;
