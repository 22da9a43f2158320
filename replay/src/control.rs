//! A rebuild under way, as others see it: how far it is, and what they want of it.

use std::sync::Mutex;
use std::time::Duration;

use events::Position;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::environment::Environment;

/// Lets a rebuild through, or has it rest.
#[derive(Clone, Debug)]
pub(crate) struct Gate(watch::Receiver<bool>);

impl Gate {
    /// One that is never closed.
    pub(crate) fn always_open() -> Self {
        Self(watch::Sender::new(true).subscribe())
    }

    /// Waits until it is open.
    pub(crate) async fn open(&mut self) {
        // Who could have opened it is gone: then nobody wants it closed.
        drop(self.0.wait_for(|open| *open).await);
    }

    pub(crate) fn is_closed(&self) -> bool {
        !*self.0.borrow()
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) position: Position,
    pub(crate) goal: Position,
    pub(crate) events: u64,
    /// Events a second.
    pub(crate) rate: u64,
    /// Seconds.
    pub(crate) left: u64,
}

/// So often is told how far it is, and asked what is wanted.
const EVERY: Duration = Duration::from_millis(250);

/// The rows in `projection.rebuilds` of one run.
pub(crate) struct Control {
    pool: PgPool,
    models: Vec<String>,
    operator: Box<str>,
    gate: watch::Sender<bool>,
    cancelled: CancellationToken,
    mark: Mutex<Mark>,
}

impl Control {
    pub(crate) fn new(environment: &Environment, models: Vec<String>) -> Self {
        Self {
            pool: environment.database.clone(),
            models,
            operator: environment.operator.clone(),
            gate: watch::Sender::new(true),
            cancelled: CancellationToken::new(),
            mark: Mutex::default(),
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        Gate(self.gate.subscribe())
    }

    /// Ends when somebody wants the run to end.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Notes how far the run is.
    pub(crate) fn note(&self, mark: Mark) {
        *self
            .mark
            .lock()
            .expect("nothing panics while it notes a mark") = mark;
    }

    /// Makes the run known. What a killed one has left is overwritten: who comes here holds the models' locks.
    pub(crate) async fn begin(&self) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO projection.rebuilds (model, operator) SELECT model, $2 FROM unnest($1::text[]) AS model
             ON CONFLICT (model) DO UPDATE SET
                 operator = excluded.operator, wanted = excluded.wanted, position = excluded.position,
                 goal = excluded.goal, events = excluded.events, rate = excluded.rate,
                 seconds_left = excluded.seconds_left, started_at = excluded.started_at, told_at = excluded.told_at",
        )
        .bind(&self.models)
        .bind(&*self.operator)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Tells and asks, as long as the run goes on.
    pub(crate) async fn attend(&self) {
        let mut interval = tokio::time::interval(EVERY);
        loop {
            interval.tick().await;
            // It is only about being seen; whatever matters will fail by itself.
            let Ok(wanted) = self.exchange().await else {
                continue;
            };
            let wants = |what: &str| wanted.iter().any(|it| it == what);
            if wants("cancel") {
                self.cancelled.cancel();
            }
            let open = !wants("pause");
            self.gate
                .send_if_modified(|gate| std::mem::replace(gate, open) != open);
        }
    }

    async fn exchange(&self) -> Result<Vec<String>, sqlx::Error> {
        let mark = *self
            .mark
            .lock()
            .expect("nothing panics while it notes a mark");
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let open = *self.gate.borrow();
        let rate = if open { number(mark.rate) } else { 0 };
        sqlx::query_scalar(
            "UPDATE projection.rebuilds SET
                 position = $2, goal = $3, events = $4, rate = $5, seconds_left = $6, told_at = now()
             WHERE model = ANY($1) RETURNING wanted",
        )
        .bind(&self.models)
        .bind(mark.position.to_i64())
        .bind(mark.goal.to_i64())
        .bind(number(mark.events))
        .bind(rate)
        .bind(number(mark.left))
        .fetch_all(&self.pool)
        .await
    }

    /// The run is over.
    pub(crate) async fn end(&self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM projection.rebuilds WHERE model = ANY($1)")
            .bind(&self.models)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
