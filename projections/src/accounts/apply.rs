//! From events to rows of accounts.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use events::account::{
    Access, AccountEvent, BackupRequests, IdentityKeys, NewDevice, NumberChanged,
    UsernameConfirmed, UsernameLink,
};
use events::codec::Fact;
use events::ids::IdentityKind;
use events::values::Capability;
use events::values::hashes::UnidentifiedAccessKey;
use events::values::keys::EcPublicKey;
use events::values::profile::ZkCredentialKey;
use events::values::totp::{TotpKeyId, TotpMetadata};
use events::values::username::EncryptedUsername;
use events::{Aci, DeviceId, E164, Family, LinkHandle, Personal, Pni, StreamId, Timestamp};
use sqlx::PgConnection;
use subscription::{CopyIn, InMemory, Need, Shard, Unfit};

use super::{TABLE, Username, row};
use crate::copy::copy_in;
use crate::drafts::{Drafts, Entity, Rows};
use crate::read_model::{ReadModel, each_of_accounts, shard_by_account};
use crate::whole::{self, Whole};

/// The read model.
pub(crate) struct Accounts;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(super) aci: Aci,
    pub(super) pni: Pni,
    pub(super) registered_at: Timestamp,
    pub(super) number: Option<E164>,
    pub(super) identity: IdentityKeys,
    pub(super) reach: Reach,
    pub(super) username: Option<Username>,
    pub(super) totp_keys: BTreeMap<TotpKeyId, Option<TotpMetadata>>,
    pub(super) zk_credential: Option<(ZkCredentialKey, u64)>,
    pub(super) backup: BackupRequests,
    pub(super) storage_devices: BTreeSet<DeviceId>,
}

impl AccountRow {
    fn set_storage(&mut self, device: DeviceId, storage: bool) {
        if storage {
            self.storage_devices.insert(device);
        } else {
            self.storage_devices.remove(&device);
        }
    }
}

/// Who may reach the account, and how, in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(super) access_key: Option<UnidentifiedAccessKey>,
    pub(super) unrestricted: bool,
    pub(super) discoverable: bool,
}

impl From<&Access> for Reach {
    fn from(access: &Access) -> Self {
        Self {
            access_key: access.key.as_ref().and_then(Personal::known).cloned(),
            unrestricted: access.unrestricted,
            discoverable: access.discoverable,
        }
    }
}

pub(crate) enum AccountPatch {
    /// All that a repeated registration changes.
    Reregistered(Box<AccountRow>),
    Reach(Reach),
    IdentityKey(IdentityKind, EcPublicKey),
    /// Whether a device can keep an encrypted copy of the account.
    Storage(DeviceId, bool),
    /// Both of these at once.
    ReachAndStorage(Reach, DeviceId, bool),
    Number(Box<MovedTo>),
    Username(Option<Username>),
    /// The link to the username that is there.
    Link(Link),
    /// What is noted of a key for one-time passwords.
    TotpKey(TotpKeyId, Option<TotpMetadata>),
    TotpKeyRemoved(TotpKeyId),
    ZkCredential(ZkCredentialKey, u64),
    Backup(BackupRequests),
}

type Link = Option<(LinkHandle, EncryptedUsername)>;

/// Where an account moved to, in clear.
pub(crate) struct MovedTo {
    number: Option<E164>,
    pni: Pni,
    identity_key: Option<EcPublicKey>,
}

impl From<&NumberChanged> for AccountPatch {
    fn from(changed: &NumberChanged) -> Self {
        Self::Number(Box::new(MovedTo {
            number: changed.number.known().cloned(),
            pni: changed.pni,
            identity_key: changed.identity_key.clone(),
        }))
    }
}

impl From<&UsernameConfirmed> for Username {
    fn from(confirmed: &UsernameConfirmed) -> Self {
        Self {
            hash: confirmed.hash,
            link: known(confirmed.link.as_ref()),
        }
    }
}

/// A link in clear; one that cannot be read any more leads nowhere.
fn known(link: Option<&UsernameLink>) -> Link {
    let link = link?;
    Some((link.handle, link.encrypted.known()?.clone()))
}

impl Entity for AccountRow {
    type Key = Aci;
    type Patch = AccountPatch;

    fn key(&self) -> Aci {
        self.aci
    }

    fn patch(&mut self, patch: AccountPatch) -> bool {
        match patch {
            AccountPatch::Reregistered(anew) => {
                *self = Self {
                    registered_at: self.registered_at,
                    backup: std::mem::take(&mut self.backup),
                    zk_credential: self.zk_credential.take(),
                    ..*anew
                };
            }
            AccountPatch::Reach(reach) => self.reach = reach,
            AccountPatch::IdentityKey(IdentityKind::Aci, key) => self.identity.aci = Some(key),
            AccountPatch::IdentityKey(IdentityKind::Pni, key) => self.identity.pni = Some(key),
            AccountPatch::Storage(device, storage) => self.set_storage(device, storage),
            AccountPatch::ReachAndStorage(reach, device, storage) => {
                self.reach = reach;
                self.set_storage(device, storage);
            }
            AccountPatch::Number(moved) => {
                self.number = moved.number;
                self.pni = moved.pni;
                if moved.identity_key.is_some() {
                    self.identity.pni = moved.identity_key;
                }
            }
            AccountPatch::Username(username) => self.username = username,
            AccountPatch::Link(link) => {
                if let Some(username) = &mut self.username {
                    username.link = link;
                }
            }
            AccountPatch::TotpKey(id, metadata) => {
                self.totp_keys.insert(id, metadata);
            }
            AccountPatch::TotpKeyRemoved(id) => {
                self.totp_keys.remove(&id);
            }
            AccountPatch::ZkCredential(key, rotation) => self.zk_credential = Some((key, rotation)),
            AccountPatch::Backup(requests) => {
                self.backup = std::mem::take(&mut self.backup).updated(requests);
            }
        }
        true
    }
}

#[async_trait]
impl ReadModel for Accounts {
    const NAME: &'static str = "accounts";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Drafts<AccountRow>;

    fn needs(_: Family, kind: &str) -> Need {
        match kind {
            "DeviceSeen"
            | "DeviceRenamed"
            | "PushTokenChanged"
            | "DeviceFetchesMessages"
            | "RegistrationLockFailed"
            | "RegistrationLockChanged"
            | "RecoveryPasswordSet"
            | "RecoveryPasswordDropped"
            | "UsernameReservationSet"
            | "TotpKeyGenerated"
            | "ChallengeMet"
            | "TransferArchiveOffered" => Need::Nothing,
            "DeviceLinked" => Need::Sealed,
            _ => Need::Clear,
        }
    }

    fn shard(stream: &StreamId) -> Shard {
        shard_by_account(stream)
    }

    fn in_memory() -> Option<Box<dyn InMemory>> {
        Some(whole::in_memory::<Self>())
    }

    fn fold(facts: &[&Fact]) -> Result<Self::Changes, Unfit> {
        let mut drafts = Drafts::default();
        each_of_accounts(facts, |aci, at, event| apply(&mut drafts, aci, at, event))?;
        Ok(drafts)
    }

    async fn write(
        connection: &mut PgConnection,
        changes: Self::Changes,
    ) -> Result<(), sqlx::Error> {
        let loaded = row::load(connection, &changes.wanting()).await?;
        let settled = changes.settle(loaded);
        row::delete(connection, &settled.deleted).await?;
        row::store(connection, &settled.stored).await
    }
}

impl Whole for Accounts {
    type Rows = BTreeMap<Aci, AccountRow>;

    fn keep(rows: &mut Self::Rows, facts: &[&Fact]) -> Result<(), Unfit> {
        each_of_accounts(facts, |aci, at, event| apply(rows, aci, at, event))
    }

    fn count(rows: &Self::Rows) -> usize {
        rows.len()
    }

    fn copies(rows: Self::Rows) -> Vec<CopyIn> {
        vec![copy_in(TABLE, rows.into_values())]
    }
}

fn apply(rows: &mut impl Rows<AccountRow>, aci: Aci, at: Timestamp, event: &AccountEvent) {
    let row =
        |number: &Personal<E164>, pni, identity: &IdentityKeys, access, primary: &NewDevice| {
            AccountRow {
                aci,
                pni,
                registered_at: at,
                number: number.known().cloned(),
                identity: identity.clone(),
                reach: Reach::from(access),
                username: None,
                totp_keys: BTreeMap::new(),
                zk_credential: None,
                backup: BackupRequests::default(),
                storage_devices: can_store(primary)
                    .then_some(primary.id)
                    .into_iter()
                    .collect(),
            }
        };
    match event {
        AccountEvent::AccountRegistered(e) => {
            rows.put(row(&e.number, e.pni, &e.identity, &e.access, &e.primary));
        }
        AccountEvent::AccountReregistered(e) => {
            let anew = row(&e.number, e.pni, &e.identity, &e.access, &e.primary);
            rows.patch(aci, AccountPatch::Reregistered(Box::new(anew)));
        }
        AccountEvent::DeviceLinked(e) => {
            rows.patch(
                aci,
                AccountPatch::Storage(e.device.id, can_store(&e.device)),
            );
        }
        AccountEvent::DeviceRemoved(e) => {
            rows.patch(aci, AccountPatch::Storage(e.device, false));
        }
        AccountEvent::DeviceCapabilitiesChanged(e) => {
            let storage = e.capabilities.contains(&Capability::Storage);
            rows.patch(aci, AccountPatch::Storage(e.device, storage));
        }
        AccountEvent::AttributesChanged(e) => {
            let storage = e.traits.capabilities.contains(&Capability::Storage);
            let reach = Reach::from(&e.access);
            rows.patch(aci, AccountPatch::ReachAndStorage(reach, e.device, storage));
        }
        AccountEvent::IdentityKeySet(e) => {
            rows.patch(aci, AccountPatch::IdentityKey(e.identity, e.key.clone()));
        }
        AccountEvent::AccountDeleted(_) => rows.remove(aci),
        AccountEvent::AccessChanged(e) => {
            rows.patch(aci, AccountPatch::Reach(Reach::from(&e.access)));
        }
        AccountEvent::NumberChanged(e) => rows.patch(aci, e.into()),
        AccountEvent::UsernameConfirmed(e) => {
            rows.patch(aci, AccountPatch::Username(Some(e.into())));
        }
        AccountEvent::UsernameDropped(_) => rows.patch(aci, AccountPatch::Username(None)),
        AccountEvent::UsernameLinkChanged(e) => {
            rows.patch(aci, AccountPatch::Link(known(e.link.as_ref())));
        }
        AccountEvent::TotpKeyConfirmed(e) => {
            let noted = e.metadata.known().cloned();
            rows.patch(aci, AccountPatch::TotpKey(e.key_id, noted));
        }
        AccountEvent::TotpKeyMetadataSet(e) => {
            let noted = e.metadata.known().cloned();
            rows.patch(aci, AccountPatch::TotpKey(e.key_id, noted));
        }
        AccountEvent::TotpKeyRemoved(e) => {
            rows.patch(aci, AccountPatch::TotpKeyRemoved(e.key_id));
        }
        AccountEvent::ZkCredentialKeySet(e) => {
            rows.patch(
                aci,
                AccountPatch::ZkCredential(e.key.clone(), e.rotation_id),
            );
        }
        AccountEvent::BackupRequestsSet(e) => {
            rows.patch(aci, AccountPatch::Backup(e.requests.clone()));
        }
        AccountEvent::RegistrationLockFailed(_)
        | AccountEvent::RecoveryPasswordDropped(_)
        | AccountEvent::RecoveryPasswordSet(_)
        | AccountEvent::RegistrationLockChanged(_)
        | AccountEvent::PushTokenChanged(_)
        | AccountEvent::DeviceRenamed(_)
        | AccountEvent::UsernameReservationSet(_)
        | AccountEvent::TotpKeyGenerated(_)
        | AccountEvent::DeviceSeen(_)
        | AccountEvent::DeviceFetchesMessages(_)
        | AccountEvent::ChallengeMet(_)
        | AccountEvent::TransferArchiveOffered(_) => {}
    }
}

fn can_store(device: &NewDevice) -> bool {
    device.traits.capabilities.contains(&Capability::Storage)
}
