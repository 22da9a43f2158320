//! What a projection tells the metrics. The names are listed in the README.

use std::sync::atomic::{AtomicU64, Ordering};
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
    /// When the last event that was applied had happened, or the first one that is to be, in milliseconds of Unix time; 0 as long
    /// as there was neither.
    applied: AtomicU64,
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
            applied: AtomicU64::new(0),
        }
    }

    /// This process works on the projection from now on.
    pub(crate) fn leased(&self) {
        self.leased.set(1.0);
    }

    /// It does not any more: what stops it, and how far it is behind, is for others to tell.
    pub(crate) fn let_go(&self) {
        for gauge in [
            &self.leased,
            &self.stopped,
            &self.lag_events,
            &self.lag_seconds,
        ] {
            gauge.set(0.0);
        }
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

    /// An event that happened then is to be applied.
    pub(crate) fn due(&self, at: Timestamp) {
        let (none, at) = (0, at.epoch_millis());
        // Only the first time: from then on there is one that was applied.
        _ = self
            .applied
            .compare_exchange(none, at, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The last event that was applied had happened then.
    pub(crate) fn applied(&self, at: Timestamp) {
        self.applied.store(at.epoch_millis(), Ordering::Relaxed);
    }

    /// `behind` is how many events are ahead. As long as there are some, the lag is the age of the last one that was applied.
    pub(crate) fn position(&self, checkpoint: Position, behind: u64, now: Timestamp) {
        self.checkpoint.set(checkpoint.0 as f64);
        self.lag_events.set(behind as f64);
        let applied = self.applied.load(Ordering::Relaxed);
        let lag = if behind == 0 || applied == 0 {
            0
        } else {
            now.epoch_millis().saturating_sub(applied)
        };
        self.lag_seconds.set(lag as f64 / 1_000.0);
    }
}
