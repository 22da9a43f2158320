//! Questions about accounts.

use events::{Aci, ServiceId};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::{Account, TABLE, apply};
use crate::QueryError;

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
    let row = apply::read(row).map_err(QueryError::damaged(TABLE))?;
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
    })
}
