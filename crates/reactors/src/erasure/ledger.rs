//! Which payloads are current, and which have ended by an event.

use std::collections::{HashMap, HashSet};

use events::PayloadId;
use events::codec::{AnyEvent, Fact};
use events::keys::{KeysEvent, PreKeyKind};
use events::mailbox::MailboxEvent;
use events::profile::ProfileEvent;

/// The payloads of one `keys-` stream.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyPages {
    pages: HashMap<PreKeyKind, (PayloadId, usize)>,
    last_resort: Option<PayloadId>,
    ended: HashSet<PayloadId>,
}

impl KeyPages {
    /// Takes in an event of the stream; tells whether a payload has ended by it.
    pub(super) fn apply(&mut self, fact: &Fact) {
        let AnyEvent::Keys(event) = &fact.event else {
            return;
        };
        match event {
            KeysEvent::PreKeysUploaded(e) => {
                let new = (e.page.id, e.key_ids.len());
                let old = self.pages.insert(e.kind, new);
                self.ended.extend(old.map(|(page, _)| page));
            }
            KeysEvent::LastResortPreKeySet(e) => {
                self.ended.extend(self.last_resort.replace(e.record.id));
            }
            KeysEvent::OneTimePreKeyTaken(e) => {
                let keys = self.pages.get(&e.kind).filter(|(page, _)| *page == e.page);
                if keys.is_some_and(|(_, keys)| usize::from(e.index) + 1 == *keys) {
                    self.ended.insert(e.page);
                }
            }
            KeysEvent::PreKeysDropped(_) => {
                let pages = self.pages.drain().map(|(_, (page, _))| page);
                self.ended.extend(pages.chain(self.last_resort.take()));
            }
            KeysEvent::SignedPreKeyRotated(_) => {}
        }
    }

    /// The payloads that nobody will need again.
    pub(super) fn ended(&self) -> impl Iterator<Item = PayloadId> {
        self.ended.iter().copied()
    }
}

/// The payloads of profiles that have ended by this event.
pub(super) fn ended_profiles(event: &ProfileEvent) -> Vec<PayloadId> {
    match event {
        ProfileEvent::ProfileVersionSet(e) => Vec::from_iter(e.replaces),
        ProfileEvent::ProfileVersionDropped(e) => Vec::from_iter(e.fields),
        ProfileEvent::ProfileCleared(e) => e.fields.clone(),
        ProfileEvent::AvatarReplaced(_) | ProfileEvent::AvatarRemoved(_) => Vec::new(),
    }
}

/// The payload that came with an event and belongs to it alone: it stands under the message's name. A message to many is
/// stored once for all of them under a name of its own, and only the sweep sees when the last of them needs it no more.
pub(super) fn own_payload(event: &AnyEvent) -> Option<PayloadId> {
    let id = event.payload()?.id;
    match event {
        AnyEvent::Mailbox(MailboxEvent::MessageQueued(e)) if id.0 != e.guid.uuid() => None,
        _ => Some(id),
    }
}
