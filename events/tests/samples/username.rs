//! Samples of events of usernames.

use events::username::{UsernameClaimed, UsernameEvent, UsernameReleased, UsernameReserved};

use super::{aci, moment};

pub(super) fn samples() -> Vec<UsernameEvent> {
    let until = moment(5_000);
    vec![
        UsernameReserved { aci: aci(), until }.into(),
        UsernameClaimed { aci: aci(), until }.into(),
        UsernameReleased { aci: aci() }.into(),
    ]
}
