//! What an export leaves out unless it is asked for: keys to personal values, and payloads.

use std::io::Write;

use futures::TryStreamExt as _;
use sqlx::Row as _;

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::export::{KeyLine, PayloadLine, Secret};

/// Writes every key and every payload, one a line.
pub(crate) async fn export(
    environment: &Environment,
    out: &mut (dyn Write + Send),
) -> Result<(), ReplayError> {
    let mut keys = sqlx::query(
        "SELECT key_id, subject, owner, kind, deleted_before, encode(secret, 'hex') AS secret
         FROM log.subject_keys ORDER BY subject",
    )
    .fetch(&environment.database);
    while let Some(row) = keys.try_next().await? {
        write(
            KeyLine {
                key_id: row.try_get("key_id")?,
                subject: row.try_get("subject")?,
                owner: row.try_get("owner")?,
                kind: row.try_get("kind")?,
                deleted_before: row.try_get("deleted_before")?,
                secret: row.try_get("secret")?,
            },
            out,
        )?;
    }
    drop(keys);
    let mut payloads =
        sqlx::query("SELECT id, encode(bytes, 'hex') AS bytes FROM log.payloads ORDER BY id")
            .fetch(&environment.database);
    while let Some(row) = payloads.try_next().await? {
        write(
            PayloadLine {
                id: row.try_get("id")?,
                bytes: row.try_get("bytes")?,
            },
            out,
        )?;
    }
    Ok(())
}

fn write(
    secret_of_the_log: impl serde::Serialize,
    out: &mut (dyn Write + Send),
) -> Result<(), ReplayError> {
    let line = serde_json::to_string(&Secret { secret_of_the_log });
    writeln!(out, "{}", line.map_err(std::io::Error::from)?)?;
    Ok(())
}
