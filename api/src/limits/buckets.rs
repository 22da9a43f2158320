//! Where the buckets of rate limits are: those of a node in its memory, those of all nodes behind a port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crypto::doors::DoorKey;
use events::Timestamp;
use events::ports::Clock;
use http::StatusCode;
use moka::ops::compute::{CompResult, Op};

use super::rates::{Level, Limit, Rate, Rates, Scope, Taken};
use crate::http::problem::Problem;

/// Buckets that a node remembers at most; the ones longest unused are forgotten first, which makes them full.
const BUCKETS: u64 = 200_000;
/// The slowest limit of a node is full again after this.
const IDLE: Duration = Duration::from_hours(26);

/// Which bucket: a digest of the limit's name and its key, so that nobody can read a number or address from it.
pub type BucketId = [u8; 32];

/// Buckets of all nodes.
#[async_trait]
pub trait SharedBuckets: Send + Sync + 'static {
    /// Takes permits, if there are enough: [`Rate::take`] on what is stored, and stores what is left, at once.
    async fn take(
        &self,
        bucket: BucketId,
        rate: Rate,
        amount: u64,
        at: Timestamp,
    ) -> Result<Taken, BucketsUnavailable>;

    /// Fills a bucket.
    async fn clear(&self, bucket: BucketId) -> Result<(), BucketsUnavailable>;
}

/// The buckets of all nodes cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the rate limits cannot be counted")]
pub struct BucketsUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Why a call may not go on.
#[derive(Debug, thiserror::Error)]
pub enum Limited {
    /// There were too many.
    #[error("too many calls; try again in {0:?}")]
    For(Duration),
    /// They cannot be counted, and those that cannot be counted are not let through.
    #[error(transparent)]
    Uncounted(#[from] BucketsUnavailable),
}

impl Limited {
    /// `Retry-After`: whole seconds, rounded down, so that it may be 0.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::For(wait) => Some(Duration::from_secs(wait.as_secs())),
            Self::Uncounted(_) => None,
        }
    }
}

/// 429 without a body.
impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        match &limited {
            Limited::Uncounted(error) => Self::unavailable(error),
            Limited::For(_) => {
                let problem = Self::empty(StatusCode::TOO_MANY_REQUESTS);
                problem.retry_after(limited.retry_after().unwrap_or_default())
            }
        }
    }
}

/// All rate limits.
pub struct Limits {
    rates: Rates,
    node: moka::future::Cache<BucketId, Level>,
    shared: Arc<dyn SharedBuckets>,
    clock: Arc<dyn Clock>,
    key: DoorKey,
}

impl Limits {
    /// Full buckets on this node, and those of all nodes as they are.
    pub fn new(
        rates: Rates,
        shared: Arc<dyn SharedBuckets>,
        clock: Arc<dyn Clock>,
        key: DoorKey,
    ) -> Self {
        let node = moka::future::Cache::builder()
            .max_capacity(BUCKETS)
            .time_to_idle(IDLE)
            .build();
        Self {
            rates,
            node,
            shared,
            clock,
            key,
        }
    }

    /// Takes one permit.
    pub async fn take(&self, limit: Limit, key: &str) -> Result<(), Limited> {
        self.take_many(limit, key, 1).await
    }

    /// Takes some permits, or none.
    pub async fn take_many(&self, limit: Limit, key: &str, amount: u64) -> Result<(), Limited> {
        let Some(rate) = self.rates.of(limit) else {
            return Ok(());
        };
        match self.take_at(limit, key, rate, amount).await? {
            Taken::Yes(_) => Ok(()),
            Taken::No(wait) => {
                metrics::counter!("rate_limited_total", "limit" => limit.name()).increment(1);
                Err(Limited::For(wait))
            }
        }
    }

    /// How long it takes until one permit is there: no time, if one is. Takes nothing.
    pub async fn wait(&self, limit: Limit, key: &str) -> Result<Duration, Limited> {
        let Some(rate) = self.rates.of(limit) else {
            return Ok(Duration::ZERO);
        };
        // More than a bucket holds is always refused, and a call that is refused takes nothing.
        let all = rate.time_for(rate.size);
        match self
            .take_at(limit, key, rate, rate.size.saturating_add(1))
            .await?
        {
            Taken::Yes(_) => Ok(Duration::ZERO),
            Taken::No(wait) => Ok(wait.saturating_sub(all)),
        }
    }

    async fn take_at(
        &self,
        limit: Limit,
        key: &str,
        rate: Rate,
        amount: u64,
    ) -> Result<Taken, BucketsUnavailable> {
        let (bucket, now) = (self.bucket(limit, key), self.clock.now());
        match limit.scope() {
            Scope::Node => Ok(self.take_here(bucket, rate, amount, now).await),
            Scope::Shared => self.shared.take(bucket, rate, amount, now).await,
        }
    }

    async fn take_here(&self, bucket: BucketId, rate: Rate, amount: u64, now: Timestamp) -> Taken {
        let mut taken = Taken::No(Duration::ZERO);
        let slot = &mut taken;
        let entry = self.node.entry(bucket);
        let _: CompResult<_, _> = entry
            .and_compute_with(|entry| {
                let level = entry.map(moka::Entry::into_value);
                *slot = rate.take(level, amount, now);
                let op = match *slot {
                    Taken::Yes(level) => Op::Put(level),
                    Taken::No(_) => Op::Nop,
                };
                std::future::ready(op)
            })
            .await;
        taken
    }

    /// Puts permits of a node's limit back: another limit has refused the call.
    pub async fn put_back(&self, limit: Limit, key: &str, amount: u64) {
        let Some(rate) = self.rates.of(limit) else {
            return;
        };
        let now = self.clock.now();
        let entry = self.node.entry(self.bucket(limit, key));
        let _: CompResult<_, _> = entry
            .and_compute_with(|entry| {
                let level = entry.map(moka::Entry::into_value);
                std::future::ready(Op::Put(rate.put_back(level, amount, now)))
            })
            .await;
    }

    /// Fills a bucket: whoever it was for has shown good faith.
    pub async fn clear(&self, limit: Limit, key: &str) -> Result<(), Limited> {
        let bucket = self.bucket(limit, key);
        match limit.scope() {
            Scope::Node => self.node.invalidate(&bucket).await,
            Scope::Shared => self.shared.clear(bucket).await?,
        }
        Ok(())
    }

    fn bucket(&self, limit: Limit, key: &str) -> BucketId {
        self.key
            .tag("rate limit", &[limit.name().as_bytes(), key.as_bytes()])
    }
}

/// Buckets of one process, for tests of what needs no database.
#[derive(Default)]
pub struct MemoryBuckets(std::sync::Mutex<std::collections::HashMap<BucketId, Level>>);

#[async_trait]
impl SharedBuckets for MemoryBuckets {
    async fn take(
        &self,
        bucket: BucketId,
        rate: Rate,
        amount: u64,
        at: Timestamp,
    ) -> Result<Taken, BucketsUnavailable> {
        let mut levels = self.0.lock().expect("nothing panics while it is locked");
        let taken = rate.take(levels.get(&bucket).copied(), amount, at);
        if let Taken::Yes(level) = taken {
            levels.insert(bucket, level);
        }
        Ok(taken)
    }

    async fn clear(&self, bucket: BucketId) -> Result<(), BucketsUnavailable> {
        self.0
            .lock()
            .expect("nothing panics while it is locked")
            .remove(&bucket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::environment::FrozenClock;

    struct OutOfOrder;

    #[async_trait]
    impl SharedBuckets for OutOfOrder {
        async fn take(
            &self,
            _: BucketId,
            _: Rate,
            _: u64,
            _: Timestamp,
        ) -> Result<Taken, BucketsUnavailable> {
            Err(BucketsUnavailable("out of order".into()))
        }

        async fn clear(&self, _: BucketId) -> Result<(), BucketsUnavailable> {
            Err(BucketsUnavailable("out of order".into()))
        }
    }

    fn limits(shared: impl SharedBuckets) -> (Limits, Arc<FrozenClock>) {
        let clock = Arc::new(FrozenClock::default());
        let key = DoorKey::new([1; 32]);
        let limits = Limits::new(Rates::default(), Arc::new(shared), clock.clone(), key);
        (limits, clock)
    }

    #[tokio::test]
    async fn every_bucket_holds_what_the_table_says_and_refills_at_its_pace() {
        for &limit in Limit::ALL {
            let (limits, clock) = limits(MemoryBuckets::default());
            let name = limit.name();
            let Rate { size, period } = limit.default_rate();
            limits.take_many(limit, "a", size).await.unwrap();
            let refused = limits.take(limit, "a").await.unwrap_err();
            let Limited::For(wait) = &refused else {
                panic!("{name}: {refused}");
            };
            assert_eq!(*wait, period, "{name}");
            let told = refused.retry_after().unwrap();
            assert_eq!(told.as_secs(), period.as_secs(), "{name}: rounded down");
            limits.take(limit, "b").await.unwrap();

            // The clock counts milliseconds: some limits give back many permits in one.
            let step = period.max(Duration::from_millis(1));
            clock.advance(step.saturating_sub(Duration::from_millis(1)));
            if step == period {
                assert!(limits.take(limit, "a").await.is_err(), "{name}: not yet");
            }
            clock.advance(Duration::from_millis(1));
            let back = u64::try_from(step.as_nanos() / period.as_nanos()).unwrap();
            limits.take_many(limit, "a", back).await.unwrap();
            assert!(limits.take(limit, "a").await.is_err(), "{name}: only that");
            let wait = limits.wait(limit, "a").await.unwrap();
            assert_eq!(wait, period, "{name}");
            limits.clear(limit, "a").await.unwrap();
            let wait = limits.wait(limit, "a").await.unwrap();
            assert_eq!(wait, Duration::ZERO, "{name}");
            limits.take_many(limit, "a", size).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_cannot_be_counted_is_let_through_only_where_that_does_no_harm() {
        let (limits, _) = limits(OutOfOrder);
        for &limit in Limit::ALL {
            let allowed = limits.take(limit, "a").await;
            assert_eq!(
                allowed.is_ok(),
                limit.scope() == Scope::Node,
                "{}",
                limit.name()
            );
            if let Err(limited) = allowed {
                assert_eq!(Problem::from(limited).status(), 503);
            }
        }
    }

    #[tokio::test]
    async fn permits_can_be_put_back() {
        let (limits, _) = limits(MemoryBuckets::default());
        let limit = Limit::AttachmentCreate;
        for _ in 0..200 {
            limits.take(limit, "a").await.unwrap();
            limits.put_back(limit, "a", 1).await;
        }
    }

    #[tokio::test]
    async fn of_many_calls_at_once_as_many_go_on_as_there_are_permits() {
        let (limits, _) = limits(MemoryBuckets::default());
        for limit in [Limit::Messages, Limit::Registration] {
            let size = usize::try_from(limit.default_rate().size).unwrap();
            let calls = (0..size * 2).map(|_| limits.take(limit, "a"));
            let outcomes = futures::future::join_all(calls).await;
            let allowed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(allowed, size, "{}", limit.name());
        }
    }
}
