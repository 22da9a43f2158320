//! The keys that open personal values.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::personal::{KeyId, KeysUnavailable, Subject, SubjectKey, SubjectKeys};
use events::ports::Entropy;
use events::{Aci, Pni, SessionId, Timestamp};
use moka::future::Cache;
use sqlx::PgPool;
use uuid::Uuid;

use crate::cause;

/// How long a node may go on opening values after another node has destroyed their key.
const REMEMBERED_FOR: Duration = Duration::from_mins(1);

const REMEMBERED: u64 = 10_000;

/// The subject keys beside the log, in the same database.
///
/// Keys that were found are remembered for 60 seconds: a key destroyed on another node opens values here for that long
/// at the most; one destroyed here is forgotten at once. [`SubjectKeys::obtain`] always asks the database, so nothing is
/// ever sealed with a key that is gone.
#[derive(Clone)]
pub struct PgSubjectKeys {
    pool: PgPool,
    entropy: Arc<dyn Entropy>,
    remembered: Cache<KeyId, SubjectKey>,
}

type Row = (Uuid, Vec<u8>);

/// Subject, kind, owner, end of the life before.
type SubjectRow = (Uuid, i16, Uuid, Option<i64>);

/// The kinds of subjects, as stored.
const ACCOUNT: i16 = 0;
const RETURNED: i16 = 1;
const SESSION: i16 = 2;

/// Kind, owner, end of the life before.
fn columns(subject: Subject) -> (i16, Uuid, Option<i64>) {
    match subject {
        Subject::Account(aci) => (ACCOUNT, aci.uuid(), None),
        Subject::Returned(aci, deleted) => (RETURNED, aci.uuid(), Some(deleted.to_i64())),
        Subject::Session(_, pni) => (SESSION, pni.uuid(), None),
    }
}

fn subject((id, kind, owner, before): SubjectRow) -> Result<Subject, KeysUnavailable> {
    let before = before
        .and_then(|at| u64::try_from(at).ok())
        .and_then(|at| Timestamp::from_epoch_millis(at).ok());
    match (kind, before) {
        (ACCOUNT, _) => Ok(Subject::Account(Aci::from_uuid(owner))),
        (RETURNED, Some(before)) => Ok(Subject::Returned(Aci::from_uuid(owner), before)),
        (SESSION, _) => Ok(Subject::Session(
            SessionId::from_uuid(id),
            Pni::from_uuid(owner),
        )),
        _ => Err(KeysUnavailable(
            format!("the key of subject {id} is of an unknown kind").into(),
        )),
    }
}

impl PgSubjectKeys {
    /// On the database of `pool`; new keys are drawn from `entropy`.
    pub fn new(pool: PgPool, entropy: Arc<dyn Entropy>) -> Self {
        let remembered = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(REMEMBERED_FOR)
            .build();
        Self {
            pool,
            entropy,
            remembered,
        }
    }

    async fn current(&self, subject: Subject) -> Result<Option<SubjectKey>, sqlx::Error> {
        let row: Option<Row> =
            sqlx::query_as("SELECT key_id, secret FROM log.subject_keys WHERE subject = $1")
                .bind(subject.uuid())
                .fetch_optional(&self.pool)
                .await?;
        row.map(key).transpose()
    }

    async fn offer(&self, subject: Subject, key: &SubjectKey) -> Result<(), sqlx::Error> {
        let (kind, owner, deleted_before) = columns(subject);
        sqlx::query(
            "INSERT INTO log.subject_keys (key_id, subject, secret, kind, owner, deleted_before)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (subject) DO NOTHING",
        )
        .bind(key.id.0)
        .bind(subject.uuid())
        .bind(key.secret().as_slice())
        .bind(kind)
        .bind(owner)
        .bind(deleted_before)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    async fn load(&self, ids: &[Uuid]) -> Result<Vec<SubjectKey>, sqlx::Error> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT key_id, secret FROM log.subject_keys WHERE key_id = ANY($1)")
                .bind(ids)
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter().map(key).collect()
    }
}

fn key((id, secret): Row) -> Result<SubjectKey, sqlx::Error> {
    let secret: [u8; 32] = secret.try_into().map_err(|_| {
        sqlx::Error::Decode(format!("the secret of key {id} does not have 32 bytes").into())
    })?;
    Ok(SubjectKey::new(KeyId(id), secret))
}

#[async_trait]
impl SubjectKeys for PgSubjectKeys {
    async fn obtain(&self, subject: Subject) -> Result<SubjectKey, KeysUnavailable> {
        loop {
            let found = self
                .current(subject)
                .await
                .map_err(|e| KeysUnavailable(cause(e)))?;
            if let Some(key) = found {
                return Ok(key);
            }
            // Whoever comes first wins; the next look finds that key (unless it was destroyed in between).
            let fresh = SubjectKey::generate(self.entropy.as_ref());
            self.offer(subject, &fresh)
                .await
                .map_err(|e| KeysUnavailable(cause(e)))?;
        }
    }

    async fn find(&self, ids: &[KeyId]) -> Result<HashMap<KeyId, SubjectKey>, KeysUnavailable> {
        let mut found = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.remembered.get(id).await {
                Some(key) => drop(found.insert(*id, key)),
                None => missing.push(id.0),
            }
        }
        if !missing.is_empty() {
            for key in self
                .load(&missing)
                .await
                .map_err(|e| KeysUnavailable(cause(e)))?
            {
                self.remembered.insert(key.id, key.clone()).await;
                found.insert(key.id, key);
            }
        }
        Ok(found)
    }

    async fn destroy(&self, subject: Subject) -> Result<bool, KeysUnavailable> {
        let destroyed: Option<Uuid> =
            sqlx::query_scalar("DELETE FROM log.subject_keys WHERE subject = $1 RETURNING key_id")
                .bind(subject.uuid())
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| KeysUnavailable(cause(e)))?;
        if let Some(id) = destroyed {
            self.remembered.invalidate(&KeyId(id)).await;
        }
        Ok(destroyed.is_some())
    }

    async fn subjects(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Subject>, KeysUnavailable> {
        let rows: Vec<SubjectRow> = sqlx::query_as(
            "SELECT subject, kind, owner, deleted_before FROM log.subject_keys
             WHERE $1::uuid IS NULL OR subject > $1 ORDER BY subject LIMIT $2",
        )
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(|e| KeysUnavailable(cause(e)))?;
        rows.into_iter().map(subject).collect()
    }

    async fn sessions_of(&self, pni: Pni) -> Result<Vec<Subject>, KeysUnavailable> {
        let rows: Vec<SubjectRow> = sqlx::query_as(
            "SELECT subject, kind, owner, deleted_before FROM log.subject_keys WHERE owner = $1 AND kind = $2",
        )
        .bind(pni.uuid())
        .bind(SESSION)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| KeysUnavailable(cause(e)))?;
        rows.into_iter().map(subject).collect()
    }
}
