//! What a projection tells the metrics. The names are listed in the README.

use std::time::Duration;

use events::{Position, Timestamp};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The metrics of one projection.
pub(crate) struct Measures {
    checkpoint: Gauge,
    lag_events: Gauge,
    lag_seconds: Gauge,
    batches: Counter,
    batch_events: Histogram,
    delay: Histogram,
    heartbeat: Gauge,
    parked: Gauge,
    stopped: Gauge,
    leased: Gauge,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
impl Measures {
    pub(crate) fn of(model: &'static str) -> Self {
        Self {
            checkpoint: gauge!("projection_checkpoint", "model" => model),
            lag_events: gauge!("projection_lag_events", "model" => model),
            lag_seconds: gauge!("projection_lag_seconds", "model" => model),
            batches: counter!("projection_batches_total", "model" => model),
            batch_events: histogram!("projection_batch_events", "model" => model),
            delay: histogram!("projection_delay_seconds", "model" => model),
            heartbeat: gauge!("projection_heartbeat_timestamp_seconds", "model" => model),
            parked: gauge!("projection_parked_events", "model" => model),
            stopped: gauge!("projection_stopped", "model" => model),
            leased: gauge!("projection_leased", "model" => model),
        }
    }

    /// Whether this process works on the projection.
    pub(crate) fn leased(&self, leased: bool) {
        self.leased.set(if leased { 1.0 } else { 0.0 });
    }

    pub(crate) fn parked(&self, parked: usize) {
        self.parked.set(parked as f64);
    }

    pub(crate) fn stopped(&self, stopped: bool) {
        self.stopped.set(if stopped { 1.0 } else { 0.0 });
    }

    pub(crate) fn heartbeat(&self, now: Timestamp) {
        self.heartbeat.set(now.epoch_millis() as f64 / 1_000.0);
    }

    /// `delay` is the age of the oldest event of the batch, now that it is applied.
    pub(crate) fn batch(&self, events: usize, delay: Duration) {
        self.batches.increment(1);
        self.delay.record(delay.as_secs_f64());
        self.batch_events.record(events as f64);
    }

    /// `behind` is how many events are ahead; `lag` the age of the last one that was applied.
    pub(crate) fn position(&self, checkpoint: Position, behind: u64, lag: Duration) {
        self.checkpoint.set(checkpoint.0 as f64);
        self.lag_events.set(behind as f64);
        self.lag_seconds
            .set(if behind == 0 { 0.0 } else { lag.as_secs_f64() });
    }
}
