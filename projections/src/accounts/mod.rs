//! Who has an account, how it is reached, and by which keys it is known.

mod apply;
mod query;
mod row;

use std::collections::BTreeMap;

use events::account::{BackupRequests, IdentityKeys};
use events::values::hashes::UnidentifiedAccessKey;
use events::values::profile::ZkCredentialKey;
use events::values::totp::{TotpKeyId, TotpMetadata};
use events::values::username::{EncryptedUsername, UsernameHash};
use events::{Aci, E164, LinkHandle, Pni, Timestamp};

pub(crate) use apply::Accounts;
pub use query::AccountQueries;

/// The table.
const TABLE: &str = "accounts_v1";

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub aci: Aci,
    /// Its number's pseudonym.
    pub pni: Pni,
    /// Its number; `None` in the moment between the destruction of its key and the row's removal.
    pub number: Option<E164>,
    /// The public keys of its two identities.
    pub identity: IdentityKeys,
    /// What anonymous senders must know.
    pub access_key: Option<UnidentifiedAccessKey>,
    /// Whether anonymous senders need to know nothing.
    pub unrestricted: bool,
    /// Whether it can be found by its number.
    pub discoverable: bool,
    /// When it was registered for the first time, or anew after deletion.
    pub registered_at: Timestamp,
    /// Whether any of its devices keeps an encrypted copy of the account in remote storage.
    pub storage_capable: bool,
    /// Its username.
    pub username: Option<Username>,
    /// Its keys for one-time passwords, and what its owner notes about each, as long as it can be read.
    pub totp_keys: BTreeMap<TotpKeyId, Option<TotpMetadata>>,
    /// The key by which credentials for its pictures are bound to it, and what tells it from earlier ones.
    pub zk_credential: Option<(ZkCredentialKey, u64)>,
    /// By which requests it gets credentials of its backups.
    pub backup: BackupRequests,
}

/// The username of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    /// Its hash.
    pub hash: UsernameHash,
    /// Where the link to it stands, and what stands there.
    pub link: Option<(LinkHandle, EncryptedUsername)>,
}
