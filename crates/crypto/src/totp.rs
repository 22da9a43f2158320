//! Time-based one-time passwords (RFC 6238): HMAC-SHA256, six digits, one for every 30 seconds.

use std::time::Duration;

use events::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::mac::hmac_sha256;

/// How long a password is the current one.
pub const STEP: Duration = Duration::from_secs(30);

/// How many digits a password has.
pub const DIGITS: u32 = 6;

/// How late a password may come in.
const TOLERANCE: Duration = Duration::from_secs(15);

/// The password that the key makes at a moment.
pub fn password(key: &[u8; 32], at: Timestamp) -> u32 {
    at_step(key, at.epoch_millis() / 1000 / STEP.as_secs(), DIGITS)
}

/// Whether the password is the one of now, or was until 15 seconds ago. In constant time.
pub fn verify(key: &[u8; 32], given: u32, now: Timestamp) -> bool {
    let tolerance = u64::try_from(TOLERANCE.as_millis()).expect("seconds fit");
    let earlier = now.epoch_millis().saturating_sub(tolerance);
    let earlier = Timestamp::from_epoch_millis(earlier).expect("an earlier time is in range, too");
    let current = given.ct_eq(&password(key, now));
    (current | given.ct_eq(&password(key, earlier))).into()
}

/// RFC 4226: four bytes of the tag, at a place that the tag itself names.
fn at_step(key: &[u8], step: u64, digits: u32) -> u32 {
    let tag = hmac_sha256(key, &[&step.to_be_bytes()]);
    let offset = usize::from(tag[31] & 0xf);
    let word = tag[offset..]
        .first_chunk()
        .expect("an offset below 16 leaves four of 32 bytes");
    (u32::from_be_bytes(*word) & 0x7fff_ffff) % 10_u32.pow(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_epoch_millis(seconds * 1000).unwrap()
    }

    /// RFC 6238, appendix B, the rows for SHA-256.
    #[test]
    fn passwords_are_those_of_the_standard() {
        let key = b"12345678901234567890123456789012";
        for (seconds, password) in [
            (59, 46_119_246),
            (1_111_111_109, 68_084_774),
            (1_111_111_111, 67_062_674),
            (1_234_567_890, 91_819_424),
            (2_000_000_000, 90_698_825),
            (20_000_000_000, 77_737_706),
        ] {
            assert_eq!(at_step(key, seconds / 30, 8), password, "at {seconds} s");
        }
    }

    #[test]
    fn a_password_may_come_15_seconds_late_and_not_early() {
        let key = [7; 32];
        let given = password(&key, at(60));
        for (seconds, good) in [
            (59, false),
            (60, true),
            (89, true),
            (104, true),
            (105, false),
        ] {
            assert_eq!(verify(&key, given, at(seconds)), good, "at {seconds} s");
        }
    }
}
