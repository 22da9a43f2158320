//! How much each account does and receives, day by day.

mod apply;
mod query;

use std::fmt;

use events::Timestamp;

pub(crate) use apply::AccountActivity;
pub use query::AccountActivityQueries;

/// The table.
const TABLE: &str = "account_activity_v1";

/// A day of the UTC calendar: how many of them lie between it and 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub u32);

impl Day {
    const MILLIS: u64 = 24 * 60 * 60 * 1_000;

    /// The day on which a moment falls.
    pub fn of(at: Timestamp) -> Self {
        let days = at.epoch_millis() / Self::MILLIS;
        Self(u32::try_from(days).expect("timestamps end within a hundred million days"))
    }

    /// The day as Postgres counts it.
    fn to_i32(self) -> i32 {
        i32::try_from(self.0).unwrap_or(i32::MAX)
    }

    /// The day as Postgres has it inside: counted from 2000-01-01.
    fn to_postgres(self) -> i32 {
        const FROM_1970_TO_2000: i32 = 10_957;
        self.to_i32() - FROM_1970_TO_2000
    }
}

/// As ISO 8601 writes it: `2026-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Civil from days: years begin in March, so that the leap day is the last; eras are 400 of them.
        let days = u64::from(self.0) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        write!(f, "{:04}-{month:02}-{day:02}", year + era * 400 + next)
    }
}

/// How much there was of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that came, once for each device that they were queued for.
    pub received: u64,
    /// Messages that it sent, once for each device that they were queued for. Sealed ones name no sender, and are not
    /// counted.
    pub sent: u64,
    /// Messages that its devices acknowledged.
    pub delivered: u64,
    /// Messages that none of its devices fetched in time.
    pub expired: u64,
    /// Reports by others that it sent spam.
    pub reported: u64,
    /// Changes of the account itself: devices, settings, keys.
    pub changes: u64,
}

/// A day on which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveDay {
    /// Which.
    pub day: Day,
    /// What happened.
    pub counts: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_people_write_them() {
        for (day, written) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day(day).to_string(), written);
        }
    }
}
