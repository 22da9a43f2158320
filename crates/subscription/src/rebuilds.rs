//! Rebuilds under way: whoever does one tells in `projection.rebuilds` how far it is.

use std::collections::BTreeMap;
use std::time::Duration;

use events::Position;
use metrics::gauge;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};

/// A rebuild under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// Who does it.
    pub operator: String,
    /// Whether it rests.
    pub paused: bool,
    /// How far it is.
    pub position: Position,
    /// Where it ends, as far as is known now.
    pub goal: Position,
    /// How many events it has read.
    pub events: u64,
    /// Events a second.
    pub rate: u64,
    /// How long it will take.
    pub left: Duration,
    /// How long ago it told so: seconds, or its process is gone.
    pub silent_for: Duration,
}

impl Rebuild {
    /// The part of the way that lies behind it, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "it is shown to people")]
    pub fn ratio(&self) -> f64 {
        self.position.0 as f64 / self.goal.0.max(1) as f64
    }
}

/// The rebuilds under way, by the name of the projection.
pub async fn rebuilds(pool: &PgPool) -> Result<BTreeMap<String, Rebuild>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *, extract(epoch FROM now() - told_at)::double precision AS silent_for FROM projection.rebuilds",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("model")?, rebuild(row)?)))
        .collect()
}

fn rebuild(row: &PgRow) -> Result<Rebuild, sqlx::Error> {
    let number = |column| {
        let number: i64 = row.try_get(column)?;
        Ok::<_, sqlx::Error>(u64::try_from(number).unwrap_or_default())
    };
    let silent_for: f64 = row.try_get("silent_for")?;
    Ok(Rebuild {
        operator: row.try_get("operator")?,
        paused: row.try_get::<&str, _>("wanted")? == "pause",
        position: Position(number("position")?),
        goal: Position(number("goal")?),
        events: number("events")?,
        rate: number("rate")?,
        left: Duration::from_secs(number("seconds_left")?),
        silent_for: Duration::try_from_secs_f64(silent_for).unwrap_or_default(),
    })
}

/// Shows in the metrics which of the projections are being rebuilt, and how far that is.
#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
pub(crate) async fn measure(
    pool: &PgPool,
    projections: impl Iterator<Item = &'static str>,
) -> Result<(), sqlx::Error> {
    let rebuilds = rebuilds(pool).await?;
    for model in projections {
        let it = rebuilds.get(model);
        gauge!("rebuild_running", "model" => model).set(f64::from(u8::from(it.is_some())));
        gauge!("rebuild_paused", "model" => model)
            .set(f64::from(u8::from(it.is_some_and(|it| it.paused))));
        gauge!("rebuild_progress_ratio", "model" => model).set(it.map_or(0.0, Rebuild::ratio));
        gauge!("rebuild_events_per_second", "model" => model)
            .set(it.map_or(0.0, |it| it.rate as f64));
        gauge!("rebuild_remaining", "model" => model)
            .set(it.map_or(0.0, |it| it.left.as_secs_f64()));
    }
    Ok(())
}
