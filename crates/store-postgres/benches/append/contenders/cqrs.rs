//! The framework that a Rust team would reach for: cqrs-es on postgres-es, a full command (load, handle, commit).

use std::convert::Infallible;
use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use sqlx08::postgres::PgPoolOptions;

use super::{EVENTS_A_STREAM, Outcome, RECORD, Setting, closed_loop};

/// The schema that postgres-es documents.
const SCHEMA: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

#[derive(Default, Serialize, Deserialize)]
struct Mailbox {
    accepted: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Accepted(serde_json::Value);

impl DomainEvent for Accepted {
    fn event_type(&self) -> String {
        "Accepted".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Mailbox {
    const TYPE: &'static str = "mailbox";
    type Command = Accepted;
    type Event = Accepted;
    type Error = Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        command: Accepted,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Infallible> {
        sink.write(command, self).await;
        Ok(())
    }

    fn apply(&mut self, _: Accepted) {
        self.accepted += 1;
    }
}

pub(super) async fn run(setting: &Setting<'_>, database: &str) -> Outcome {
    let writers = u32::try_from(setting.writers).expect("few writers");
    let pool = PgPoolOptions::new()
        .max_connections(writers)
        .min_connections(writers)
        .connect(&setting.cluster.url(database))
        .await
        .expect("the database is new");
    sqlx08::query(SCHEMA)
        .execute(&pool)
        .await
        .expect("the database is empty");
    let framework = postgres_es::postgres_cqrs::<Mailbox>(pool.clone(), vec![], ());
    let record: serde_json::Value = serde_json::from_str(RECORD).expect("the record is JSON");
    let (framework, record) = (Arc::new(framework), Arc::new(record));
    let (outcome, acknowledged) = closed_loop(setting, move |writer, number| {
        let (framework, command) = (framework.clone(), Accepted((*record).clone()));
        async move {
            let aggregate = format!("{writer}-{}", number / EVENTS_A_STREAM);
            framework
                .execute(&aggregate, command)
                .await
                .expect("nobody else writes to this aggregate");
        }
    })
    .await;
    let stored: i64 = sqlx08::query_scalar("SELECT count(*) FROM events")
        .fetch_one(&pool)
        .await
        .expect("readable");
    assert_eq!(
        usize::try_from(stored),
        Ok(acknowledged),
        "rows, against acknowledged commands"
    );
    pool.close().await;
    outcome
}
