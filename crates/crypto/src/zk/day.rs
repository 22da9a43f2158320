//! Credentials are issued for days: a finer time would tell its bearers apart.

use std::fmt;

use events::Timestamp;

const SECONDS: u64 = 86_400;

/// The start of a day in UTC. Clients refuse credentials that are dated in any finer way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(u32);

/// A number of seconds that is no start of a day, or of one that no clock can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the start of a day")]
pub struct NotADay;

/// Days that nobody is given credentials for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// One of the ends is not the start of a day.
    #[error(transparent)]
    NotADay(#[from] NotADay),
    /// The end is before the start, or more than seven days after it.
    #[error("does not run over one to eight days")]
    Length,
    /// It starts before yesterday, or ends later than in eight days.
    #[error("is too far from today")]
    OutOfReach,
}

impl Day {
    /// The day on which `at` falls.
    pub fn of(at: Timestamp) -> Self {
        Self(
            u32::try_from(seconds(at) / SECONDS)
                .expect("the range of a clock is a hundred million days"),
        )
    }

    /// Reads the first second of a day, counted from 1970.
    pub fn from_seconds(seconds: u64) -> Result<Self, NotADay> {
        if !seconds.is_multiple_of(SECONDS) {
            return Err(NotADay);
        }
        u32::try_from(seconds / SECONDS)
            .map(Self)
            .map_err(|_| NotADay)
    }

    /// The first second of the day, counted from 1970.
    pub fn seconds(self) -> u64 {
        u64::from(self.0) * SECONDS
    }

    /// The day after so many others.
    #[must_use]
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds().fmt(f)
    }
}

/// The days for which a client asks credentials, both ends included: one to eight of them, none before yesterday and
/// none later than in eight days.
pub fn redemption_days(
    start: u64,
    end: u64,
    now: Timestamp,
) -> Result<impl Iterator<Item = Day> + Clone, InvalidRange> {
    let (start, end, today) = (
        Day::from_seconds(start)?,
        Day::from_seconds(end)?,
        Day::of(now),
    );
    if end < start || end > start.plus(7) {
        return Err(InvalidRange::Length);
    }
    if start < today.minus(1) || end > today.plus(8) {
        return Err(InvalidRange::OutOfReach);
    }
    Ok((start.0..=end.0).map(Day))
}

/// Whole seconds since 1970.
pub(crate) fn seconds(at: Timestamp) -> u64 {
    at.epoch_millis() / 1000
}

/// Whether a credential for `redemption` (in seconds) may be shown: from a day before it to two days after it.
pub(crate) fn may_be_shown(redemption: u64, now: Timestamp) -> bool {
    let earliest = redemption.saturating_sub(SECONDS);
    let latest = redemption.saturating_add(2 * SECONDS);
    (earliest..=latest).contains(&seconds(now))
}

/// When tokens issued at `now` expire: with the day after, and a day later if that is less than 25 hours away.
pub(crate) fn default_expiration(now: Timestamp) -> Day {
    let tomorrow_over = Day::of(now).plus(2);
    if tomorrow_over.seconds() - seconds(now) < 25 * 3600 {
        tomorrow_over.plus(1)
    } else {
        tomorrow_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TODAY: u64 = 20_000 * SECONDS;

    fn count(start: u64, end: u64) -> Result<usize, InvalidRange> {
        redemption_days(
            start,
            end,
            Timestamp::from_epoch_millis(TODAY * 1000 + 40_000_000).unwrap(),
        )
        .map(Iterator::count)
    }

    #[test]
    fn credentials_are_given_for_one_to_eight_days_around_today() {
        assert_eq!(count(TODAY, TODAY), Ok(1));
        assert_eq!(count(TODAY, TODAY + 7 * SECONDS), Ok(8));
        assert_eq!(count(TODAY - SECONDS, TODAY), Ok(2));
        assert_eq!(count(TODAY + SECONDS, TODAY + 8 * SECONDS), Ok(8));
        assert_eq!(count(TODAY, TODAY + 8 * SECONDS), Err(InvalidRange::Length));
        assert_eq!(count(TODAY, TODAY - SECONDS), Err(InvalidRange::Length));
        assert_eq!(
            count(TODAY - 2 * SECONDS, TODAY),
            Err(InvalidRange::OutOfReach)
        );
        assert_eq!(
            count(TODAY + 2 * SECONDS, TODAY + 9 * SECONDS),
            Err(InvalidRange::OutOfReach)
        );
        assert_eq!(count(TODAY + 1, TODAY + SECONDS), Err(NotADay.into()));
        assert_eq!(count(0, 0), Err(InvalidRange::OutOfReach));
    }

    proptest! {
        #[test]
        fn any_range_is_taken_or_refused(start: u64, end: u64, now in 0..=Timestamp::MAX.epoch_millis()) {
            let now = Timestamp::from_epoch_millis(now).unwrap();
            if let Ok(days) = redemption_days(start, end, now) {
                prop_assert!((1..=8).contains(&days.count()));
            }
            let left = default_expiration(now).seconds() - seconds(now);
            prop_assert!((25 * 3600..50 * 3600).contains(&left));
        }
    }
}
