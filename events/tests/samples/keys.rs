//! Samples of events of pre-keys.

use events::ids::PreKeyId;
use events::keys::{
    KeysEvent, LastResortPreKeySet, OneTimePreKeyTaken, PreKeyKind, PreKeysDropped,
    PreKeysUploaded, SignedPreKeyRotated,
};
use events::values::keys::{Signature, SignedPreKey};

use super::{payload, public_key};

fn key_id(number: u64) -> PreKeyId {
    PreKeyId::try_from(number).unwrap()
}

pub(super) fn samples() -> Vec<KeysEvent> {
    vec![
        SignedPreKeyRotated {
            key: SignedPreKey {
                key_id: key_id(7),
                public_key: public_key(4),
                signature: Signature::try_from(vec![8; 64]).unwrap(),
            },
        }
        .into(),
        LastResortPreKeySet {
            key_id: key_id(8),
            record: payload(b"record"),
        }
        .into(),
        PreKeysUploaded {
            kind: PreKeyKind::Ec,
            key_ids: vec![key_id(0), key_id(0x7fff_ffff)],
            page: payload(b"page"),
        }
        .into(),
        OneTimePreKeyTaken {
            kind: PreKeyKind::Kyber,
            key_id: key_id(9),
            page: payload(b"page").id,
            index: 99,
        }
        .into(),
        PreKeysDropped {}.into(),
    ]
}
