//! Which devices are to be woken, and when.

use std::time::Duration;

use events::ids::DeviceAddress;
use events::{Aci, DeviceId, EventId, Generation};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

/// How long pushes keep apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// Between a push and the next urgent one to the same device.
    pub urgent: Duration,
    /// Before a push that is not urgent, and between two of them.
    pub calm: Duration,
    /// Before a device is woken that left while messages waited for it.
    pub left: Duration,
    /// Before the first further attempt. It doubles with each.
    pub retry: Duration,
    /// The longest between two attempts, and how long a node may take for one.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            urgent: Duration::from_secs(5),
            calm: Duration::from_mins(10),
            left: Duration::from_mins(1),
            retry: Duration::from_secs(2),
            longest: Duration::from_mins(10),
        }
    }
}

/// After so many attempts in vain a push is given up: the next message makes it due again.
const ATTEMPTS: i32 = 12;

/// The table of what is due.
#[derive(Clone, Debug)]
pub struct Wakes {
    database: PgPool,
    pauses: Pauses,
}

/// Messages that came for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) to: DeviceAddress,
    /// Whether any of them is.
    pub(super) urgent: bool,
    /// The last of them.
    pub(super) cause: Cause,
}

/// An event, and the chain of requests that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) event: EventId,
    pub(super) chain: Uuid,
}

/// A device whose turn it is. Nobody else takes it before the claim has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DueWake {
    pub(super) address: DeviceAddress,
    pub(super) urgent: bool,
    pub(super) attempts: i32,
    /// The message that made it due; `None` if it only left.
    pub(super) cause: Option<Cause>,
}

fn device_column(address: DeviceAddress) -> i16 {
    i16::from(address.device.get())
}

/// Devices as columns: their accounts, numbers and generations.
fn columns(devices: impl Iterator<Item = DeviceAddress>) -> (Vec<Uuid>, Vec<i16>, Vec<i64>) {
    devices
        .map(|it| (it.aci.uuid(), device_column(it), i64::from(it.generation.0)))
        .collect()
}

fn read(row: &PgRow) -> Result<DueWake, sqlx::Error> {
    let damaged = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let device = u32::try_from(row.try_get::<i16, _>("device")?);
    let generation = u32::try_from(row.try_get::<i64, _>("generation")?);
    let (cause, chain): (Option<Uuid>, Option<Uuid>) =
        (row.try_get("cause")?, row.try_get("chain")?);
    let device = device.map_err(|error| damaged(error.into()))?;
    Ok(DueWake {
        address: DeviceAddress {
            aci: Aci::from_uuid(row.try_get("aci")?),
            device: DeviceId::try_from(device).map_err(|error| damaged(error.into()))?,
            generation: Generation(generation.map_err(|error| damaged(error.into()))?),
        },
        urgent: row.try_get("urgent")?,
        attempts: row.try_get("attempts")?,
        cause: cause.zip(chain).map(|(event, chain)| Cause {
            event: EventId::from_uuid(event),
            chain,
        }),
    })
}

impl Wakes {
    /// The table in this database.
    pub const fn new(database: PgPool, pauses: Pauses) -> Self {
        Self { database, pauses }
    }

    /// Messages came for these devices.
    pub(super) async fn note(&self, came: &[Came]) -> Result<(), sqlx::Error> {
        if came.is_empty() {
            return Ok(());
        }
        let (acis, numbers, generations) = columns(came.iter().map(|it| it.to));
        sqlx::query(
            "INSERT INTO live.wakes AS w (aci, device, generation, urgent, due, cause, chain)
             SELECT aci, device, generation, urgent,
                    now() + make_interval(secs => CASE WHEN urgent THEN 0 ELSE $6 END), cause, chain
             FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::boolean[], $7::uuid[], $8::uuid[])
                  AS came(aci, device, generation, urgent, cause, chain)
             ON CONFLICT (aci, device, generation) DO UPDATE SET
                 urgent = w.urgent OR excluded.urgent,
                 attempts = CASE WHEN w.due IS NULL THEN 0 ELSE w.attempts END,
                 due = least(w.due, greatest(excluded.due,
                     w.pushed_at + make_interval(secs => CASE WHEN excluded.urgent THEN $5 ELSE $6 END))),
                 cause = excluded.cause, chain = excluded.chain",
        )
        .bind(acis)
        .bind(numbers)
        .bind(generations)
        .bind(came.iter().map(|it| it.urgent).collect::<Vec<_>>())
        .bind(self.pauses.urgent.as_secs_f64())
        .bind(self.pauses.calm.as_secs_f64())
        .bind(came.iter().map(|it| it.cause.event.uuid()).collect::<Vec<_>>())
        .bind(came.iter().map(|it| it.cause.chain).collect::<Vec<_>>())
        .execute(&self.database)
        .await?;
        Ok(())
    }

    /// A device has left. Should messages wait for it, it is woken in a while.
    pub async fn left(&self, devices: &[DeviceAddress]) -> Result<(), sqlx::Error> {
        let (acis, numbers, generations) = columns(devices.iter().copied());
        sqlx::query(
            "INSERT INTO live.wakes AS w (aci, device, generation, urgent, due)
             SELECT aci, device, generation, true, now() + make_interval(secs => $4)
             FROM unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS gone(aci, device, generation)
             ON CONFLICT (aci, device, generation) DO UPDATE SET due = least(w.due, excluded.due)",
        )
        .bind(acis)
        .bind(numbers)
        .bind(generations)
        .bind(self.pauses.left.as_secs_f64())
        .execute(&self.database)
        .await?;
        Ok(())
    }

    /// Takes at most `limit` devices whose turn it is. Should this node die meanwhile, their turn comes again.
    pub(super) async fn take(&self, limit: i64) -> Result<Vec<DueWake>, sqlx::Error> {
        let rows = sqlx::query(
            "UPDATE live.wakes SET due = now() + make_interval(secs => $2), attempts = attempts + 1
             WHERE (aci, device, generation) IN (
                 SELECT aci, device, generation FROM live.wakes WHERE due <= now()
                 ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED)
             RETURNING aci, device, generation, urgent, attempts, cause, chain",
        )
        .bind(limit)
        .bind(self.pauses.longest.as_secs_f64())
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(read).collect()
    }

    /// It was woken. What came meanwhile stays due.
    pub(super) async fn pushed(&self, wake: &DueWake) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE live.wakes SET pushed_at = now(), urgent = false, attempts = 0,
                 due = CASE WHEN due > now() + make_interval(secs => $4) THEN NULL
                            ELSE due + make_interval(secs => $5) END
             WHERE aci = $1 AND device = $2 AND generation = $3",
        )
        .bind(wake.address.aci.uuid())
        .bind(device_column(wake.address))
        .bind(i64::from(wake.address.generation.0))
        .bind(self.pauses.longest.as_secs_f64() / 2.0)
        .bind(self.pauses.urgent.as_secs_f64())
        .execute(&self.database)
        .await?;
        Ok(())
    }

    /// It could not be woken: once more in a while, or not at all if that was tried often enough.
    pub(super) async fn again(
        &self,
        wake: &DueWake,
        asked: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        let doublings = u32::try_from(wake.attempts - 1).unwrap_or_default().min(16);
        let pause = (self.pauses.retry * 2_u32.pow(doublings)).min(self.pauses.longest);
        let pause = pause.max(asked.unwrap_or_default().min(Duration::from_hours(1)));
        sqlx::query(
            "UPDATE live.wakes SET due = CASE WHEN attempts >= $5 THEN NULL
                                              ELSE now() + make_interval(secs => $4) END
             WHERE aci = $1 AND device = $2 AND generation = $3",
        )
        .bind(wake.address.aci.uuid())
        .bind(device_column(wake.address))
        .bind(i64::from(wake.address.generation.0))
        .bind(pause.as_secs_f64())
        .bind(ATTEMPTS)
        .execute(&self.database)
        .await?;
        Ok(())
    }

    /// There is nothing to wake these devices for, or no way to.
    pub(super) async fn forget(&self, devices: &[DeviceAddress]) -> Result<(), sqlx::Error> {
        let (acis, numbers, generations) = columns(devices.iter().copied());
        sqlx::query(
            "DELETE FROM live.wakes w
             USING unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS gone(aci, device, generation)
             WHERE w.aci = gone.aci AND w.device = gone.device AND w.generation = gone.generation",
        )
        .bind(acis)
        .bind(numbers)
        .bind(generations)
        .execute(&self.database)
        .await?;
        Ok(())
    }
}
