//! Questions about profiles.

use events::Aci;
use events::values::profile::{ProfileFields, ProfileVersion};
use sqlx::PgPool;
use sqlx::postgres::PgRow;

use super::row::{read, version_column};
use super::{StoredProfile, TABLE};
use crate::QueryError;
use crate::columns::{BoxError, get};

/// Questions about profiles.
#[derive(Clone, Debug)]
pub struct ProfileQueries(pub(crate) PgPool);

impl ProfileQueries {
    /// One version of an account's profile.
    pub async fn version(
        &self,
        aci: Aci,
        version: ProfileVersion,
    ) -> Result<Option<StoredProfile>, QueryError> {
        let row = sqlx::query(
            "SELECT p.*, payloads.bytes AS ciphertext,
                    written IS NOT NULL
                         AND NOT EXISTS (SELECT FROM profiles_v1 later
                                         WHERE later.aci = p.aci AND later.written > p.written) AS current
             FROM profiles_v1 p LEFT JOIN log.payloads ON payloads.id = p.fields
             WHERE aci = $1 AND version = $2",
        )
        .bind(aci.uuid())
        .bind(version_column(Some(version)))
        .fetch_optional(&self.0)
        .await?;
        row.as_ref().map(version_of).transpose()
    }

    /// The version that was written last.
    pub async fn current(&self, aci: Aci) -> Result<Option<StoredProfile>, QueryError> {
        let row = sqlx::query(
            "SELECT p.*, payloads.bytes AS ciphertext, true AS current
             FROM profiles_v1 p LEFT JOIN log.payloads ON payloads.id = p.fields
             WHERE aci = $1 AND written IS NOT NULL ORDER BY written DESC LIMIT 1",
        )
        .bind(aci.uuid())
        .fetch_optional(&self.0)
        .await?;
        row.as_ref().map(version_of).transpose()
    }
}

fn version_of(row: &PgRow) -> Result<StoredProfile, QueryError> {
    stored(row).map_err(QueryError::damaged(TABLE))
}

fn stored(row: &PgRow) -> Result<StoredProfile, BoxError> {
    let version = read(row)?;
    let ciphertext: Option<Vec<u8>> = get(row, "ciphertext")?;
    Ok(StoredProfile {
        fields: ciphertext
            .map(|bytes| ProfileFields::read(&bytes))
            .transpose()?,
        commitment: version.commitment,
        avatar: version.avatar,
        current: get(row, "current")?,
    })
}
