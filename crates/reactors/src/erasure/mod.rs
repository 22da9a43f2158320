//! Destroys what has served its purpose: payloads that were delivered, have expired, are spent or were replaced, and all that
//! belongs to a device or an account that is gone, with the keys to its personal values.
//!
//! The log decides what is due, never a read model. A message's payload stands under the message's own name, so that what a
//! delivery ends is known without looking anything up; what else ends is found in the streams concerned.

mod belongings;
mod facts;
mod judgement;
mod ledger;
mod sweep;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::erasure::{AccountErased, DeviceErased, PayloadsErased};
use events::keys::{KeysEvent, PreKeysUploaded};
use events::mailbox::MailboxEvent;
use events::personal::{KeysUnavailable, Subject, SubjectKeys};
use events::ports::Clock;
use events::store::{PayloadStore, PayloadsUnavailable};
use events::{
    AppendError, EventStore, Family, MessageGuid, PayloadId, Position, ReadError, StreamId,
    Timestamp,
};
use metrics::counter;
use subscription::{Begins, Reactor, Trouble};

use belongings::Belongings;
pub use sweep::{Sweep, SweepOptions, Swept};

/// Pages of pre-keys whose length is remembered, so that the last key of a page is known when it is taken.
const PAGES: usize = 20_000;

/// How long erasures may stay unrecorded: what was erased is recorded together, not one by one.
const RECORD_AFTER: Duration = Duration::from_mins(1);

/// What erasing needs.
#[derive(Clone)]
pub struct Tools {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// Where payloads are.
    pub payloads: Arc<dyn PayloadStore>,
    /// Where the keys to personal values are.
    pub keys: Arc<dyn SubjectKeys>,
    /// For the time of what is recorded.
    pub clock: Arc<dyn Clock>,
}

/// The reactor.
pub struct Erasure {
    tools: Tools,
    pages: Mutex<HashMap<PayloadId, usize>>,
    unrecorded: Mutex<Unrecorded>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Unrecorded {
    payloads: u64,
    since: Option<Timestamp>,
}

/// Why something was not erased.
#[derive(Debug, thiserror::Error)]
pub enum NotErased {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// What was done cannot be recorded.
    #[error("it cannot be recorded")]
    NotRecorded(#[from] AppendError),
    /// The payloads cannot be reached.
    #[error(transparent)]
    Payloads(#[from] PayloadsUnavailable),
    /// The keys cannot be reached.
    #[error(transparent)]
    Keys(#[from] KeysUnavailable),
    /// The checkpoints cannot be read.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// An event of a stream that ends cannot be read, so what belongs to it is not known.
    #[error("the event at position {position} cannot be read: {what}")]
    Illegible {
        /// Which.
        position: Position,
        /// Why.
        what: String,
    },
}

impl Erasure {
    /// The reactor's name.
    pub const NAME: &str = "erasure";

    /// A reactor that erases with these tools.
    pub fn new(tools: Tools) -> Self {
        Self {
            tools,
            pages: Mutex::default(),
            unrecorded: Mutex::default(),
        }
    }

    /// The payloads whose purpose this event ends, where that needs no more than its own streams.
    async fn ended_by(&self, fact: &Fact) -> Result<Vec<PayloadId>, NotErased> {
        match &fact.event {
            AnyEvent::Mailbox(MailboxEvent::MessagesDelivered(e)) => Ok(named(&e.guids)),
            AnyEvent::Mailbox(MailboxEvent::MessagesExpired(e)) => Ok(named(&e.guids)),
            AnyEvent::Keys(KeysEvent::PreKeysUploaded(e)) => {
                self.remember(e);
                self.replaced(fact).await
            }
            AnyEvent::Keys(KeysEvent::LastResortPreKeySet(_) | KeysEvent::PreKeysDropped(_)) => {
                self.replaced(fact).await
            }
            AnyEvent::Keys(KeysEvent::OneTimePreKeyTaken(e)) => {
                let spent = usize::from(e.index) + 1 == self.keys_on(e.page, fact).await?;
                Ok(Vec::from_iter(spent.then_some(e.page)))
            }
            AnyEvent::Profile(event) => Ok(ledger::ended_profiles(event)),
            _ => Ok(Vec::new()),
        }
    }

    /// Every payload of a keys stream that is not current any more once `fact` has happened.
    async fn replaced(&self, fact: &Fact) -> Result<Vec<PayloadId>, NotErased> {
        if fact.revision == events::Revision::FIRST {
            return Ok(Vec::new());
        }
        let mut ledger = ledger::KeyPages::default();
        facts::each(&*self.tools.store, &fact.stream, fact.position, |it| {
            ledger.apply(it);
        })
        .await?;
        Ok(ledger.ended().collect())
    }

    /// How many keys stand on a page.
    async fn keys_on(&self, page: PayloadId, fact: &Fact) -> Result<usize, NotErased> {
        if let Some(known) = self.length_of(page) {
            return Ok(known);
        }
        facts::each(&*self.tools.store, &fact.stream, fact.position, |it| {
            if let AnyEvent::Keys(KeysEvent::PreKeysUploaded(e)) = &it.event {
                self.remember(e);
            }
        })
        .await?;
        Ok(self.length_of(page).unwrap_or_default())
    }

    fn length_of(&self, page: PayloadId) -> Option<usize> {
        self.pages().get(&page).copied()
    }

    fn remember(&self, uploaded: &PreKeysUploaded) {
        let mut pages = self.pages();
        if pages.len() >= PAGES {
            pages.clear();
        }
        pages.insert(uploaded.page.id, uploaded.key_ids.len());
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, HashMap<PayloadId, usize>> {
        self.pages
            .lock()
            .expect("nothing panics while it is locked")
    }

    /// Erases what belonged to devices, or to a whole account, that this event has ended.
    async fn end(&self, fact: &Fact) -> Result<(), NotErased> {
        let (AnyEvent::Account(event), Some(aci)) = (&fact.event, fact.stream.as_account()) else {
            return Ok(());
        };
        let ends = matches!(
            event,
            AccountEvent::AccountDeleted(_)
                | AccountEvent::AccountReregistered(_)
                | AccountEvent::DeviceRemoved(_)
        );
        if !ends {
            return Ok(());
        }
        let belongings = Belongings::of(&*self.tools.store, aci, fact.position).await?;
        match event {
            AccountEvent::DeviceRemoved(e) => {
                let streams = belongings.streams_of((e.device, e.generation));
                self.end_device(fact, (e.device, e.generation), streams)
                    .await
            }
            AccountEvent::AccountReregistered(e) => {
                for device in belongings.devices_before(e.primary.generation) {
                    let streams = belongings.streams_of(device);
                    self.end_device(fact, device, streams).await?;
                }
                Ok(())
            }
            _ => self.end_account(fact, &belongings).await,
        }
    }

    async fn end_device(
        &self,
        fact: &Fact,
        (device, generation): belongings::Device,
        streams: Vec<StreamId>,
    ) -> Result<(), NotErased> {
        let payloads = self.empty(&streams, fact.position).await?;
        let Some(aci) = fact.stream.as_account().filter(|_| payloads > 0) else {
            return Ok(());
        };
        let erased = DeviceErased {
            device,
            generation,
            removal: fact.position,
            payloads,
        };
        let name = format!("{device}.{generation}");
        facts::record(&self.tools, StreamId::erasure(aci), erased, fact, &name).await
    }

    async fn end_account(&self, fact: &Fact, belongings: &Belongings) -> Result<(), NotErased> {
        let payloads = self.empty(&belongings.streams(), fact.position).await?;
        let Tools { keys, .. } = &self.tools;
        let account_key = keys.destroy(belongings.subject()).await?;
        let mut session_keys = 0;
        for pni in belongings.numbers() {
            for session in keys.sessions_of(pni).await? {
                // One that began after the account ended belongs to whoever comes next.
                if self.began_before(session, fact.position).await? && keys.destroy(session).await?
                {
                    session_keys += 1;
                }
            }
        }
        let erased = AccountErased {
            deletion: fact.position,
            payloads,
            account_key,
            session_keys,
        };
        let stream = StreamId::erasure(belongings.aci());
        facts::record(&self.tools, stream, erased, fact, "account").await
    }

    async fn began_before(&self, subject: Subject, position: Position) -> Result<bool, NotErased> {
        let Subject::Session(session, _) = subject else {
            return Ok(false);
        };
        let stream = StreamId::verification(session);
        let first = self
            .tools
            .store
            .read(&stream, events::Revision::FIRST, 1)
            .await?;
        Ok(first.first().is_some_and(|it| it.position < position))
    }

    /// Erases every payload that came with an event of these streams before `through`, and with no other; tells how many there
    /// were.
    async fn empty(&self, streams: &[StreamId], through: Position) -> Result<u64, NotErased> {
        let mut erased = 0;
        for stream in streams {
            let mut ids = Vec::new();
            facts::each(&*self.tools.store, stream, through, |it| {
                ids.extend(ledger::own_payload(&it.event));
            })
            .await?;
            erased += self.erase(&ids).await?;
        }
        Ok(erased)
    }

    async fn erase(&self, ids: &[PayloadId]) -> Result<u64, NotErased> {
        if ids.is_empty() {
            return Ok(0);
        }
        let erased = self.tools.payloads.erase(ids).await?;
        counter!("erased_payloads_total").increment(erased);
        Ok(erased)
    }

    /// Erases what is due since `first`, and notes that it was.
    async fn settle(&self, due: &mut Vec<PayloadId>, first: &Fact) -> Result<(), Trouble> {
        let erased = self.erase(due).await;
        let erased = erased.map_err(|error| Trouble::at(first, &error))?;
        due.clear();
        let mut unrecorded = self.unrecorded();
        unrecorded.payloads += erased;
        if erased > 0 && unrecorded.since.is_none() {
            unrecorded.since = Some(self.tools.clock.now());
        }
        Ok(())
    }

    /// Records, now and then, that nothing is left of what was due by `last`.
    async fn record_now_and_then(&self, last: &Fact) -> Result<(), NotErased> {
        let Unrecorded { payloads, since } = *self.unrecorded();
        let now = self.tools.clock.now();
        if since.is_none_or(|since| now.since(since) < RECORD_AFTER) {
            return Ok(());
        }
        let erased = PayloadsErased {
            through: last.position,
            payloads,
        };
        let stream = StreamId::erased_payloads();
        facts::record(&self.tools, stream, erased, last, "payloads").await?;
        let mut unrecorded = self.unrecorded();
        unrecorded.payloads -= payloads;
        unrecorded.since = None;
        Ok(())
    }

    fn unrecorded(&self) -> std::sync::MutexGuard<'_, Unrecorded> {
        self.unrecorded
            .lock()
            .expect("nothing panics while it is locked")
    }
}

/// Where messages' payloads stand.
fn named(guids: &[MessageGuid]) -> Vec<PayloadId> {
    guids.iter().map(|guid| PayloadId(guid.uuid())).collect()
}

#[async_trait]
impl Reactor for Erasure {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn families(&self) -> &'static [Family] {
        &[
            Family::Account,
            Family::Keys,
            Family::Mailbox,
            Family::Profile,
        ]
    }

    fn begins(&self) -> Begins {
        Begins::AtTheStart
    }

    /// Nobody waits for it, and one statement erases many payloads.
    fn pace(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn react(&self, facts: &[&Fact]) -> Result<(), Trouble> {
        let (Some(first), Some(last)) = (facts.first(), facts.last()) else {
            return Ok(());
        };
        let mut due = Vec::new();
        for fact in facts {
            let ended = self.ended_by(fact).await;
            match ended {
                Ok(ended) => due.extend(ended),
                Err(error) => {
                    self.settle(&mut due, first).await?;
                    return Err(Trouble::at(fact, &error));
                }
            }
            if let AnyEvent::Account(_) = fact.event {
                self.settle(&mut due, first).await?;
                let ended = self.end(fact).await;
                ended.map_err(|error| Trouble::at(fact, &error))?;
            }
        }
        self.settle(&mut due, first).await?;
        let recorded = self.record_now_and_then(last).await;
        recorded.map_err(|error| Trouble::at(last, &error))
    }
}
