//! Every rate limit there is, in one table, and what a bucket is.
//!
//! A bucket holds up to `size` permits and is refilled by one permit each `period`. What is available is
//! `min(size, floor(remaining + elapsed / period))`; a call that is refused takes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use events::Timestamp;

/// Who counts a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All nodes together, in the database. While that is not there, calls are answered 503: abuse must not be let through.
    Shared,
    /// Each node for itself, in memory.
    Node,
}

/// A rate: how many permits at most, and how long one takes to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Permits of a full bucket.
    pub size: u64,
    /// The time in which one permit comes back; at least a nanosecond.
    pub period: Duration,
}

/// What is left in a bucket since when. A bucket that nobody has taken from is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Permits.
    pub remaining: u64,
    /// When they were counted.
    pub at: Timestamp,
}

/// What came of taking permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// They were there. This is left.
    Yes(Level),
    /// They were not, and nothing was taken. So long until they are.
    No(Duration),
}

impl Rate {
    /// Takes permits from a bucket, if there are enough.
    pub fn take(self, level: Option<Level>, amount: u64, now: Timestamp) -> Taken {
        let available = self.available(level, now);
        match available.checked_sub(amount) {
            Some(remaining) => Taken::Yes(Level { remaining, at: now }),
            None => Taken::No(self.time_for(amount - available)),
        }
    }

    /// Puts permits back, as after a call that came to nothing for another reason.
    pub fn put_back(self, level: Option<Level>, amount: u64, now: Timestamp) -> Level {
        let remaining = self.available(level, now).saturating_add(amount);
        Level {
            remaining: remaining.min(self.size),
            at: now,
        }
    }

    /// How long it takes until the bucket is full and can be forgotten.
    pub fn until_full(self, level: Level) -> Duration {
        self.time_for(self.size.saturating_sub(level.remaining))
    }

    fn available(self, level: Option<Level>, now: Timestamp) -> u64 {
        let Some(Level { remaining, at }) = level else {
            return self.size;
        };
        let elapsed = now.epoch_millis().saturating_sub(at.epoch_millis());
        let elapsed = u128::from(elapsed) * 1_000_000;
        let returned = elapsed / self.period.as_nanos().max(1);
        let returned = u64::try_from(returned).unwrap_or(u64::MAX);
        remaining.saturating_add(returned).min(self.size)
    }

    /// How long this many permits take to come back.
    pub fn time_for(self, permits: u64) -> Duration {
        let nanos = self.period.as_nanos().saturating_mul(u128::from(permits));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos)
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $limit:ident $name:literal $size:literal per $period:literal $unit:ident, $scope:ident, $key:literal;)*) => {
        /// A rate limit. Its name is the one by which operators set it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit {
            $($(#[$doc])* $limit,)*
        }

        impl Limit {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$limit),*];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$limit => $name,)* }
            }

            /// Permits of a full bucket, and the time for one, unless the operator says otherwise.
            pub const fn default_rate(self) -> Rate {
                match self { $(Self::$limit => Rate { size: $size, period: Duration::$unit($period) },)* }
            }

            /// Who counts it.
            pub const fn scope(self) -> Scope {
                match self { $(Self::$limit => Scope::$scope,)* }
            }

            /// What each bucket is for.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$limit => $key,)* }
            }
        }
    };
}

limits! {
    /// Attempts to register a number, or to change to it.
    Registration "registration" 6 per 30 from_secs, Shared, "phone number";
    /// Attempts at a registration lock. Cleared by the right one.
    Pin "pin" 10 per 24 from_hours, Shared, "phone number";
    /// One-time passwords during registration.
    CheckTotp "checkTotp" 5 per 6 from_secs, Shared, "account";
    /// Answers to push challenges of a verification session.
    VerificationPushChallenge "verificationPushChallenge" 5 per 30 from_secs, Shared, "session";
    /// Captchas of a verification session.
    VerificationCaptcha "verificationCaptcha" 10 per 30 from_secs, Shared, "session";
    /// Messages from one account to another; also provisioning messages.
    Messages "messages" 60 per 1 from_secs, Node, "sender and recipient";
    /// Bytes of messages to one recipient.
    InboundMessageBytes "inboundMessageBytes" 134_217_728 per 500_000 from_nanos, Node, "recipient";
    /// Stories for one account.
    Stories "stories" 5000 per 8 from_secs, Node, "recipient";
    /// Fetching pre-keys of one target with credentials.
    PreKeys "prekeys" 6 per 10 from_mins, Shared, "asking device and target device, or all devices of a target";
    /// Fetching profiles with credentials.
    Profile "profile" 4320 per 20 from_secs, Node, "asking account";
    /// Bytes that forms for pictures of people whom nobody knows allow.
    ProfileAvatarBytes "profileAvatarBytes" 104_857_600 per 10 from_micros, Node, "picture";
    /// Forms for attachments.
    AttachmentCreate "attachmentCreate" 50 per 1_200 from_millis, Node, "account";
    /// Bytes that forms for attachments allow.
    AttachmentCreateBytes "attachmentCreateBytes" 1_000_000_000 per 1 from_micros, Node, "account";
    /// Forms for sticker packs.
    StickerPack "stickerPack" 50 per 72 from_mins, Shared, "account";
    /// Tokens for linking devices.
    AllocateDevice "allocateDevice" 6 per 2 from_mins, Shared, "account";
    /// Attempts to link a device.
    VerifyDevice "verifyDevice" 6 per 2 from_mins, Shared, "account";
    /// Waiting for a device to be linked.
    WaitForLinkedDevice "waitForLinkedDevice" 10 per 30 from_secs, Shared, "account";
    /// Announcing a transfer archive.
    UploadTransferArchive "uploadTransferArchive" 10 per 1 from_mins, Shared, "account";
    /// Waiting for a transfer archive.
    WaitForTransferArchive "waitForTransferArchive" 10 per 30 from_secs, Shared, "device";
    /// Recording a request to restore an account.
    RecordDeviceTransferRequest "recordDeviceTransferRequest" 10 per 100 from_millis, Node, "address";
    /// Waiting for a request to restore an account.
    WaitForDeviceTransferRequest "waitForDeviceTransferRequest" 10 per 100 from_millis, Node, "address";
    /// Reserving usernames.
    UsernameReserve "usernameReserve" 100 per 15 from_mins, Shared, "account";
    /// Confirming usernames.
    UsernameSet "usernameSet" 100 per 15 from_mins, Shared, "account";
    /// Looking up usernames.
    UsernameLookup "usernameLookup" 100 per 15 from_mins, Node, "address";
    /// Setting and deleting username links.
    UsernameLinkOperation "usernameLinkOperation" 10 per 1 from_mins, Shared, "account";
    /// Looking up username links.
    UsernameLinkLookup "usernameLinkLookupPerIp" 100 per 15 from_secs, Node, "address";
    /// Asking whether an account exists.
    CheckAccountExistence "checkAccountExistence" 1000 per 4 from_secs, Node, "address";
    /// Checking credentials of the value recovery service.
    BackupAuthCheck "backupAuthCheck" 100 per 15 from_mins, Node, "address";
    /// Comparing many identity keys.
    BatchIdentityCheck "batchIdentityCheck" 100 per 1 from_mins, Node, "address";
    /// Captchas for challenges.
    CaptchaChallengeAttempt "captchaChallengeAttempt" 10 per 144 from_mins, Shared, "account";
    /// Captchas for challenges that were right.
    CaptchaChallengeSuccess "captchaChallengeSuccess" 2 per 12 from_hours, Shared, "account";
    /// Push challenges.
    PushChallengeAttempt "pushChallengeAttempt" 10 per 144 from_mins, Shared, "account";
    /// Push challenges that were answered rightly.
    PushChallengeSuccess "pushChallengeSuccess" 2 per 12 from_hours, Shared, "account";
    /// Resetting limits by a challenge.
    RateLimitReset "rateLimitReset" 2 per 12 from_hours, Shared, "account";
    /// New keys for credentials about pictures.
    SetZkCredentialKey "setZkCredentialKey" 5 per 168 from_hours, Shared, "account";
    /// Credentials for relays of calls.
    GetCallingRelays "getCallingRelays" 100 per 10 from_mins, Shared, "account";
    /// Credentials to create links to calls.
    CreateCallLink "createCallLink" 100 per 15 from_mins, Shared, "account";
    /// Changing the requests for backup credentials.
    SetBackupId "setBackupId" 10 per 1 from_hours, Shared, "account";
    /// Credentials for other services.
    ExternalServiceCredentials "externalServiceCredentials" 100 per 15 from_mins, Shared, "account";
}

/// The page of `docs` that lists them.
pub fn table() -> String {
    use std::fmt::Write as _;

    let mut page = String::from(
        "# Rate limits\n\n\
         A bucket holds a number of permits and gets one back in each period. A call that is refused takes nothing and is \
         answered 429 with `Retry-After`: the time in which the missing permits come back, in whole seconds, rounded down. \
         Limits of *all nodes* are counted in the database, and while that is not there their calls are answered 503; limits \
         of *one node* are counted in its memory. `[rates]` in the configuration sets a limit by its name.\n\n\
         Addresses are those of connections, or what trusted proxies say (`server.trusted_proxies`); of an IPv6 address the \
         first 64 bits count.\n\n\
         This page is generated from the table in `api/src/limits/rates.rs`.\n\n\
         | limit | permits | one back in | for each | counted by |\n|---|---|---|---|---|\n",
    );
    for limit in Limit::ALL {
        let Rate { size, period } = limit.default_rate();
        let scope = match limit.scope() {
            Scope::Shared => "all nodes",
            Scope::Node => "one node",
        };
        let (name, key) = (limit.name(), limit.key());
        writeln!(page, "| `{name}` | {size} | {period:?} | {key} | {scope} |")
            .expect("writing to a string works");
    }
    page
}

/// The rates that are in force: those of the table, and what the operator has set instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    set: BTreeMap<Limit, Rate>,
    off: bool,
}

/// There is no such limit, or no such rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateInvalid {
    /// Nothing has this name.
    #[error("there is no rate limit `{0}`")]
    Unknown(String),
    /// A bucket without room, or one that never fills.
    #[error("`{0}` needs a size and a time for one permit, both more than nothing")]
    Nothing(&'static str),
}

impl Rates {
    /// No limits at all. For measurements.
    pub const fn off() -> Self {
        Self {
            set: BTreeMap::new(),
            off: true,
        }
    }

    /// Sets a limit.
    pub fn set(&mut self, name: &str, rate: Rate) -> Result<(), RateInvalid> {
        let known = Limit::ALL.iter().find(|limit| limit.name() == name);
        let limit = *known.ok_or_else(|| RateInvalid::Unknown(name.to_owned()))?;
        if rate.size == 0 || rate.period.is_zero() {
            return Err(RateInvalid::Nothing(limit.name()));
        }
        self.set.insert(limit, rate);
        Ok(())
    }

    /// The rate of a limit; `None` if there is to be none.
    pub fn of(&self, limit: Limit) -> Option<Rate> {
        let rate = self.set.get(&limit).copied();
        (!self.off).then(|| rate.unwrap_or(limit.default_rate()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_epoch_millis(millis).unwrap()
    }

    #[test]
    fn a_refused_call_takes_nothing_and_learns_how_long_to_wait() {
        let rate = Rate {
            size: 3,
            period: Duration::from_secs(10),
        };
        let Taken::Yes(level) = rate.take(None, 2, at(0)) else {
            panic!("it was full");
        };
        assert_eq!(level.remaining, 1);
        assert_eq!(
            rate.take(Some(level), 3, at(9_999)),
            Taken::No(Duration::from_secs(20))
        );
        let Taken::Yes(level) = rate.take(Some(level), 2, at(10_000)) else {
            panic!("one came back");
        };
        assert_eq!(level.remaining, 0);
        // The clock begins again with every call that takes something, as clients of the deployed service know it.
        assert!(matches!(
            rate.take(Some(level), 1, at(19_999)),
            Taken::No(_)
        ));
        assert!(matches!(
            rate.take(Some(level), 1, at(20_000)),
            Taken::Yes(_)
        ));
        // A clock that goes back gives nothing.
        assert!(matches!(rate.take(Some(level), 1, at(0)), Taken::No(_)));
    }

    #[test]
    fn names_are_told_apart_and_rates_make_sense() {
        let mut names: Vec<_> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Limit::ALL.len());
        let mut rates = Rates::default();
        for limit in Limit::ALL {
            let rate = limit.default_rate();
            assert!(rate.size > 0 && !rate.period.is_zero(), "{}", limit.name());
            rates.set(limit.name(), rate).unwrap();
        }
        let rate = Limit::Pin.default_rate();
        assert!(rates.set("pins", rate).is_err());
        assert!(rates.set("pin", Rate { size: 0, ..rate }).is_err());
        assert_eq!(Rates::off().of(Limit::Pin), None);
    }

    proptest! {
        /// Whatever happens, nobody gets more than a full bucket and what has come back since.
        #[test]
        fn permits_come_from_nowhere_else(
            size in 1_u64..50,
            period in 1_u64..5_000,
            calls in prop::collection::vec((0_u64..20_000, 1_u64..60), 1..40),
        ) {
            let rate = Rate { size, period: Duration::from_millis(period) };
            let (mut now, mut level, mut taken) = (0, None, 0);
            for (wait, amount) in calls {
                now += wait;
                match rate.take(level, amount, at(now)) {
                    Taken::Yes(left) => {
                        taken += amount;
                        level = Some(left);
                        prop_assert!(rate.until_full(left) <= rate.time_for(size));
                    }
                    Taken::No(wait) => {
                        prop_assert!(!wait.is_zero());
                        let then = at(now + u64::try_from(wait.as_millis()).unwrap());
                        let later = rate.take(level, amount, then);
                        prop_assert_eq!(matches!(later, Taken::Yes(_)), amount <= size);
                    }
                }
                prop_assert!(taken <= size + now / period);
            }
        }

        #[test]
        fn what_is_put_back_can_be_taken_again(size in 1_u64..50, amount in 1_u64..50) {
            prop_assume!(amount <= size);
            let rate = Rate { size, period: Duration::from_secs(1) };
            let Taken::Yes(level) = rate.take(None, amount, at(0)) else { panic!("it was full") };
            let level = rate.put_back(Some(level), amount, at(0));
            prop_assert_eq!(level.remaining, size);
        }
    }
}
