//! Having rebuilds under way rest, go on, or end.

use events::operator::{OperatorEvent, RebuildCancelled, RebuildPaused, RebuildResumed};
use projections::{MODELS, Model};

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::operator::record;

/// What is to become of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It rests. It keeps what it has, and holds no snapshot and no lock on anybody else's tables.
    Pause,
    /// It goes on.
    Resume,
    /// It ends, and leaves nothing.
    Cancel,
}

impl Wish {
    const fn wanted(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "run",
            Self::Cancel => "cancel",
        }
    }

    fn event(self, model: Model) -> OperatorEvent {
        let model = model.name().into();
        match self {
            Self::Pause => RebuildPaused { model }.into(),
            Self::Resume => RebuildResumed { model }.into(),
            Self::Cancel => RebuildCancelled { model }.into(),
        }
    }
}

/// Makes a wish known to the rebuilds of `models`, wherever they run; tells which of them are being rebuilt. The log keeps
/// who wished it.
pub async fn steer(
    environment: &Environment,
    models: &[Model],
    wish: Wish,
) -> Result<Vec<Model>, ReplayError> {
    let names: Vec<_> = models.iter().map(|model| model.name()).collect();
    let told: Vec<String> = sqlx::query_scalar(
        "UPDATE projection.rebuilds SET wanted = $2 WHERE model = ANY($1) AND wanted <> 'cancel' RETURNING model",
    )
    .bind(&names)
    .bind(wish.wanted())
    .fetch_all(&environment.database)
    .await?;
    let told: Vec<Model> = MODELS
        .iter()
        .copied()
        .filter(|model| told.iter().any(|name| name == model.name()))
        .collect();
    for model in &told {
        record(environment, wish.event(*model)).await?;
    }
    Ok(told)
}
