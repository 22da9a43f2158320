//! The promises, one after the other, without a test harness.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

use crate::StoreUnderTest;

/// No promise takes so long to keep, even far away.
const PATIENCE: Duration = Duration::from_mins(5);

/// One promise, and what puts a store to the test.
pub(crate) struct Check<S> {
    pub(crate) area: &'static str,
    pub(crate) promise: &'static str,
    pub(crate) run: for<'a> fn(&'a S) -> LocalBoxFuture<'a, ()>,
}

/// What became of a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it is about.
    pub area: &'static str,
    /// The promise, as a sentence with underscores.
    pub promise: &'static str,
    /// What it was broken by, if it was.
    pub broken: Option<String>,
    /// How long that took.
    pub took: Duration,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            area,
            promise,
            broken,
            took,
        } = self;
        let word = if broken.is_some() { "BROKEN" } else { "kept" };
        let promise = promise.replace('_', " ");
        write!(
            f,
            "{word:<6} {:>6.2} s  {area}: {promise}",
            took.as_secs_f64()
        )?;
        match broken {
            // Assertions have several lines; here each promise has one.
            Some(why) => write!(
                f,
                ": {}",
                why.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
            None => Ok(()),
        }
    }
}

/// Checks each promise on a store of its own that `set_up` makes, and tells what became of it; in the end, whether all
/// were kept.
pub async fn check_all<S: StoreUnderTest>(
    set_up: impl AsyncFn() -> S,
    mut tell: impl FnMut(Checked),
) -> bool {
    let mut sound = true;
    for Check { area, promise, run } in crate::store_contract!(@promises checks S) {
        let store = set_up().await;
        let begun = Instant::now();
        let checking = tokio::time::timeout(PATIENCE, run(&store));
        let broken = match AssertUnwindSafe(checking).catch_unwind().await {
            Ok(Ok(())) => None,
            Ok(Err(_)) => Some(format!("no end within {PATIENCE:?}")),
            Err(panic) => Some(message(&*panic)),
        };
        sound &= broken.is_none();
        tell(Checked {
            area,
            promise,
            broken,
            took: begun.elapsed(),
        });
    }
    sound
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_has_one_line() {
        let checked = Checked {
            area: "following",
            promise: "the_head_is_the_last_position",
            broken: Some("assertion failed\n  left: 1\n right: 2".to_owned()),
            took: Duration::from_millis(1_234),
        };
        assert_eq!(
            checked.to_string(),
            "BROKEN   1.23 s  following: the head is the last position: assertion failed left: 1 right: 2"
        );
    }
}
