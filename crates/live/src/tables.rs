//! Every statement on the tables, set-wise.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use events::ids::DeviceAddress;
use events::{Aci, DeviceId, Generation};
use locks::Task;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, Postgres, Row as _, Transaction};
use uuid::Uuid;

/// The channel on which a node is told that something waits for it.
pub(crate) fn channel(node: Uuid) -> String {
    format!("live_{}", node.simple())
}

/// A socket of ours and the device whose messages it gets.
pub(crate) type Held = (DeviceAddress, u64);

/// Something that waited for a node.
#[derive(Debug)]
pub(crate) struct Parcel {
    number: i64,
    pub(crate) address: DeviceAddress,
    pub(crate) content: Content,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum Content {
    /// This socket has lost the device to one elsewhere.
    Lost(u64),
    /// An envelope for the device.
    Envelope(Bytes),
    /// The socket that the device had on another node has settled.
    Settled,
}

fn column<T, C>(rows: &[T], of: impl FnMut(&T) -> C) -> Vec<C> {
    rows.iter().map(of).collect()
}

fn device_column(address: DeviceAddress) -> i16 {
    i16::from(address.device.get())
}

fn socket_column(socket: u64) -> i64 {
    i64::try_from(socket).expect("no node opens 2^63 sockets")
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn address(row: &PgRow) -> Result<DeviceAddress, sqlx::Error> {
    let device: i16 = row.try_get("device")?;
    let generation: i64 = row.try_get("generation")?;
    Ok(DeviceAddress {
        aci: Aci::from_uuid(row.try_get("aci")?),
        device: u32::try_from(device)
            .map_err(damaged)
            .and_then(|it| DeviceId::try_from(it).map_err(damaged))?,
        generation: Generation(u32::try_from(generation).map_err(damaged)?),
    })
}

fn socket(row: &PgRow) -> Result<Option<u64>, sqlx::Error> {
    let socket: Option<i64> = row.try_get("socket")?;
    socket
        .map(|socket| u64::try_from(socket).map_err(damaged))
        .transpose()
}

/// Waits for the turn to claim or reconcile, which lasts as long as the transaction: of two claims on one device the later
/// one sees the earlier.
pub(crate) async fn take_turn(
    transaction: &mut Transaction<'_, Postgres>,
) -> Result<(), sqlx::Error> {
    locks::wait_in(transaction, Task::Claim).await
}

/// Those of these devices that a living other node has.
pub(crate) async fn held_elsewhere(
    connection: &mut PgConnection,
    node: Uuid,
    held: &[Held],
    absent: Duration,
) -> Result<HashSet<(Aci, DeviceId)>, sqlx::Error> {
    if held.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(
        "SELECT s.aci, s.device, s.generation
         FROM unnest($2::uuid[], $3::smallint[]) AS c(aci, device)
         JOIN live.sockets s USING (aci, device)
         JOIN live.nodes n ON n.node = s.node AND n.seen > now() - make_interval(secs => $4)
         WHERE s.node <> $1",
    )
    .bind(node)
    .bind(column(held, |(it, _)| it.aci.uuid()))
    .bind(column(held, |(it, _)| device_column(*it)))
    .bind(seconds(absent))
    .fetch_all(connection)
    .await?;
    let device = |row: &PgRow| address(row).map(|it| (it.aci, it.device));
    rows.iter().map(device).collect()
}

/// Takes devices, each of them once, and tells the nodes that had them.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    node: Uuid,
    held: &[Held],
) -> Result<(), sqlx::Error> {
    if held.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH claims AS (
             SELECT * FROM unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[])
                           AS c(aci, device, generation, socket)
         ), told AS (
             INSERT INTO live.parcels (node, aci, device, generation, socket)
             SELECT had.node, c.aci, c.device, c.generation, had.socket
             FROM live.sockets had JOIN claims c USING (aci, device) WHERE had.node <> $1
             RETURNING node
         ), taken AS (
             INSERT INTO live.sockets (aci, device, generation, node, socket)
             SELECT aci, device, generation, $1, socket FROM claims
             ON CONFLICT (aci, device) DO UPDATE
             SET generation = excluded.generation, node = excluded.node, socket = excluded.socket
         )
         SELECT count(pg_notify('live_' || replace(node::text, '-', ''), ''))
         FROM (SELECT DISTINCT node FROM told) AS nodes",
    )
    .bind(node)
    .bind(column(held, |(it, _)| it.aci.uuid()))
    .bind(column(held, |(it, _)| device_column(*it)))
    .bind(column(held, |(it, _)| i64::from(it.generation.0)))
    .bind(column(held, |(_, socket)| socket_column(*socket)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives devices up, as far as these sockets still have them.
pub(crate) async fn release(
    connection: &mut PgConnection,
    node: Uuid,
    gone: &[Held],
) -> Result<(), sqlx::Error> {
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM live.sockets s
         USING unnest($2::uuid[], $3::smallint[], $4::bigint[]) AS gone(aci, device, socket)
         WHERE s.aci = gone.aci AND s.device = gone.device AND s.node = $1 AND s.socket = gone.socket",
    )
    .bind(node)
    .bind(column(gone, |(it, _)| it.aci.uuid()))
    .bind(column(gone, |(it, _)| device_column(*it)))
    .bind(column(gone, |(_, socket)| socket_column(*socket)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Tells the nodes that have these devices now that nothing is left to be stored of what they acknowledged here.
pub(crate) async fn settled(
    connection: &mut PgConnection,
    node: Uuid,
    devices: &[DeviceAddress],
) -> Result<(), sqlx::Error> {
    if devices.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH told AS (
             INSERT INTO live.parcels (node, aci, device, generation)
             SELECT s.node, s.aci, s.device, s.generation
             FROM unnest($2::uuid[], $3::smallint[]) AS d(aci, device)
             JOIN live.sockets s USING (aci, device) WHERE s.node <> $1
             RETURNING node
         )
         SELECT count(pg_notify('live_' || replace(node::text, '-', ''), ''))
         FROM (SELECT DISTINCT node FROM told) AS nodes",
    )
    .bind(node)
    .bind(column(devices, |it| it.aci.uuid()))
    .bind(column(devices, |it| device_column(*it)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves envelopes for the nodes that have these devices.
pub(crate) async fn forward(
    connection: &mut PgConnection,
    node: Uuid,
    envelopes: &[(DeviceAddress, Bytes)],
    absent: Duration,
) -> Result<(), sqlx::Error> {
    if envelopes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH sent AS (
             INSERT INTO live.parcels (node, aci, device, generation, envelope)
             SELECT s.node, e.aci, e.device, e.generation, e.envelope
             FROM unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bytea[]) WITH ORDINALITY
                  AS e(aci, device, generation, envelope, place)
             JOIN live.sockets s USING (aci, device, generation)
             JOIN live.nodes n ON n.node = s.node AND n.seen > now() - make_interval(secs => $6)
             WHERE s.node <> $1
             ORDER BY place
             RETURNING node
         )
         SELECT count(pg_notify('live_' || replace(node::text, '-', ''), ''))
         FROM (SELECT DISTINCT node FROM sent) AS nodes",
    )
    .bind(node)
    .bind(column(envelopes, |(it, _)| it.aci.uuid()))
    .bind(column(envelopes, |(it, _)| device_column(*it)))
    .bind(column(envelopes, |(it, _)| i64::from(it.generation.0)))
    .bind(column(envelopes, |(_, envelope)| envelope.to_vec()))
    .bind(seconds(absent))
    .execute(connection)
    .await?;
    Ok(())
}

/// Shows that the node is alive; tells whether nobody knew, so that whatever it held is forgotten.
pub(crate) async fn beat(executor: impl PgExecutor<'_>, node: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO live.nodes (node) VALUES ($1)
         ON CONFLICT (node) DO UPDATE SET seen = now() RETURNING xmax = 0",
    )
    .bind(node)
    .fetch_one(executor)
    .await
}

/// Clears away what dead nodes held, and envelopes that nobody fetched in time; tells of which devices there was a socket.
pub(crate) async fn sweep(
    executor: impl PgExecutor<'_>,
    dead: Duration,
    absent: Duration,
) -> Result<Vec<DeviceAddress>, sqlx::Error> {
    let rows = sqlx::query(
        "WITH dead AS (
             DELETE FROM live.nodes WHERE seen < now() - make_interval(secs => $1) RETURNING node
         ), parcels AS (
             DELETE FROM live.parcels
             WHERE node IN (SELECT node FROM dead)
                OR envelope IS NOT NULL AND sent_at < now() - make_interval(secs => $2)
         )
         DELETE FROM live.sockets WHERE node IN (SELECT node FROM dead) RETURNING aci, device, generation",
    )
    .bind(seconds(dead))
    .bind(seconds(absent))
    .fetch_all(executor)
    .await?;
    rows.iter().map(address).collect()
}

/// Says again what the node holds, wherever nobody else has it; tells which devices somebody else has, in which life, and
/// which sockets lost them.
pub(crate) async fn reconcile(
    connection: &mut PgConnection,
    node: Uuid,
    held: &[Held],
) -> Result<Vec<Held>, sqlx::Error> {
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "WITH held AS (
             SELECT * FROM unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[])
                           AS h(aci, device, generation, socket)
         ), again AS (
             INSERT INTO live.sockets (aci, device, generation, node, socket)
             SELECT aci, device, generation, $1, socket FROM held
             ON CONFLICT (aci, device) DO NOTHING
         )
         SELECT held.aci, held.device, others.generation, held.socket
         FROM held JOIN live.sockets others USING (aci, device) WHERE others.node <> $1",
    )
    .bind(node)
    .bind(column(held, |(it, _)| it.aci.uuid()))
    .bind(column(held, |(it, _)| device_column(*it)))
    .bind(column(held, |(it, _)| i64::from(it.generation.0)))
    .bind(column(held, |(_, socket)| socket_column(*socket)))
    .fetch_all(connection)
    .await?;
    let lost = |row: &PgRow| Ok((address(row)?, socket(row)?.unwrap_or_default()));
    rows.iter().map(lost).collect()
}

/// Takes at most `limit` of what waits for the node, in order.
pub(crate) async fn fetch(
    executor: impl PgExecutor<'_>,
    node: Uuid,
    limit: i64,
) -> Result<Vec<Parcel>, sqlx::Error> {
    let rows = sqlx::query(
        "DELETE FROM live.parcels WHERE node = $1 AND number IN (
             SELECT number FROM live.parcels WHERE node = $1 ORDER BY number LIMIT $2
         ) RETURNING *",
    )
    .bind(node)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    let mut parcels: Vec<Parcel> = rows.iter().map(parcel).collect::<Result<_, _>>()?;
    parcels.sort_unstable_by_key(|parcel| parcel.number);
    Ok(parcels)
}

fn parcel(row: &PgRow) -> Result<Parcel, sqlx::Error> {
    let envelope: Option<Vec<u8>> = row.try_get("envelope")?;
    let content = match (socket(row)?, envelope) {
        (Some(socket), _) => Content::Lost(socket),
        (None, Some(envelope)) => Content::Envelope(envelope.into()),
        (None, None) => Content::Settled,
    };
    Ok(Parcel {
        number: row.try_get("number")?,
        address: address(row)?,
        content,
    })
}

/// Says farewell: the node holds nothing any more.
pub(crate) async fn leave(executor: impl PgExecutor<'_>, node: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH sockets AS (DELETE FROM live.sockets WHERE node = $1),
              parcels AS (DELETE FROM live.parcels WHERE node = $1)
         DELETE FROM live.nodes WHERE node = $1",
    )
    .bind(node)
    .execute(executor)
    .await?;
    Ok(())
}

/// Those of the devices that a living node has.
pub(crate) async fn connected(
    executor: impl PgExecutor<'_>,
    devices: &[DeviceAddress],
    absent: Duration,
) -> Result<HashSet<DeviceAddress>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT s.aci, s.device, s.generation
         FROM unnest($1::uuid[], $2::smallint[], $3::bigint[]) AS asked(aci, device, generation)
         JOIN live.sockets s USING (aci, device, generation)
         JOIN live.nodes n ON n.node = s.node AND n.seen > now() - make_interval(secs => $4)",
    )
    .bind(column(devices, |it| it.aci.uuid()))
    .bind(column(devices, |it| device_column(*it)))
    .bind(column(devices, |it| i64::from(it.generation.0)))
    .bind(seconds(absent))
    .fetch_all(executor)
    .await?;
    rows.iter().map(address).collect()
}
