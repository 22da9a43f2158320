//! Which payloads have served their purpose, and which no event speaks of: judged while the log passes by.

use std::collections::{HashMap, HashSet};

use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::mailbox::MailboxEvent;
use events::{Aci, DeviceId, Family, Generation, PayloadId, Pni, Position, ServiceId, StreamId};
use uuid::Uuid;

use super::ledger::{KeyPages, ended_profiles, own_payload};
use super::named;

/// What a pass over the log has found out.
pub(super) struct Verdict {
    /// Payloads that have served their purpose.
    pub(super) ended: Vec<PayloadId>,
    /// Payloads that no event speaks of.
    pub(super) without_event: Vec<PayloadId>,
    /// How far the log was read.
    pub(super) seen: Position,
}

/// Where a payload came from.
struct Origin {
    stream: StreamId,
    position: Position,
}

/// One recipient's copy of a message to many: mailbox and name.
type Copied = (StreamId, Uuid);

/// Judges payloads while the log passes by.
pub(super) struct Judgement {
    through: Position,
    /// Where an event stands that cannot be read. Any payload may be its own.
    pub(super) unreadable: Option<Position>,
    found: HashSet<PayloadId>,
    origins: HashMap<PayloadId, Origin>,
    ended: HashSet<PayloadId>,
    keys: HashMap<StreamId, KeyPages>,
    /// By payload of a message to many: in which mailboxes, and under which names there, it still waits.
    waiting: HashMap<PayloadId, HashSet<Copied>>,
    /// By such a place: the payload.
    shared: HashMap<Copied, PayloadId>,
    /// The last generation of each account.
    generations: HashMap<Aci, Generation>,
    /// All devices up to this generation are gone.
    gone_accounts: HashMap<Aci, (Generation, Position)>,
    gone_numbers: HashMap<Pni, (Generation, Position)>,
    gone_devices: HashSet<(Aci, DeviceId, Generation)>,
}

impl Judgement {
    pub(super) fn new(found: HashSet<PayloadId>, through: Position) -> Self {
        Self {
            through,
            unreadable: None,
            found,
            origins: HashMap::new(),
            ended: HashSet::new(),
            keys: HashMap::new(),
            waiting: HashMap::new(),
            shared: HashMap::new(),
            generations: HashMap::new(),
            gone_accounts: HashMap::new(),
            gone_numbers: HashMap::new(),
            gone_devices: HashSet::new(),
        }
    }

    /// Takes an event into account.
    pub(super) fn apply(&mut self, fact: &Fact) {
        if let Some(id) = own_payload(&fact.event)
            && self.found.contains(&id)
        {
            let origin = Origin {
                stream: fact.stream.clone(),
                position: fact.position,
            };
            self.origins.insert(id, origin);
        } else {
            self.share(fact);
        }
        if fact.position > self.through {
            return;
        }
        match &fact.event {
            AnyEvent::Mailbox(event) => self.apply_mailbox(&fact.stream, event),
            AnyEvent::Profile(event) => {
                let ended = ended_profiles(event).into_iter();
                self.ended
                    .extend(ended.filter(|id| self.found.contains(id)));
            }
            AnyEvent::Keys(_) => self
                .keys
                .entry(fact.stream.clone())
                .or_default()
                .apply(fact),
            AnyEvent::Account(event) => {
                if let Some(aci) = fact.stream.as_account() {
                    self.apply_account(aci, event, fact.position);
                }
            }
            _ => {}
        }
    }

    /// Notes that somebody waits for a payload that others may wait for as well.
    fn share(&mut self, fact: &Fact) {
        if let AnyEvent::Mailbox(MailboxEvent::MessageQueued(e)) = &fact.event
            && let Some(content) = e.content
            && self.found.contains(&content.id)
        {
            let copied = (fact.stream.clone(), e.guid.uuid());
            self.waiting
                .entry(content.id)
                .or_default()
                .insert(copied.clone());
            self.shared.insert(copied, content.id);
        }
    }

    fn apply_mailbox(&mut self, mailbox: &StreamId, event: &MailboxEvent) {
        let guids = match event {
            MailboxEvent::MessageQueued(_) | MailboxEvent::MessageReported(_) => return,
            MailboxEvent::MessagesDelivered(e) => &e.guids,
            MailboxEvent::MessagesExpired(e) => &e.guids,
        };
        for id in named(guids) {
            if self.found.contains(&id) {
                self.ended.insert(id);
            }
            let copied = (mailbox.clone(), id.0);
            if let Some(payload) = self.shared.remove(&copied)
                && let Some(waiting) = self.waiting.get_mut(&payload)
            {
                waiting.remove(&copied);
            }
        }
    }

    fn apply_account(&mut self, aci: Aci, event: &AccountEvent, position: Position) {
        match event {
            AccountEvent::AccountRegistered(e) => {
                self.generations.insert(aci, e.primary.generation);
            }
            AccountEvent::AccountReregistered(e) => {
                let Generation(new) = e.primary.generation;
                let last = (Generation(new.saturating_sub(1)), position);
                self.gone_accounts.insert(aci, last);
                self.gone_numbers.insert(e.pni, last);
                self.generations.insert(aci, e.primary.generation);
            }
            AccountEvent::DeviceLinked(e) => {
                self.generations.insert(aci, e.device.generation);
            }
            AccountEvent::DeviceRemoved(e) => {
                self.gone_devices.insert((aci, e.device, e.generation));
            }
            AccountEvent::AccountDeleted(e) => {
                let last = self.generations.get(&aci).copied().unwrap_or_default();
                self.gone_accounts.insert(aci, (last, position));
                self.gone_numbers.insert(e.pni, (last, position));
            }
            _ => {}
        }
    }

    /// Whether the stream that a payload came with belongs to nobody any more.
    fn is_gone(&self, origin: &Origin) -> bool {
        if origin.stream.family() == Family::Mailbox {
            return self.is_mailbox_gone(&origin.stream);
        }
        match origin.stream.as_keys() {
            Some((ServiceId::Aci(aci), device, generation)) => {
                self.is_device_gone(aci, device, generation)
            }
            // Another account may hold the number by now, and count its devices anew.
            Some((ServiceId::Pni(pni), _, generation)) => self
                .gone_numbers
                .get(&pni)
                .is_some_and(|(last, at)| generation <= *last && origin.position < *at),
            None => false,
        }
    }

    fn is_mailbox_gone(&self, mailbox: &StreamId) -> bool {
        let address = mailbox.as_mailbox();
        address.is_some_and(|it| self.is_device_gone(it.aci, it.device, it.generation))
    }

    fn is_device_gone(&self, aci: Aci, device: DeviceId, generation: Generation) -> bool {
        let account = self.gone_accounts.get(&aci);
        account.is_some_and(|(last, _)| generation <= *last)
            || self.gone_devices.contains(&(aci, device, generation))
    }

    /// What has come out, now that the log is read as far as that.
    pub(super) fn verdict(mut self, seen: Position) -> Verdict {
        if let Some(position) = self.unreadable {
            // A newer version knows it, or an operator sees to it first.
            tracing::warn!(%position, "no leftover payloads are erased: an event cannot be read");
            return Verdict {
                ended: Vec::new(),
                without_event: Vec::new(),
                seen,
            };
        }
        for keys in std::mem::take(&mut self.keys).into_values() {
            self.ended
                .extend(keys.ended().filter(|id| self.found.contains(id)));
        }
        let gone = self
            .origins
            .iter()
            .filter(|(_, origin)| self.is_gone(origin));
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        self.ended.extend(gone);
        // A message to many has served its purpose when nobody is left who waits for it.
        let unwanted = self.waiting.iter().filter(|(_, waiting)| {
            waiting
                .iter()
                .all(|(mailbox, _)| self.is_mailbox_gone(mailbox))
        });
        let unwanted: Vec<_> = unwanted.map(|(id, _)| *id).collect();
        self.ended.extend(unwanted);
        let known = |id: &PayloadId| {
            self.origins.contains_key(id)
                || self.waiting.contains_key(id)
                || self.ended.contains(id)
        };
        let without_event = self.found.iter().filter(|id| !known(id)).copied().collect();
        Verdict {
            ended: self.ended.into_iter().collect(),
            without_event,
            seen,
        }
    }
}
