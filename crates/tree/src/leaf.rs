//! Which bytes of an event are hashed. The form can never change: hashes of old events would.

use events::Recorded;
use events::tree::TreeHash;

use crate::hash;

/// What every leaf begins with.
const FORM: &[u8] = b"heliograph event v1\n";

/// The bytes of the leaf: every part of the stored event, with its length in front.
pub fn bytes(event: &Recorded) -> Vec<u8> {
    let position = event.position.0.to_be_bytes();
    let revision = event.revision.0.to_be_bytes();
    let recorded_at = event.recorded_at.epoch_millis().to_be_bytes();
    let stream = event.stream.to_string();
    let parts: [&[u8]; 8] = [
        &position,
        stream.as_bytes(),
        &revision,
        event.id.as_bytes(),
        event.type_name.as_bytes(),
        &recorded_at,
        &event.data,
        &event.metadata,
    ];
    let length: usize = parts.iter().map(|part| part.len() + 8).sum();
    let mut bytes = Vec::with_capacity(FORM.len() + length);
    bytes.extend_from_slice(FORM);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The hash of the leaf.
pub fn hash(event: &Recorded) -> TreeHash {
    hash::leaf(&bytes(event))
}
