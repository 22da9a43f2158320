//! How far a long run is: a bar for people, lines for everybody else.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use events::Position;
use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, a line is written so often.
const EVERY: Duration = Duration::from_secs(5);

/// Shows on standard error how far a run through the log is, how fast, and how long it will take.
pub(crate) struct Meter {
    bar: Option<ProgressBar>,
    label: String,
    begun: Instant,
    told: Instant,
    end: Position,
}

impl Meter {
    pub(crate) fn new(label: String) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix:>24} {bar:32} {human_pos}/{human_len} events  {per_sec}  {eta} left",
            );
            let style = style.expect("the template is well-formed");
            ProgressBar::new(0)
                .with_style(style)
                .with_prefix(label.clone())
        });
        let begun = Instant::now();
        Self {
            bar,
            label,
            begun,
            told: begun,
            end: Position::START,
        }
    }

    /// Where the run will end, as far as is known now.
    pub(crate) fn expect(&mut self, end: Position) {
        self.end = end;
        if let Some(bar) = &self.bar {
            bar.set_length(end.0);
        }
    }

    /// The run is as far as this.
    pub(crate) fn reached(&mut self, position: Position) {
        if let Some(bar) = &self.bar {
            bar.set_position(position.0);
        } else if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            let rate = self.rate(position);
            let left = self.end.0.saturating_sub(position.0) / rate.max(1);
            eprintln!(
                "{}: {position} of {} events, {rate} events/s, {left} s left",
                self.label, self.end
            );
        }
    }

    /// The run is over; tells how long it took and how many events it took in a second.
    pub(crate) fn finish(self, position: Position) -> (Duration, u64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        (self.begun.elapsed(), self.rate(position))
    }

    fn rate(&self, position: Position) -> u64 {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        position.0.saturating_mul(1_000) / millis.max(1)
    }
}
