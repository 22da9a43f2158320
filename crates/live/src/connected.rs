//! Who is connected, to whichever node.

use std::collections::HashSet;
use std::time::Duration;

use events::ids::DeviceAddress;
use sqlx::PgPool;

use crate::tables;

/// Answers who is connected. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connected {
    pool: PgPool,
    absent: Duration,
}

impl Connected {
    /// Nodes that were silent for `absent` do not count.
    pub const fn new(pool: PgPool, absent: Duration) -> Self {
        Self { pool, absent }
    }

    /// Those of the devices to which some node delivers messages at this moment.
    pub async fn among(
        &self,
        devices: &[DeviceAddress],
    ) -> Result<HashSet<DeviceAddress>, sqlx::Error> {
        tables::connected(&self.pool, devices, self.absent).await
    }
}
