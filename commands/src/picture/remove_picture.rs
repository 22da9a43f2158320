//! A picture is taken away.

use async_trait::async_trait;
use events::StreamId;
use events::picture::PictureRemoved;
use events::values::profile::PictureName;

use super::state::Picture;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Takes the picture away, if there is one. The door has seen the credential for the name.
#[derive(Clone, Copy, Debug)]
pub struct RemovePicture {
    /// The name.
    pub name: PictureName,
}

impl RemovePicture {
    /// The rule.
    pub fn decide(self, picture: &Picture) -> Option<PictureRemoved> {
        picture.key.map(|key| PictureRemoved { key })
    }
}

#[async_trait]
impl Command for RemovePicture {
    type Done = ();
    type Refused = NeverRefused;
    const NAME: &'static str = "RemovePicture";

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
    use events::picture::PicturePlaced;
    use events::values::profile::AvatarKey;

    #[test]
    fn only_what_is_there_is_taken_away() {
        let key = AvatarKey::from_random([1; 16]);
        let remove = RemovePicture {
            name: PictureName::from_bytes([1; 32]),
        };
        let placed = PicturePlaced {
            key,
            replaces: None,
        };
        let removed = PictureRemoved { key };
        given::<Picture>([])
            .when(|picture, _| remove.decide(picture))
            .then(None);
        given([(0, placed.clone().into())])
            .when(|picture, _| remove.decide(picture))
            .then(Some(removed.clone()));
        given([(0, placed.into()), (1, removed.into())])
            .when(|picture, _| remove.decide(picture))
            .then(None);
    }
}
