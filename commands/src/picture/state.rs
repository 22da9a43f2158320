//! What rules need to know of a picture.

use events::picture::PictureEvent;
use events::values::profile::{AvatarKey, PictureName};
use events::{StreamId, Timestamp};

use crate::aggregate::Aggregate;

/// The place of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Where it is kept, if there is one.
    pub key: Option<AvatarKey>,
}

impl Aggregate for Picture {
    type Id = PictureName;
    type Event = PictureEvent;

    fn stream(name: PictureName) -> StreamId {
        StreamId::picture(name)
    }

    fn evolve(&mut self, event: &PictureEvent, _at: Timestamp) {
        self.key = match event {
            PictureEvent::PicturePlaced(placed) => Some(placed.key),
            PictureEvent::PictureRemoved(_) => None,
        };
    }
}
