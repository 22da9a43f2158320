//! How far a long run is: a bar for people, lines for everybody else, and a mark for other processes.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use events::Position;
use indicatif::{ProgressBar, ProgressStyle};

use crate::control::{Control, Mark};
use crate::rebuild::rate;

/// Without a terminal, a line is written so often.
const EVERY: Duration = Duration::from_secs(5);

/// Shows how far a run through the log is, how fast, and how long it will take.
///
/// How far is a matter of positions, how fast one of events: between positions there may be gaps.
pub(crate) struct Meter<'a> {
    bar: Option<ProgressBar>,
    control: Option<&'a Control>,
    label: String,
    begun: Instant,
    told: Instant,
    events: u64,
    position: Position,
    goal: Position,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(label: String, control: Option<&'a Control>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>24} {bar:32} {percent:>3} %  {msg}");
            let style = style.expect("the template is well-formed");
            ProgressBar::new(0)
                .with_style(style)
                .with_prefix(label.clone())
        });
        let begun = Instant::now();
        Self {
            bar,
            control,
            label,
            begun,
            told: begun,
            events: 0,
            position: Position::START,
            goal: Position::START,
        }
    }

    /// Where the run will end, as far as is known now.
    pub(crate) fn expect(&mut self, goal: Position) {
        self.goal = goal;
        self.tell();
    }

    /// The run is as far as this, by so many events more.
    pub(crate) fn reached(&mut self, position: Position, events: u64) {
        self.position = position;
        self.events += events;
        self.tell();
    }

    fn tell(&mut self) {
        let mark = self.mark();
        if let Some(control) = self.control {
            control.note(mark);
        }
        let Mark {
            position,
            goal,
            events,
            rate,
            left,
        } = mark;
        let said = || format!("{events} events, {rate} events/s, {left} s left");
        if let Some(bar) = &self.bar {
            bar.set_length(goal.0);
            bar.set_position(position.0);
            bar.set_message(said());
        } else if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            let label = &self.label;
            eprintln!("{label}: at position {position} of {goal}, {}", said());
        }
    }

    fn mark(&self) -> Mark {
        let (position, goal) = (self.position.0, self.goal.0);
        let ahead = goal.saturating_sub(position);
        let millis = self.begun.elapsed().as_millis();
        let left = millis * u128::from(ahead) / u128::from(position.max(1)) / 1_000;
        Mark {
            position: self.position,
            goal: self.goal,
            events: self.events,
            rate: rate(self.events, self.begun.elapsed()),
            left: u64::try_from(left).unwrap_or(u64::MAX),
        }
    }

    /// The run is over; tells how long it took and how many events it took in a second.
    pub(crate) fn finish(self) -> (Duration, u64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let took = self.begun.elapsed();
        (took, rate(self.events, took))
    }
}
