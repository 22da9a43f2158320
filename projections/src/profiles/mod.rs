//! What accounts show of themselves: versions of their profiles. The ciphertext is beside the log.

mod apply;
mod query;
mod row;

use events::values::profile::{AvatarKey, ProfileFields, ProfileKeyCommitment};

pub(crate) use apply::Profiles;
pub use query::ProfileQueries;

/// The table.
const TABLE: &str = "profiles_v1";

/// One version of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProfile {
    /// Its ciphertext; none as long as only a picture was announced, or in the moment between erasure and the row's
    /// removal.
    pub fields: Option<ProfileFields>,
    /// What was published about its key.
    pub commitment: Option<ProfileKeyCommitment>,
    /// Its picture.
    pub avatar: Option<AvatarKey>,
    /// Whether it is the one that was written last.
    pub current: bool,
}
