//! Verification sessions as rows.

use events::verification::Proof;
use events::{E164, Pni, Position, SessionId, Timestamp};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::{Checks, Sends, VerificationSession};
use crate::columns::{BoxError, column, count, get, joined, optional_timestamp, timestamp};
use crate::rows;

const PUSH_CHALLENGE: &str = "pushChallenge";
const CAPTCHA: &str = "captcha";

const fn name(proof: Proof) -> &'static str {
    match proof {
        Proof::PushChallenge => PUSH_CHALLENGE,
        Proof::Captcha => CAPTCHA,
    }
}

fn proofs(row: &PgRow, column: &str) -> Result<Vec<Proof>, BoxError> {
    let names: Vec<String> = get(row, column)?;
    let proof = |name: &String| match name.as_str() {
        PUSH_CHALLENGE => Ok(Proof::PushChallenge),
        CAPTCHA => Ok(Proof::Captcha),
        other => Err(format!("proof {other:?}").into()),
    };
    names.iter().map(proof).collect()
}

/// Reads a row.
pub(super) fn read(row: &PgRow) -> Result<VerificationSession, BoxError> {
    Ok(VerificationSession {
        id: SessionId::from_uuid(get(row, "session")?),
        number: get::<Option<&str>>(row, "number")?
            .map(E164::stored)
            .transpose()?,
        pni: Pni::from_uuid(get(row, "pni")?),
        required: proofs(row, "required")?,
        submitted: proofs(row, "submitted")?,
        sms: Sends {
            count: count(row, "sms_count")?,
            first: optional_timestamp(row, "first_sms_at")?,
            last: optional_timestamp(row, "last_sms_at")?,
            closed: get(row, "sms_closed")?,
        },
        voice: Sends {
            count: count(row, "voice_count")?,
            first: optional_timestamp(row, "first_voice_at")?,
            last: optional_timestamp(row, "last_voice_at")?,
            closed: get(row, "voice_closed")?,
        },
        checks: checks(row)?,
        verified: get(row, "verified")?,
        started_at: timestamp(row, "started_at")?,
        last_action_at: timestamp(row, "last_action_at")?,
        as_of: Position(u64::try_from(get::<i64>(row, "as_of")?)?),
    })
}

fn checks(row: &PgRow) -> Result<Option<Checks>, BoxError> {
    let Some(count) = get::<Option<i32>>(row, "check_count")? else {
        return Ok(None);
    };
    let last = optional_timestamp(row, "last_check_at")?;
    Ok(Some(Checks {
        count: u32::try_from(count)?,
        last,
    }))
}

/// The rows of these sessions, as far as there are any.
pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &[SessionId],
) -> Result<Vec<VerificationSession>, sqlx::Error> {
    rows::load(connection, keys, read, || {
        sqlx::query("SELECT * FROM verification_sessions_v1 WHERE session = ANY($1)")
            .bind(column(keys, |session| session.uuid()))
    })
    .await
}

/// Removes all sessions about these numbers.
pub(super) async fn wipe(
    connection: &mut PgConnection,
    numbers: &[Pni],
) -> Result<(), sqlx::Error> {
    rows::change(connection, numbers, || {
        sqlx::query("DELETE FROM verification_sessions_v1 WHERE pni = ANY($1)")
            .bind(column(numbers, |pni| pni.uuid()))
    })
    .await
}

/// Removes these sessions.
pub(super) async fn delete(
    connection: &mut PgConnection,
    keys: &[SessionId],
) -> Result<(), sqlx::Error> {
    rows::change(connection, keys, || {
        sqlx::query("DELETE FROM verification_sessions_v1 WHERE session = ANY($1)")
            .bind(column(keys, |session| session.uuid()))
    })
    .await
}

/// Inserts or replaces these sessions.
pub(super) async fn store(
    connection: &mut PgConnection,
    rows: &[VerificationSession],
) -> Result<(), sqlx::Error> {
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let millis = |at: Option<Timestamp>| at.map(Timestamp::to_i64);
    let names = |proofs: &[Proof]| joined(proofs.iter().copied().map(name));
    rows::change(connection, rows, || {
        sqlx::query(
            "INSERT INTO verification_sessions_v1 (session, pni, as_of, started_at, last_action_at, first_sms_at,
                 last_sms_at, first_voice_at, last_voice_at, last_check_at, sms_count, voice_count, check_count,
                 sms_closed, voice_closed, verified, required, submitted, number)
             SELECT session, pni, as_of, started_at, last_action_at, first_sms_at,
                 last_sms_at, first_voice_at, last_voice_at, last_check_at, sms_count, voice_count, check_count,
                 sms_closed, voice_closed, verified, string_to_array(required, ','), string_to_array(submitted, ','), number
             FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                         $8::bigint[], $9::bigint[], $10::bigint[], $11::integer[], $12::integer[], $13::integer[],
                         $14::boolean[], $15::boolean[], $16::boolean[], $17::text[], $18::text[], $19::text[])
                  AS t(session, pni, as_of, started_at, last_action_at, first_sms_at,
                       last_sms_at, first_voice_at, last_voice_at, last_check_at, sms_count, voice_count, check_count,
                       sms_closed, voice_closed, verified, required, submitted, number)
             ON CONFLICT (session) DO UPDATE SET
                 pni = excluded.pni, as_of = excluded.as_of, started_at = excluded.started_at,
                 last_action_at = excluded.last_action_at, first_sms_at = excluded.first_sms_at,
                 last_sms_at = excluded.last_sms_at, first_voice_at = excluded.first_voice_at,
                 last_voice_at = excluded.last_voice_at, last_check_at = excluded.last_check_at,
                 sms_count = excluded.sms_count, voice_count = excluded.voice_count, check_count = excluded.check_count,
                 sms_closed = excluded.sms_closed, voice_closed = excluded.voice_closed, verified = excluded.verified,
                 required = excluded.required, submitted = excluded.submitted, number = excluded.number",
        )
        .bind(column(rows, |row| row.id.uuid()))
        .bind(column(rows, |row| row.pni.uuid()))
        .bind(column(rows, |row| row.as_of.to_i64()))
        .bind(column(rows, |row| row.started_at.to_i64()))
        .bind(column(rows, |row| row.last_action_at.to_i64()))
        .bind(column(rows, |row| millis(row.sms.first)))
        .bind(column(rows, |row| millis(row.sms.last)))
        .bind(column(rows, |row| millis(row.voice.first)))
        .bind(column(rows, |row| millis(row.voice.last)))
        .bind(column(rows, |row| millis(row.checks.and_then(|it| it.last))))
        .bind(column(rows, |row| number(row.sms.count)))
        .bind(column(rows, |row| number(row.voice.count)))
        .bind(column(rows, |row| row.checks.map(|it| number(it.count))))
        .bind(column(rows, |row| row.sms.closed))
        .bind(column(rows, |row| row.voice.closed))
        .bind(column(rows, |row| row.verified))
        .bind(column(rows, |row| names(&row.required)))
        .bind(column(rows, |row| names(&row.submitted)))
        .bind(column(rows, |row| row.number.as_ref().map(E164::as_str)))
    })
    .await
}
