//! Where a picture is.

use async_trait::async_trait;
use events::StreamId;
use events::values::profile::{AvatarKey, PictureName};

use super::state::Picture;
use crate::command::{Command, NeverRefused, Stop};
use crate::executor::work::Work;

/// Tells where the picture is kept. Pictures stay until they are taken away, so nothing has to happen for that.
#[derive(Clone, Copy, Debug)]
pub struct FindPicture {
    /// The name.
    pub name: PictureName,
}

#[async_trait]
impl Command for FindPicture {
    type Done = Option<AvatarKey>;
    type Refused = NeverRefused;
    const NAME: &'static str = "FindPicture";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::picture(self.name))
    }

    async fn run(&self, work: &mut Work<'_>) -> Result<Option<AvatarKey>, Stop<NeverRefused>> {
        let picture = work.load::<Picture>(self.name).await?;
        Ok(picture.key)
    }
}
