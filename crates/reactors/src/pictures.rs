//! Removes pictures that nobody is shown any more: replaced, taken away, or gone with their profile.

use std::sync::Arc;

use async_trait::async_trait;
use events::Family;
use events::codec::{AnyEvent, Fact};
use events::picture::PictureEvent;
use events::profile::ProfileEvent;
use events::values::profile::AvatarKey;
use metrics::counter;
use subscription::{Begins, Reactor, Trouble};

/// Where pictures are.
#[async_trait]
pub trait PictureStore: Send + Sync + 'static {
    /// Removes a picture. One that is not there is removed already.
    async fn remove(&self, key: AvatarKey) -> Result<(), NotRemoved>;
}

/// The place where pictures are cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be removed")]
pub struct NotRemoved(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The reactor.
pub struct Pictures(Arc<dyn PictureStore>);

impl Pictures {
    /// The reactor's name.
    pub const NAME: &str = "pictures";

    /// A reactor that removes pictures from there.
    pub fn new(store: Arc<dyn PictureStore>) -> Self {
        Self(store)
    }
}

/// The pictures that nobody is shown any more once this has happened, but for those that are kept for an owner who registered
/// anew.
fn ended_by(event: &AnyEvent) -> &[AvatarKey] {
    match event {
        AnyEvent::Profile(event) => ended_by_profile(event),
        AnyEvent::Picture(PictureEvent::PicturePlaced(e)) => e.replaces.as_slice(),
        AnyEvent::Picture(PictureEvent::PictureRemoved(e)) => std::slice::from_ref(&e.key),
        _ => &[],
    }
}

fn ended_by_profile(event: &ProfileEvent) -> &[AvatarKey] {
    match event {
        ProfileEvent::AvatarReplaced(e) => e.replaces.as_slice(),
        ProfileEvent::AvatarRemoved(e) => std::slice::from_ref(&e.key),
        ProfileEvent::ProfileVersionDropped(e) => e.avatar.as_slice(),
        ProfileEvent::ProfileCleared(e) => &e.avatars,
        ProfileEvent::ProfileVersionSet(_) => &[],
    }
}

#[async_trait]
impl Reactor for Pictures {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Profile, Family::Picture]
    }

    fn begins(&self) -> Begins {
        Begins::AtTheStart
    }

    async fn react(&self, facts: &[&Fact]) -> Result<(), Trouble> {
        for fact in facts {
            for key in ended_by(&fact.event) {
                let removed = self.0.remove(*key).await;
                removed.map_err(|error| Trouble::at(fact, &error))?;
                counter!("removed_pictures_total").increment(1);
            }
        }
        Ok(())
    }
}
