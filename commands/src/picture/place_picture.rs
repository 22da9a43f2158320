//! A picture is announced.

use async_trait::async_trait;
use events::StreamId;
use events::picture::PicturePlaced;
use events::values::profile::{AvatarKey, PictureName};

use super::state::Picture;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Puts a picture in the place of the one that is there. The door has seen the credential for the name.
#[derive(Clone, Copy, Debug)]
pub struct PlacePicture {
    /// The name.
    pub name: PictureName,
    /// Where the picture will be, minted at the door.
    pub key: AvatarKey,
}

impl PlacePicture {
    /// The rule. What is announced again is no news.
    pub fn decide(self, picture: &Picture) -> Option<PicturePlaced> {
        (picture.key != Some(self.key)).then_some(PicturePlaced {
            key: self.key,
            replaces: picture.key,
        })
    }
}

#[async_trait]
impl Command for PlacePicture {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "PlacePicture";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::picture(self.name))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<NeverRefused>> {
        let picture = work.load::<Picture>(self.name).await?;
        work.record(&picture, self.decide(&picture));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    #[test]
    fn a_picture_takes_the_place_of_the_one_before() {
        let key = |fill| AvatarKey::from_random([fill; 16]);
        let place = |fill| PlacePicture {
            name: PictureName::from_bytes([1; 32]),
            key: key(fill),
        };
        let placed = |fill, replaces: Option<u8>| PicturePlaced {
            key: key(fill),
            replaces: replaces.map(key),
        };
        given::<Picture>([])
            .when(|picture, _| place(1).decide(picture))
            .then(Some(placed(1, None)));
        let there = given([(0, placed(1, None).into())]);
        there
            .when(|picture, _| place(2).decide(picture))
            .then(Some(placed(2, Some(1))));
        there.when(|picture, _| place(1).decide(picture)).then(None);
    }
}
