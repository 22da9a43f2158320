//! Questions about verification sessions.

use events::SessionId;
use sqlx::PgPool;

use super::{TABLE, VerificationSession, row};
use crate::QueryError;

/// Questions about verification sessions.
#[derive(Clone, Debug)]
pub struct VerificationSessionQueries(pub(crate) PgPool);

impl VerificationSessionQueries {
    /// The session of this id. Whether it has expired is for the rules to say.
    pub async fn by_id(&self, id: SessionId) -> Result<Option<VerificationSession>, QueryError> {
        let row = sqlx::query("SELECT * FROM verification_sessions_v1 WHERE session = $1")
            .bind(id.uuid())
            .fetch_optional(&self.0)
            .await?;
        row.as_ref()
            .map(row::read)
            .transpose()
            .map_err(QueryError::damaged(TABLE))
    }
}
