//! Samples of events of numbers.

use events::number::{NumberClaimed, NumberEvent, NumberLeft, NumberReleased, VerificationBegun};
use events::{Aci, SessionId};
use uuid::Uuid;

use super::aci;

pub(super) fn samples() -> Vec<NumberEvent> {
    vec![
        NumberClaimed {
            aci: aci(),
            displaced: None,
        }
        .into(),
        NumberReleased { aci: aci() }.into(),
        NumberClaimed {
            aci: aci(),
            displaced: Some(Aci::from_uuid(Uuid::from_u128(0xac2))),
        }
        .into(),
        NumberLeft {
            aci: aci(),
            heir: None,
        }
        .into(),
        NumberLeft {
            aci: aci(),
            heir: Some(Aci::from_uuid(Uuid::from_u128(0xac2))),
        }
        .into(),
        VerificationBegun {
            session: SessionId::from_uuid(Uuid::from_u128(0x5e5)),
        }
        .into(),
    ]
}
