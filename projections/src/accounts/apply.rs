//! From events to rows of accounts.

use std::collections::BTreeSet;

use async_trait::async_trait;
use events::account::{Access, AccountEvent, IdentityKeys, NewDevice};
use events::codec::{AnyEvent, Fact};
use events::ids::IdentityKind;
use events::values::Capability;
use events::values::hashes::UnidentifiedAccessKey;
use events::values::keys::EcPublicKey;
use events::{Aci, DeviceId, E164, Family, Personal, Pni, Timestamp};
use sqlx::PgConnection;
use subscription::Unfit;

use super::TABLE;
use crate::columns::{BoxError, bytes, column, device_column, get, joined, timestamp};
use crate::drafts::{Drafts, Entity};
use crate::read_model::{ReadModel, id_of};

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
    pub(super) storage_devices: BTreeSet<DeviceId>,
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
}

impl Entity for AccountRow {
    type Key = Aci;
    type Patch = AccountPatch;

    fn key(&self) -> Aci {
        self.aci
    }

    fn patched(mut self, patch: AccountPatch) -> Option<Self> {
        match patch {
            AccountPatch::Reregistered(anew) => {
                self = Self {
                    registered_at: self.registered_at,
                    ..*anew
                };
            }
            AccountPatch::Reach(reach) => self.reach = reach,
            AccountPatch::IdentityKey(IdentityKind::Aci, key) => self.identity.aci = Some(key),
            AccountPatch::IdentityKey(IdentityKind::Pni, key) => self.identity.pni = Some(key),
            AccountPatch::Storage(device, true) => {
                self.storage_devices.insert(device);
            }
            AccountPatch::Storage(device, false) => {
                self.storage_devices.remove(&device);
            }
        }
        Some(self)
    }
}

#[async_trait]
impl ReadModel for Accounts {
    const NAME: &'static str = "accounts";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Drafts<AccountRow>;

    fn fold(facts: &[&Fact]) -> Result<Self::Changes, Unfit> {
        let mut drafts = Drafts::default();
        for fact in facts {
            if let AnyEvent::Account(event) = &fact.event {
                let aci = id_of(fact, fact.stream.as_account())?;
                apply(&mut drafts, aci, fact.metadata.at, event);
            }
        }
        Ok(drafts)
    }

    async fn write(
        connection: &mut PgConnection,
        changes: Self::Changes,
    ) -> Result<(), sqlx::Error> {
        let loaded = load(connection, &changes.wanting()).await?;
        let settled = changes.settle(loaded);
        delete(connection, &settled.deleted).await?;
        store(connection, &settled.stored).await
    }
}

fn apply(drafts: &mut Drafts<AccountRow>, aci: Aci, at: Timestamp, event: &AccountEvent) {
    let row =
        |number: &Personal<E164>, pni, identity: &IdentityKeys, access, primary: &NewDevice| {
            AccountRow {
                aci,
                pni,
                registered_at: at,
                number: number.known().cloned(),
                identity: identity.clone(),
                reach: Reach::from(access),
                storage_devices: can_store(primary)
                    .then_some(primary.id)
                    .into_iter()
                    .collect(),
            }
        };
    match event {
        AccountEvent::AccountRegistered(e) => {
            drafts.put(row(&e.number, e.pni, &e.identity, &e.access, &e.primary));
        }
        AccountEvent::AccountReregistered(e) => {
            let anew = row(&e.number, e.pni, &e.identity, &e.access, &e.primary);
            drafts.patch(aci, AccountPatch::Reregistered(Box::new(anew)));
        }
        AccountEvent::DeviceLinked(e) => {
            drafts.patch(
                aci,
                AccountPatch::Storage(e.device.id, can_store(&e.device)),
            );
        }
        AccountEvent::DeviceRemoved(e) => {
            drafts.patch(aci, AccountPatch::Storage(e.device, false));
        }
        AccountEvent::AttributesChanged(e) => {
            let storage = e.traits.capabilities.contains(&Capability::Storage);
            drafts.patch(aci, AccountPatch::Reach(Reach::from(&e.access)));
            drafts.patch(aci, AccountPatch::Storage(e.device, storage));
        }
        AccountEvent::IdentityKeySet(e) => {
            drafts.patch(aci, AccountPatch::IdentityKey(e.identity, e.key.clone()));
        }
        AccountEvent::AccountDeleted(_) => drafts.remove(aci),
        AccountEvent::RegistrationLockFailed(_)
        | AccountEvent::RecoveryPasswordDropped(_)
        | AccountEvent::DeviceSeen(_) => {}
    }
}

fn can_store(device: &NewDevice) -> bool {
    device.traits.capabilities.contains(&Capability::Storage)
}

async fn load(connection: &mut PgConnection, keys: &[Aci]) -> Result<Vec<AccountRow>, sqlx::Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("SELECT * FROM accounts_v1 WHERE aci = ANY($1)")
        .bind(column(keys, |aci| aci.uuid()))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(sqlx::Error::Decode)
}

/// Reads a row. Its number is taken as it stands: it was valid when it came.
pub(super) fn read(row: &sqlx::postgres::PgRow) -> Result<AccountRow, BoxError> {
    let storage: Vec<i16> = get(row, "storage_devices")?;
    let number: Option<String> = get(row, "number")?;
    Ok(AccountRow {
        aci: Aci::from_uuid(get(row, "aci")?),
        pni: Pni::from_uuid(get(row, "pni")?),
        registered_at: timestamp(row, "registered_at")?,
        number: number.map(E164::try_from).transpose()?,
        identity: IdentityKeys {
            aci: bytes(row, "aci_identity_key")?,
            pni: bytes(row, "pni_identity_key")?,
        },
        reach: Reach {
            access_key: bytes(row, "access_key")?,
            unrestricted: get(row, "unrestricted")?,
            discoverable: get(row, "discoverable")?,
        },
        storage_devices: storage
            .into_iter()
            .map(|id| Ok(DeviceId::try_from(u32::try_from(id)?)?))
            .collect::<Result<_, BoxError>>()?,
    })
}

async fn delete(connection: &mut PgConnection, keys: &[Aci]) -> Result<(), sqlx::Error> {
    if !keys.is_empty() {
        sqlx::query("DELETE FROM accounts_v1 WHERE aci = ANY($1)")
            .bind(column(keys, |aci| aci.uuid()))
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn store(connection: &mut PgConnection, rows: &[AccountRow]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO accounts_v1 (aci, pni, registered_at, unrestricted, discoverable, storage_devices, number,
                                  aci_identity_key, pni_identity_key, access_key)
         SELECT aci, pni, registered_at, unrestricted, discoverable,
                string_to_array(storage_devices, ',')::smallint[], number,
                aci_identity_key, pni_identity_key, access_key
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[], $5::boolean[], $6::text[], $7::text[],
                     $8::bytea[], $9::bytea[], $10::bytea[])
              AS t(aci, pni, registered_at, unrestricted, discoverable, storage_devices, number,
                   aci_identity_key, pni_identity_key, access_key)
         ON CONFLICT (aci) DO UPDATE SET
             pni = excluded.pni, registered_at = excluded.registered_at, unrestricted = excluded.unrestricted,
             discoverable = excluded.discoverable, storage_devices = excluded.storage_devices,
             number = excluded.number, aci_identity_key = excluded.aci_identity_key,
             pni_identity_key = excluded.pni_identity_key, access_key = excluded.access_key",
    )
    .bind(column(rows, |row| row.aci.uuid()))
    .bind(column(rows, |row| row.pni.uuid()))
    .bind(column(rows, |row| row.registered_at.to_i64()))
    .bind(column(rows, |row| row.reach.unrestricted))
    .bind(column(rows, |row| row.reach.discoverable))
    .bind(column(rows, |row| joined(row.storage_devices.iter().copied().map(device_column))))
    .bind(column(rows, |row| row.number.as_ref().map(E164::as_str)))
    .bind(column(rows, |row| row.identity.aci.as_ref().map(AsRef::as_ref)))
    .bind(column(rows, |row| row.identity.pni.as_ref().map(AsRef::as_ref)))
    .bind(column(rows, |row| row.reach.access_key.as_ref().map(AsRef::as_ref)))
    .execute(connection)
    .await?;
    Ok(())
}
