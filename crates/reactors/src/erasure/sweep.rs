//! The sweep: finds what should have been destroyed and is still there, and payloads whose event never came.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::erasure::LeftoversErased;
use events::personal::Subject;
use events::ports::Entropy;
use events::{Family, PayloadId, Position, ReadError, Revision, StreamId};
use futures::TryStreamExt as _;
use locks::{Lock, Task};
use metrics::counter;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::judgement::{Judgement, Verdict};
use super::{Erasure, NotErased, Tools, facts};

/// How many payloads are judged in one pass over the log. Bounds the memory of a sweep (about 150 bytes each).
const JUDGED_AT_ONCE: usize = 250_000;

/// How many ids one look at the stores asks for.
const PAGE: usize = 5_000;

/// How many events are read at once.
const STRETCH: usize = 5_000;

/// How long after its last event the key of a verification session is kept. Sessions live for minutes.
const SESSION_KEPT: Duration = Duration::from_hours(24);

/// Between the start of the process and its first sweep.
const FIRST_AFTER: Duration = Duration::from_mins(5);

/// How long what has no event stays suspect. Its event comes within seconds, if it comes at all: nobody repeats an append for as
/// long as this, and a process that lives for less than a day has destroyed what it suspected all the same.
const SUSPECT_FOR: Duration = Duration::from_mins(10);

/// The families that payloads come with, or end by, and that never move to the archive.
const AT_HAND: [Family; 3] = [Family::Account, Family::Keys, Family::Profile];

/// All families that payloads come with, or end by.
const WITH_MAILBOXES: [Family; 4] = [
    Family::Account,
    Family::Keys,
    Family::Profile,
    Family::Mailbox,
];

/// What a sweep needs.
pub struct SweepOptions {
    /// What erasing needs.
    pub tools: Tools,
    /// Where the reactor's checkpoint is, and the lock that lets one node at a time sweep.
    pub database: PgPool,
    /// For the ids of what is recorded.
    pub entropy: Arc<dyn Entropy>,
    /// Between two sweeps.
    pub every: Duration,
}

/// Sweeps now and then.
pub struct Sweep {
    options: SweepOptions,
    suspects: Suspects,
}

/// What had no event when the last sweep looked.
#[derive(Clone, Debug, Default)]
struct Suspects {
    payloads: HashSet<PayloadId>,
    keys: HashSet<Subject>,
    /// How far the log had been read by then.
    seen: Position,
}

impl Suspects {
    fn is_empty(&self) -> bool {
        self.payloads.is_empty() && self.keys.is_empty()
    }
}

/// What a sweep has destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Payloads whose purpose had ended.
    pub payloads: u64,
    /// Payloads whose event never came.
    pub orphans: u64,
    /// Keys whose subject had ended.
    pub keys: u64,
}

impl Sweep {
    /// A sweep that is not running yet.
    pub fn new(options: SweepOptions) -> Self {
        Self {
            options,
            suspects: Suspects::default(),
        }
    }

    /// Sweeps now and then until `shutdown`, which ends a sweep that is under way.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let sweeping = async {
            tokio::time::sleep(FIRST_AFTER.min(self.options.every)).await;
            loop {
                match self.once_over_all_nodes().await {
                    Ok(None) => tracing::debug!("another node sweeps"),
                    Ok(Some(swept)) => tracing::info!(?swept, "swept"),
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a sweep failed; the next one tries again"
                    ),
                }
                tokio::time::sleep(self.pause()).await;
            }
        };
        shutdown.run_until_cancelled(sweeping).await;
    }

    /// How long to rest now: not for long while something is suspect.
    pub fn pause(&self) -> Duration {
        if self.suspects.is_empty() {
            self.options.every
        } else {
            SUSPECT_FOR.min(self.options.every)
        }
    }

    /// Does what is next, unless another node sweeps.
    async fn once_over_all_nodes(&mut self) -> Result<Option<Swept>, NotErased> {
        let Some(lock) = Lock::try_take(&self.options.database, Task::Sweep).await? else {
            return Ok(None);
        };
        let swept = self.next().await;
        lock.give_back().await;
        swept.map(Some)
    }

    /// Sweeps, or looks at suspects again if there are any.
    pub async fn next(&mut self) -> Result<Swept, NotErased> {
        if self.suspects.is_empty() {
            self.sweep().await
        } else {
            self.look_again().await
        }
    }

    /// Destroys what had no event when the last sweep looked, and still has none. Reads only what came into the log since: a
    /// busy log always has something on its way, and is not to be read whole for it every ten minutes.
    async fn look_again(&mut self) -> Result<Swept, NotErased> {
        let Suspects {
            payloads,
            keys,
            seen,
        } = self.suspects.clone();
        let through = self.checkpoint().await?;
        let head = self.options.tools.store.head().await?;
        let mut judgement = Judgement::new(payloads, through);
        self.show(&mut judgement, seen, head, &WITH_MAILBOXES)
            .await?;
        let guilty = judgement.verdict(head).without_event;
        let mut swept = Swept {
            orphans: self.options.tools.payloads.erase(&guilty).await?,
            ..Swept::default()
        };
        for subject in keys {
            if self.has_ended(subject, through).await?.is_none() {
                swept.keys += u64::from(self.options.tools.keys.destroy(subject).await?);
            }
        }
        self.record(through, swept).await?;
        self.suspects = Suspects::default();
        Ok(swept)
    }

    /// Destroys what is left over; suspects what has no event at all.
    pub async fn sweep(&mut self) -> Result<Swept, NotErased> {
        let through = self.checkpoint().await?;
        let mut swept = Swept::default();
        let mut suspects = Suspects {
            seen: Position(u64::MAX),
            ..Suspects::default()
        };
        let mut after = None;
        loop {
            let found = self.some_payloads(&mut after).await?;
            if found.is_empty() {
                break;
            }
            let verdict = self.judge(found, through).await?;
            swept.payloads += self.options.tools.payloads.erase(&verdict.ended).await?;
            suspects.payloads.extend(verdict.without_event);
            suspects.seen = suspects.seen.min(verdict.seen);
        }
        swept.keys = self.sweep_keys(through, &mut suspects.keys).await?;
        self.suspects = suspects;
        self.record(through, swept).await?;
        Ok(swept)
    }

    /// How far the reactor is: what ended later is not left over yet.
    async fn checkpoint(&self) -> Result<Position, NotErased> {
        let position: Option<i64> = sqlx::query_scalar(
            "SELECT position FROM projection.checkpoints WHERE model = $1 AND reactor",
        )
        .bind(Erasure::NAME)
        .fetch_optional(&self.options.database)
        .await?;
        Ok(position.map_or(Position::START, Position::from_i64))
    }

    async fn some_payloads(
        &self,
        after: &mut Option<PayloadId>,
    ) -> Result<HashSet<PayloadId>, NotErased> {
        let mut found = HashSet::new();
        while found.len() < JUDGED_AT_ONCE {
            let page = self.options.tools.payloads.stored(*after, PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            *after = Some(*last);
            found.extend(page);
        }
        Ok(found)
    }

    /// Reads the log and tells which of the payloads have served their purpose, and which have no event.
    ///
    /// What moves to the archive is older than every message that waits, and what ended with it was erased long ago. So the archive
    /// is fetched only for payloads that nothing at hand speaks of; most days there are none.
    async fn judge(
        &self,
        found: HashSet<PayloadId>,
        through: Position,
    ) -> Result<Verdict, NotErased> {
        // Asked after the payloads were listed: the event of each is in the log by now, if it ever comes with it.
        let head = self.options.tools.store.head().await?;
        let archived = self.archived().await?;
        let mut judgement = Judgement::new(found, through);
        self.show(&mut judgement, Position::START, archived, &AT_HAND)
            .await?;
        self.show(&mut judgement, archived, head, &WITH_MAILBOXES)
            .await?;
        let mut verdict = judgement.verdict(head);
        if archived > Position::START && !verdict.without_event.is_empty() {
            let unknown = std::mem::take(&mut verdict.without_event);
            let mut judgement = Judgement::new(unknown.into_iter().collect(), through);
            self.show(&mut judgement, Position::START, head, &WITH_MAILBOXES)
                .await?;
            let known = judgement.verdict(head);
            verdict.ended.extend(known.ended);
            verdict.without_event = known.without_event;
        }
        Ok(verdict)
    }

    /// How far events of mailboxes have moved to the archive.
    async fn archived(&self) -> Result<Position, NotErased> {
        if !self.options.tools.store.reads_archive() {
            return Ok(Position::START);
        }
        let through: Option<i64> = sqlx::query_scalar("SELECT max(through) FROM log.segments")
            .fetch_one(&self.options.database)
            .await?;
        Ok(through.map_or(Position::START, Position::from_i64))
    }

    /// Lets a stretch of the log pass by a judgement.
    async fn show(
        &self,
        judgement: &mut Judgement,
        after: Position,
        through: Position,
        families: &[Family],
    ) -> Result<(), ReadError> {
        if after >= through {
            return Ok(());
        }
        let store = &self.options.tools.store;
        let mut batches = store.scan(after, through, families, STRETCH);
        while let Some(batch) = batches.try_next().await? {
            for recorded in &batch.events {
                match Fact::decode(recorded) {
                    Ok(fact) => judgement.apply(&fact),
                    Err(_) => judgement.unreadable = Some(recorded.position),
                }
            }
        }
        Ok(())
    }

    async fn sweep_keys(
        &self,
        through: Position,
        suspects: &mut HashSet<Subject>,
    ) -> Result<u64, NotErased> {
        let keys = &self.options.tools.keys;
        let mut destroyed = 0;
        let mut after = None;
        loop {
            let subjects = keys.subjects(after, PAGE).await?;
            let Some(last) = subjects.last() else {
                return Ok(destroyed);
            };
            after = Some(last.uuid());
            for subject in subjects {
                match self.has_ended(subject, through).await? {
                    Some(true) => destroyed += u64::from(keys.destroy(subject).await?),
                    Some(false) => {}
                    None => {
                        suspects.insert(subject);
                    }
                }
            }
        }
    }

    /// Whether the subject is gone; `None` if there is no event of it.
    async fn has_ended(
        &self,
        subject: Subject,
        through: Position,
    ) -> Result<Option<bool>, NotErased> {
        let Tools { store, clock, .. } = &self.options.tools;
        let (aci, begins) = match subject {
            Subject::Account(aci) => (aci, None),
            Subject::Returned(aci, deleted) => (aci, Some(deleted)),
            Subject::Session(session, _) => {
                let mut last = None;
                let stream = StreamId::verification(session);
                facts::each(&**store, &stream, Position(u64::MAX), |fact| {
                    last = Some(fact.metadata.at);
                })
                .await?;
                return Ok(last.map(|last| clock.now().since(last) > SESSION_KEPT));
            }
        };
        let mut known = None;
        let mut before = None;
        let stream = StreamId::account(aci);
        facts::each(&**store, &stream, through, |fact| {
            let deleted = matches!(
                fact.event,
                AnyEvent::Account(AccountEvent::AccountDeleted(_))
            );
            if before == begins {
                known = Some(known == Some(true) || deleted);
            }
            if deleted {
                before = Some(fact.metadata.at);
            }
        })
        .await?;
        if known.is_none() && !store.read(&stream, Revision::FIRST, 1).await?.is_empty() {
            return Ok(Some(false)); // its beginning lies behind `through`
        }
        Ok(known)
    }

    async fn record(&self, through: Position, swept: Swept) -> Result<(), NotErased> {
        counter!("erased_leftovers_total").increment(swept.payloads + swept.orphans + swept.keys);
        if swept == Swept::default() {
            return Ok(());
        }
        let SweepOptions { tools, entropy, .. } = &self.options;
        let millis = tools.clock.now().epoch_millis();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &entropy.bytes()).into_uuid();
        let erased = LeftoversErased {
            through,
            payloads: swept.payloads,
            orphans: swept.orphans,
            keys: swept.keys,
        };
        let because = facts::Because {
            id,
            causation: None,
            correlation: id,
        };
        facts::record_because(tools, StreamId::erased_payloads(), erased, because).await
    }
}
