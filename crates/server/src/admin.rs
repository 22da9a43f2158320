//! Health and metrics, on an address of their own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use events::ports::Clock;
use metrics_exporter_prometheus::PrometheusHandle;
use projections::Queries;
use reqwest::StatusCode;
use subscription::{Standing, State as ProjectionState};

use crate::events_feed::{self, EventsFeed};

/// What health is judged by.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) queries: Queries,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) events: EventsFeed,
}

/// A read model that shows nothing newer than this is too old to answer from.
const TOO_FAR_BEHIND: Duration = Duration::from_secs(30);

/// `/health/live`, `/health/ready`, `/metrics`, `/v1/admin/events`.
pub(crate) fn router(admin: Admin) -> Router {
    let events = events_feed::router(admin.events.clone());
    Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .route(
            "/metrics",
            get(|State(admin): State<Admin>| async move { admin.metrics.render() }),
        )
        .with_state(admin)
        .merge(events)
}

/// 200 if every read model follows the log, otherwise 503 and the reasons, one a line. Reactors in trouble, and whoever
/// passes over parked events, are named either way.
async fn ready(State(admin): State<Admin>) -> Response {
    let mut warnings = warnings(&admin).await;
    let complaints: Vec<String> = match admin.queries.standings(&*admin.clock).await {
        Ok(standings) => {
            warnings.extend(standings.iter().filter_map(parked));
            standings.iter().filter_map(complaint).collect()
        }
        Err(error) => vec![format!("the database does not answer: {error}")],
    };
    let warnings = warnings
        .iter()
        .fold(String::new(), |text, it| text + "warning: " + it + "\n");
    if complaints.is_empty() {
        format!("ready\n{warnings}").into_response()
    } else {
        let text = complaints.join("\n") + "\n" + &warnings;
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

/// Reactors in trouble. What they do can be late without anybody being answered wrongly, so they keep no node from serving.
async fn warnings(admin: &Admin) -> Vec<String> {
    let standings = admin.queries.reactor_standings(&*admin.clock).await;
    let standings = standings.unwrap_or_default();
    let complaints = standings.iter().filter_map(complaint);
    complaints
        .chain(standings.iter().filter_map(parked))
        .collect()
}

/// What somebody decided that a read model is not to show, or a reactor not to do.
fn parked(standing: &Standing) -> Option<String> {
    let Standing { model, parked, .. } = standing;
    (*parked > 0).then(|| format!("{model}: passes over {parked} parked events"))
}

fn complaint(standing: &Standing) -> Option<String> {
    let model = &standing.model;
    match &standing.state {
        ProjectionState::Stopped { position, error } => {
            Some(format!("{model}: stopped at position {position}: {error}"))
        }
        _ if standing.lag > TOO_FAR_BEHIND => Some(format!(
            "{model}: {} events and {:?} behind",
            standing.behind, standing.lag
        )),
        _ if standing.behind.events > 0 && standing.lease.is_none() => {
            Some(format!("{model}: no worker has it"))
        }
        ProjectionState::New | ProjectionState::Running => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use projections::{Connections, MODELS, Model};
    use store_postgres::PgSubjectKeys;
    use testkit::environment::{FrozenClock, SeededEntropy};
    use testkit::history::History;
    use testkit::postgres::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn a_read_model_that_nobody_works_on_is_named_once_something_has_happened() {
        let database = TestDatabase::create().await;
        let store = Arc::new(database.event_store().await);
        let queries = Queries::new(
            database.connect_options(),
            Connections::default(),
            store.clone(),
            Model::progress(),
        );
        let complaints = async || {
            let standings = queries.standings(&FrozenClock::default()).await.unwrap();
            assert_eq!(standings.len(), MODELS.len());
            standings.iter().filter_map(complaint).collect::<Vec<_>>()
        };
        assert_eq!(complaints().await, [""; 0], "there is nothing to show");

        let entropy = Arc::new(SeededEntropy::default());
        let keys = PgSubjectKeys::new(database.pool.clone(), entropy);
        let history = History::from_choices(&[1, 2, 3]);
        history.append(&*store, &keys).await;
        let of_all: Vec<_> = MODELS
            .iter()
            .map(|model| format!("{model}: no worker has it"))
            .collect();
        assert_eq!(complaints().await, of_all);
    }
}
