//! An account as its owner sees it.

use events::values::username::UsernameHash;
use events::{Aci, E164, LinkHandle, Pni};
use projections::accounts::Account;
use serde::{Deserialize, Serialize};

use crate::http::wire::{Base64, UrlSafe};

/// The answer of whoami; registration adds to it. Missing values are `null`, because some clients insist on the property.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccountIdentity)]
pub struct IdentityResponse {
    /// The account's id.
    #[schema(value_type = String)]
    pub uuid: Aci,
    /// Its number.
    #[schema(value_type = Option<String>)]
    pub number: Option<E164>,
    /// The number's pseudonym: a bare UUID, without a prefix.
    #[schema(value_type = Option<String>)]
    pub pni: Option<Pni>,
    /// The hash of its username.
    #[schema(value_type = Option<String>)]
    pub username_hash: Option<Base64<UsernameHash, UrlSafe>>,
    /// Where its username link leads.
    #[schema(value_type = Option<String>)]
    pub username_link_handle: Option<LinkHandle>,
    /// Whether it keeps an encrypted copy of itself in remote storage.
    pub storage_capable: bool,
    /// What it may do beyond others.
    pub entitlements: Entitlements,
    /// A salt for other services' credentials.
    pub auth_credential_salt: Option<String>,
}

/// What an account may do beyond others. Nothing is sold here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entitlements {
    /// Badges on its profile.
    #[schema(value_type = Vec<Object>)]
    pub badges: Vec<serde_json::Value>,
    /// Room for backups.
    #[schema(value_type = Option<Object>)]
    pub backup: Option<serde_json::Value>,
}

impl IdentityResponse {
    pub(crate) fn new(aci: Aci, pni: Pni, number: Option<E164>, storage_capable: bool) -> Self {
        Self {
            uuid: aci,
            number,
            pni: Some(pni),
            username_hash: None,
            username_link_handle: None,
            storage_capable,
            entitlements: Entitlements::default(),
            auth_credential_salt: None,
        }
    }

    /// The same, of an account that has a username.
    pub(crate) fn with_username(
        self,
        username: Option<(UsernameHash, Option<LinkHandle>)>,
    ) -> Self {
        Self {
            username_hash: username.map(|(hash, _)| Base64::new(hash)),
            username_link_handle: username.and_then(|(_, handle)| handle),
            ..self
        }
    }
}

impl From<Account> for IdentityResponse {
    fn from(account: Account) -> Self {
        let username = account.username.map(|username| {
            let handle = username.link.map(|(handle, _)| handle);
            (username.hash, handle)
        });
        Self::new(
            account.aci,
            account.pni,
            account.number,
            account.storage_capable,
        )
        .with_username(username)
    }
}
