//! Samples of events of pictures.

use events::picture::{PictureEvent, PicturePlaced, PictureRemoved};
use events::values::profile::AvatarKey;

pub(super) fn samples() -> Vec<PictureEvent> {
    let key = |fill| AvatarKey::from_random([fill; 16]);
    vec![
        PicturePlaced {
            key: key(1),
            replaces: None,
        }
        .into(),
        PicturePlaced {
            key: key(2),
            replaces: Some(key(1)),
        }
        .into(),
        PictureRemoved { key: key(2) }.into(),
    ]
}
