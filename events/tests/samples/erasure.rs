//! Samples of events of erasure.

use events::erasure::{AccountErased, DeviceErased, ErasureEvent, LeftoversErased, PayloadsErased};
use events::{Generation, Position};

use super::device;

pub(super) fn samples() -> Vec<ErasureEvent> {
    vec![
        AccountErased {
            deletion: Position(7),
            payloads: 3,
            account_key: true,
            session_keys: 1,
        }
        .into(),
        DeviceErased {
            device: device(2),
            generation: Generation(3),
            removal: Position(7),
            payloads: 3,
        }
        .into(),
        PayloadsErased {
            through: Position(7),
            payloads: 3,
        }
        .into(),
        LeftoversErased {
            through: Position(7),
            payloads: 3,
            orphans: 2,
            keys: 1,
        }
        .into(),
    ]
}
