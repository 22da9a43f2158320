//! From events to versions of profiles.

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::profile::ProfileEvent;
use events::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};
use events::{Aci, Family, PayloadId, Revision};
use sqlx::PgConnection;
use subscription::{Need, Unfit};

use super::{TABLE, row};
use crate::drafts::{Drafts, Entity, Rows as _};
use crate::read_model::{ReadModel, id_of};

/// The read model.
pub(crate) struct Profiles;

/// Whose, and which version; `None` for the profile of clients that know no versions.
pub(super) type Key = (Aci, Option<ProfileVersion>);

/// A row: one version of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(super) key: Key,
    /// When it was last written, as a place in the profile's stream; never, if only a picture was announced.
    pub(super) written: Option<Revision>,
    pub(super) fields: Option<PayloadId>,
    pub(super) commitment: Option<ProfileKeyCommitment>,
    pub(super) avatar: Option<AvatarKey>,
}

pub(crate) enum Patch {
    Set(Revision, PayloadId, Option<ProfileKeyCommitment>),
    Avatar(Option<AvatarKey>),
    /// Nothing is left of the version.
    Dropped,
    /// Published with a picture; what the version has already stays.
    Commitment(ProfileKeyCommitment),
}

impl Version {
    pub(super) const fn empty(key: Key) -> Self {
        Self {
            key,
            written: None,
            fields: None,
            commitment: None,
            avatar: None,
        }
    }

    /// Whether anything is left of the version.
    fn is_something(&self) -> bool {
        *self != Self::empty(self.key)
    }
}

impl Entity for Version {
    type Key = Key;
    type Patch = Patch;

    fn key(&self) -> Key {
        self.key
    }

    fn patch(&mut self, patch: Patch) -> bool {
        match patch {
            Patch::Set(revision, fields, commitment) => {
                self.written = Some(revision);
                self.fields = Some(fields);
                self.commitment = commitment;
            }
            Patch::Avatar(avatar) => self.avatar = avatar,
            Patch::Dropped => *self = Self::empty(self.key),
            Patch::Commitment(commitment) => {
                self.commitment.get_or_insert(commitment);
            }
        }
        true
    }
}

/// What a stretch of the log does to profiles.
#[derive(Default)]
pub(crate) struct Changes {
    /// Accounts that lose all versions, before anything else is done.
    pub(super) cleared: Vec<Aci>,
    pub(super) drafts: Drafts<Version>,
}

impl Changes {
    fn apply(&mut self, aci: Aci, revision: Revision, event: &ProfileEvent) {
        let drafts = &mut self.drafts;
        match event {
            ProfileEvent::ProfileVersionSet(e) => drafts.patch(
                (aci, e.version),
                Patch::Set(revision, e.fields.id, e.commitment.clone()),
            ),
            ProfileEvent::AvatarReplaced(e) => {
                let key = (aci, e.version);
                drafts.patch(key, Patch::Avatar(Some(e.key)));
                if let Some(commitment) = &e.commitment {
                    drafts.patch(key, Patch::Commitment(commitment.clone()));
                }
            }
            ProfileEvent::AvatarRemoved(e) => {
                drafts.patch((aci, e.version), Patch::Avatar(None));
            }
            ProfileEvent::ProfileVersionDropped(e) => {
                drafts.patch((aci, e.version), Patch::Dropped);
            }
            ProfileEvent::ProfileCleared(_) => self.clear(aci),
        }
    }

    fn clear(&mut self, aci: Aci) {
        let last = ProfileVersion::from_bytes([0xff; 32]);
        self.drafts.forget((aci, None)..=(aci, Some(last)));
        self.cleared.push(aci);
    }
}

#[async_trait]
impl ReadModel for Profiles {
    const NAME: &'static str = "profiles";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Profile, Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Changes;

    fn needs(family: Family, kind: &str) -> Need {
        match (family, kind) {
            (Family::Account, "AttributesChanged" | "DeviceSeen") => Need::Nothing,
            _ => Need::Sealed,
        }
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        for fact in facts {
            match &fact.event {
                AnyEvent::Profile(event) => {
                    let aci = id_of(fact, fact.stream.as_profile())?;
                    changes.apply(aci, fact.revision, event);
                }
                AnyEvent::Account(AccountEvent::AccountDeleted(_)) => {
                    changes.clear(id_of(fact, fact.stream.as_account())?);
                }
                _ => {}
            }
        }
        Ok(changes)
    }

    async fn write(connection: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
        row::clear(connection, &changes.cleared).await?;
        let versions = row::load(connection, &changes.drafts.wanting()).await?;
        let empty = |key| Some(Version::empty(key));
        let settled = changes.drafts.settle_or(versions, empty);
        let (kept, vacant): (Vec<_>, Vec<_>) =
            settled.stored.into_iter().partition(Version::is_something);
        row::delete(connection, &vacant).await?;
        row::store(connection, &kept).await
    }
}
