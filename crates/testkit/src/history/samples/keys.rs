//! What happens to the pre-keys of a device.

use events::ids::PreKeyId;
use events::keys::{
    KeysEvent, LastResortPreKeySet, OneTimePreKeyTaken, PreKeyKind, PreKeysDropped,
    PreKeysUploaded, SignedPreKeyRotated,
};
use events::payload::PayloadDigest;
use events::values::keys::{Signature, SignedPreKey};
use events::{PayloadId, PayloadRef};

use super::{ec_key, uuid};

/// A device's keys are void.
pub fn keys_dropped() -> KeysEvent {
    PreKeysDropped {}.into()
}

/// Where a page of pre-keys stands.
pub fn page_id(page: u32) -> PayloadId {
    PayloadId(uuid(0x9a9e, page))
}

/// A page of `count` one-time pre-keys is uploaded.
pub fn uploaded(kind: PreKeyKind, page: u32, count: u16) -> KeysEvent {
    let page = PayloadRef {
        id: page_id(page),
        length: u32::from(count) * 37,
        sha256: PayloadDigest([1; 32]),
    };
    let key_ids = (0..u64::from(count)).map(key_id).collect();
    PreKeysUploaded {
        kind,
        key_ids,
        page,
    }
    .into()
}

/// The `index`th key of a page is taken.
pub fn taken(kind: PreKeyKind, page: u32, index: u16) -> KeysEvent {
    OneTimePreKeyTaken {
        kind,
        key_id: key_id(index.into()),
        page: page_id(page),
        index,
    }
    .into()
}

/// Signed pre-key `n` takes the place of the former one.
pub fn rotated(n: u32) -> KeysEvent {
    let key = SignedPreKey {
        key_id: key_id(n.into()),
        public_key: ec_key(n),
        signature: Signature::try_from(vec![7; Signature::LEN]).expect("it is as long as that"),
    };
    SignedPreKeyRotated { key }.into()
}

/// A Kyber key of last resort takes the place of the former one.
pub fn last_resort(page: u32) -> KeysEvent {
    let record = PayloadRef {
        id: page_id(page),
        length: 1_637,
        sha256: PayloadDigest([2; 32]),
    };
    LastResortPreKeySet {
        key_id: key_id(page.into()),
        record,
    }
    .into()
}

fn key_id(n: u64) -> PreKeyId {
    PreKeyId::try_from(n).expect("it is small")
}
