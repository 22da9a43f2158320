//! Questions about accounts.

use events::values::keys::EcPublicKey;
use events::values::username::{EncryptedUsername, UsernameHash};
use events::{Aci, LinkHandle, ServiceId};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{Account, TABLE, row};
use crate::QueryError;
use crate::columns::{BoxError, bytes, column, get, kind_column, service_id};

/// Questions about accounts.
#[derive(Clone, Debug)]
pub struct AccountQueries(pub(crate) PgPool);

impl AccountQueries {
    /// The account of this id.
    pub async fn by_aci(&self, aci: Aci) -> Result<Option<Account>, QueryError> {
        let row = sqlx::query("SELECT * FROM accounts_v1 WHERE aci = $1")
            .bind(aci.uuid())
            .fetch_optional(&self.0)
            .await?;
        row.as_ref().map(account).transpose()
    }

    /// The account that is addressed by itself or by its number's pseudonym.
    pub async fn by_service_id(&self, id: ServiceId) -> Result<Option<Account>, QueryError> {
        let ServiceId::Pni(pni) = id else {
            return self.by_aci(Aci::from_uuid(id.uuid())).await;
        };
        let row = sqlx::query(
            "SELECT * FROM accounts_v1 WHERE pni = $1 ORDER BY registered_at DESC LIMIT 1",
        )
        .bind(pni.uuid())
        .fetch_optional(&self.0)
        .await?;
        row.as_ref().map(account).transpose()
    }

    /// The keys of these identities, as far as they exist and have one.
    pub async fn identity_keys(
        &self,
        identities: &[ServiceId],
    ) -> Result<Vec<(ServiceId, EcPublicKey)>, QueryError> {
        let rows = sqlx::query(
            "SELECT w.kind, w.identity, CASE w.kind WHEN 0 THEN a.aci_identity_key ELSE a.pni_identity_key END AS key
             FROM unnest($1::smallint[], $2::uuid[]) AS w(kind, identity)
             JOIN accounts_v1 a ON (w.kind = 0 AND a.aci = w.identity) OR (w.kind = 1 AND a.pni = w.identity)",
        )
        .bind(column(identities, |id| kind_column(*id)))
        .bind(column(identities, |id| id.uuid()))
        .fetch_all(&self.0)
        .await?;
        let keys = rows.iter().map(|row| {
            let identity = service_id(get(row, "kind")?, get(row, "identity")?)?;
            Ok(bytes(row, "key")?.map(|key| (identity, key)))
        });
        let keys: Result<Vec<_>, BoxError> = keys.filter_map(Result::transpose).collect();
        keys.map_err(QueryError::damaged(TABLE))
    }

    /// The account that has the username.
    pub async fn by_username(&self, hash: UsernameHash) -> Result<Option<Aci>, QueryError> {
        let aci =
            sqlx::query_scalar("SELECT aci FROM accounts_v1 WHERE username_hash = $1 LIMIT 1")
                .bind(hash.as_ref())
                .fetch_optional(&self.0)
                .await?;
        Ok(aci.map(Aci::from_uuid))
    }

    /// The encrypted username behind a link.
    pub async fn behind_link(
        &self,
        handle: LinkHandle,
    ) -> Result<Option<EncryptedUsername>, QueryError> {
        let value: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT link_value FROM accounts_v1 WHERE link_handle = $1 LIMIT 1")
                .bind(handle.uuid())
                .fetch_optional(&self.0)
                .await?
                .flatten();
        let value = value.map(EncryptedUsername::try_from);
        value.transpose().map_err(QueryError::damaged(TABLE))
    }

    /// Whether there is such an account.
    pub async fn exists(&self, id: ServiceId) -> Result<bool, QueryError> {
        let question = match id {
            ServiceId::Aci(_) => "SELECT EXISTS (SELECT FROM accounts_v1 WHERE aci = $1)",
            ServiceId::Pni(_) => "SELECT EXISTS (SELECT FROM accounts_v1 WHERE pni = $1)",
        };
        Ok(sqlx::query_scalar(question)
            .bind(id.uuid())
            .fetch_one(&self.0)
            .await?)
    }
}

fn account(row: &PgRow) -> Result<Account, QueryError> {
    let row = row::read(row).map_err(QueryError::damaged(TABLE))?;
    Ok(Account {
        aci: row.aci,
        pni: row.pni,
        number: row.number,
        identity: row.identity,
        access_key: row.reach.access_key,
        unrestricted: row.reach.unrestricted,
        discoverable: row.reach.discoverable,
        registered_at: row.registered_at,
        storage_capable: !row.storage_devices.is_empty(),
        username: row.username,
        totp_keys: row.totp_keys,
        zk_credential: row.zk_credential,
        backup: row.backup,
    })
}
