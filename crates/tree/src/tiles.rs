//! The hashes of all leaves, 256 to a row: what proofs are made from, and by which an edited event is found.

use events::Position;
use events::tree::TreeHash;
use sqlx::PgConnection;

use crate::frontier::Frontier;
use crate::hash;
use crate::proof::Nodes;

/// How many leaves a tile has: 2^[`LEVEL`].
pub const WIDTH: u64 = 1 << LEVEL;
/// The level of a full tile's root.
pub const LEVEL: u32 = 8;

const HASH: usize = 32;

/// The tiles that are stored: how many leaves they have, the root over them, the leaves of a tile that is not full, and the
/// position of the last event.
pub async fn frontier(
    connection: &mut PgConnection,
) -> Result<(Frontier, Vec<TreeHash>, Position), sqlx::Error> {
    let through: Option<i64> = sqlx::query_scalar("SELECT max(through) FROM log.tree_tiles")
        .fetch_one(&mut *connection)
        .await?;
    let mut frontier = Frontier::default();
    for root in roots(connection, u64::MAX).await? {
        frontier.push_full(root, LEVEL);
    }
    let tail = leaves(connection, frontier.size() / WIDTH).await?;
    for leaf in &tail {
        frontier.push(*leaf);
    }
    let through = through.map_or(Position::START, Position::from_i64);
    Ok((frontier, tail, through))
}

/// The tile with the event at `position`, if it is stored, and the position after which it begins.
pub async fn holding(
    connection: &mut PgConnection,
    position: Position,
) -> Result<Option<(u64, Position)>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT tile, coalesce((SELECT before.through FROM log.tree_tiles before WHERE before.tile = t.tile - 1), 0)
         FROM log.tree_tiles t WHERE through >= $1 ORDER BY through LIMIT 1",
    )
    .bind(position.to_i64())
    .fetch_optional(connection)
    .await?;
    let tile = |tile: i64| u64::try_from(tile).unwrap_or_default();
    Ok(found.map(|(number, after)| (tile(number), Position::from_i64(after))))
}

/// The roots of the first `count` full tiles.
async fn roots(connection: &mut PgConnection, count: u64) -> Result<Vec<TreeHash>, sqlx::Error> {
    let roots: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT root FROM log.tree_tiles WHERE root IS NOT NULL AND tile < $1 ORDER BY tile",
    )
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    roots.iter().map(|root| read(root)).collect()
}

/// The leaves of a tile, as far as it is filled.
pub async fn leaves(
    connection: &mut PgConnection,
    tile: u64,
) -> Result<Vec<TreeHash>, sqlx::Error> {
    let stored: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT leaves FROM log.tree_tiles WHERE tile = $1")
            .bind(i64::try_from(tile).unwrap_or(i64::MAX))
            .fetch_optional(connection)
            .await?;
    stored.unwrap_or_default().chunks(HASH).map(read).collect()
}

/// Stores a tile, full or not yet, whose last event stands at `through`.
pub async fn store(
    connection: &mut PgConnection,
    tile: u64,
    through: Position,
    leaves: &[TreeHash],
) -> Result<(), sqlx::Error> {
    let full = leaves.len() as u64 == WIDTH;
    let root = full.then(|| hash::root(leaves).0.to_vec());
    let leaves: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.0).collect();
    sqlx::query(
        "INSERT INTO log.tree_tiles (tile, through, leaves, root) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tile) DO UPDATE SET
             through = excluded.through, leaves = excluded.leaves, root = excluded.root",
    )
    .bind(i64::try_from(tile).unwrap_or(i64::MAX))
    .bind(through.to_i64())
    .bind(leaves)
    .bind(root)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(bytes: &[u8]) -> Result<TreeHash, sqlx::Error> {
    let bytes: [u8; HASH] = bytes
        .try_into()
        .map_err(|_| sqlx::Error::Decode("a node of the tree does not have 32 bytes".into()))?;
    Ok(TreeHash(bytes))
}

/// The nodes that proofs in a tree of a certain size ask for, out of a few rows.
pub struct Stored {
    roots: Vec<TreeHash>,
    /// By tile: its leaves.
    open: Vec<(u64, Vec<TreeHash>)>,
}

impl Stored {
    /// What proofs about these leaves need in a tree of `size` leaves.
    pub async fn load(
        connection: &mut PgConnection,
        about: &[u64],
        size: u64,
    ) -> Result<Self, sqlx::Error> {
        let roots = roots(connection, size / WIDTH).await?;
        let mut open = Vec::new();
        for leaf in about.iter().copied().chain([size]) {
            let tile = leaf / WIDTH;
            open.push((tile, leaves(connection, tile).await?));
        }
        Ok(Self { roots, open })
    }
}

impl Nodes for Stored {
    fn over(&self, start: u64, end: u64) -> TreeHash {
        let tile = start / WIDTH;
        let inside = end <= (tile + 1) * WIDTH;
        if inside && end - start < WIDTH {
            let place = |at: u64| usize::try_from(at - tile * WIDTH).unwrap_or(usize::MAX);
            let found = self.open.iter().find(|(it, _)| *it == tile);
            let found = found.and_then(|(_, leaves)| leaves.get(place(start)..place(end)));
            return found.map_or_else(hash::empty, hash::root);
        }
        if inside {
            let root = usize::try_from(tile)
                .ok()
                .and_then(|tile| self.roots.get(tile));
            return root.copied().unwrap_or_else(hash::empty);
        }
        let middle = start + hash::split(end - start);
        hash::node(&self.over(start, middle), &self.over(middle, end))
    }
}
