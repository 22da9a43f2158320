//! Samples of events of the tree over the log.

use events::Timestamp;
use events::tree::{HeadSignature, TreeEvent, TreeHash, TreeHeadSigned};

pub(super) fn samples() -> Vec<TreeEvent> {
    vec![
        TreeHeadSigned {
            size: 7,
            root: TreeHash([1; 32]),
            signed_at: Timestamp::from_epoch_millis(1_767_225_600_000).unwrap(),
            signature: HeadSignature([2; 64]),
        }
        .into(),
    ]
}
