//! What a run has shown, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::ledger::{Ledger, Totals};
use crate::load::{Pace, Plan, Recipients};

/// The outcome of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Devices.
    pub devices: usize,
    /// Messages a second that were due; `None` when the server set the pace.
    pub rate: Option<f64>,
    /// Bytes of content.
    pub size: usize,
    /// Whether the recipients were away while messages were sent.
    pub away: bool,
    /// Seconds of sending.
    pub seconds: f64,
    /// Answered with 200.
    pub accepted: u64,
    /// The same for a second of sending.
    pub accepted_per_second: f64,
    /// Processor seconds that the servers took meanwhile, if their processes were named.
    pub processor_seconds: Option<f64>,
    /// Answered with 200 for each of those.
    pub accepted_per_processor_second: Option<f64>,
    /// Delivered, each counted once.
    pub delivered: u64,
    /// Answered with 200 and not delivered.
    pub lost: usize,
    /// Delivered after a later message of the same pair.
    pub disordered: u64,
    /// Delivered once more.
    pub repeated: u64,
    /// Refused for good.
    pub refused: u64,
    /// Sent once more, because the connection ended before the answer or the server was busy.
    pub resent: u64,
    /// Of those: answered 429 or 5xx.
    pub busy: u64,
    /// Receipts that came back.
    pub receipts: u64,
    /// Connections that ended although nobody wanted them to.
    pub disconnected: u64,
    /// From the moment when a message was due to its delivery.
    pub delivery: Latency,
    /// From the moment when a message was due to the answer that it is stored.
    pub answer: Latency,
}

/// A distribution of times, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Half took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p999: f64,
    /// None took longer.
    pub max: f64,
    /// Upper ends of buckets, and how many measurements fell into each.
    pub histogram: Vec<(f64, u64)>,
}

impl Latency {
    /// Of microseconds.
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| millis(histogram.value_at_quantile(quantile));
        let buckets = histogram
            .iter_log(100, 2.0)
            .map(|bucket| {
                (
                    millis(bucket.value_iterated_to()),
                    bucket.count_since_last_iteration(),
                )
            })
            .filter(|(_, count)| *count > 0);
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max()),
            histogram: buckets.collect(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run of 2^52 microseconds takes 142 years"
)]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 messages")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

impl Report {
    /// Closes the books.
    pub(crate) fn of(
        plan: &Plan,
        devices: usize,
        ledger: &Ledger,
        worked: Option<Duration>,
    ) -> Self {
        let lost = ledger.outstanding();
        let (totals, delivery, answer, _) = ledger.close();
        let Totals {
            accepted,
            refused,
            resent,
            busy,
            delivered,
            repeated,
            disordered,
            receipts,
            disconnected,
        } = totals;
        Self {
            devices,
            rate: match plan.pace {
                Pace::Open { rate } => Some(rate),
                Pace::Saturate => None,
            },
            size: plan.size,
            away: plan.recipients == Recipients::Away,
            seconds: plan.time.as_secs_f64(),
            accepted,
            accepted_per_second: per_second(accepted, plan.time),
            processor_seconds: worked.as_ref().map(Duration::as_secs_f64),
            accepted_per_processor_second: worked.map(|worked| per_second(accepted, worked)),
            delivered,
            lost,
            disordered,
            repeated,
            refused,
            resent,
            busy,
            receipts,
            disconnected,
            delivery: Latency::of(&delivery),
            answer: Latency::of(&answer),
        }
    }

    /// Whether every message that was promised has come, and in order.
    pub const fn is_sound(&self) -> bool {
        self.lost == 0 && self.disordered == 0 && self.accepted > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = self.rate.map_or_else(
            || "as fast as they were answered".to_owned(),
            |rate| format!("{rate} a second"),
        );
        writeln!(
            f,
            "{} devices{} sent messages of {} bytes for {} s, {pace}\n",
            self.devices,
            if self.away {
                ", half of them away,"
            } else {
                ""
            },
            self.size,
            self.seconds
        )?;
        writeln!(
            f,
            "  accepted   {:>9}   {:.0} a second",
            self.accepted, self.accepted_per_second
        )?;
        if let (Some(worked), Some(each)) =
            (self.processor_seconds, self.accepted_per_processor_second)
        {
            writeln!(
                f,
                "  processor  {worked:>9.1} s {each:.0} accepted a second of it"
            )?;
        }
        writeln!(f, "  delivered  {:>9}", self.delivered)?;
        writeln!(f, "  lost       {:>9}", self.lost)?;
        writeln!(f, "  disordered {:>9}", self.disordered)?;
        writeln!(f, "  repeated   {:>9}", self.repeated)?;
        writeln!(f, "  resent     {:>9}", self.resent)?;
        writeln!(f, "  busy       {:>9}", self.busy)?;
        writeln!(f, "  refused    {:>9}", self.refused)?;
        writeln!(f, "  receipts   {:>9}", self.receipts)?;
        writeln!(f, "  reconnects {:>9}\n", self.disconnected)?;
        writeln!(
            f,
            "  from due, ms       p50      p90      p99    p99.9      max"
        )?;
        for (name, latency) in [("to delivery", &self.delivery), ("to answer", &self.answer)] {
            writeln!(
                f,
                "  {name:<12} {:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9.2}",
                latency.p50, latency.p90, latency.p99, latency.p999, latency.max
            )?;
        }
        writeln!(f, "\n  delivered within   messages")?;
        for (within, count) in &self.delivery.histogram {
            writeln!(f, "  {within:>10.1} ms    {count:>9}")?;
        }
        Ok(())
    }
}
