//! The devices that are connected to this node, and what they have to be told at once.
//!
//! The hub follows the log ([`Hub::observe`]), so it hears of what other nodes stored, too. It wakes a device's session, and
//! keeps what the newest messages' events say for it: a session that has delivered all that waited need not ask the inbox for
//! them. Contents do not go through it, but those of ephemeral messages, which are no facts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use events::account::AccountEvent;
use events::codec::Fact;
use events::ids::DeviceAddress;
use events::mailbox::MailboxEvent;
use events::{Aci, AnyEvent, DeviceId, Generation, Position, StreamId};
use projections::inbox::Arrival;
use tokio::sync::{mpsc, oneshot, watch};

use crate::limits::socket as limits;
use crate::ports::{Neighbours, NoNeighbours};
use crate::ws::arrivals::Arrivals;
use crate::ws::watch::{Watch, Watchers};

/// The connected devices. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Hub(Arc<Board>);

struct Board {
    accounts: Mutex<HashMap<Aci, Vec<Entry>>>,
    next: AtomicU64,
    neighbours: Arc<dyn Neighbours>,
    watchers: Watchers,
}

/// A socket, as the hub knows it.
struct Entry {
    socket: u64,
    device: DeviceId,
    generation: Generation,
    /// Whether messages are delivered to it. One socket of a device at a time has them.
    consumer: bool,
    signals: watch::Sender<Signals>,
    arrivals: Arrivals,
    ephemeral: mpsc::Sender<Bytes>,
    settled: watch::Sender<bool>,
    /// Who took over on another node and waits until this socket has settled.
    successor: Option<DeviceAddress>,
}

/// What a session has to know at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// The position of the last message that was queued for the device since it connected.
    pub queued: Position,
    /// Where the log says that the device's credentials are void, if it does.
    pub revoked: Option<Position>,
    /// Whether a newer socket of the device has taken over.
    pub displaced: bool,
}

/// A socket's place in the hub. It leaves the hub when this is dropped.
pub struct Connection {
    hub: Hub,
    aci: Aci,
    socket: u64,
    /// What the session has to know at once.
    pub signals: watch::Receiver<Signals>,
    /// The newest messages. All that were queued since it connected are among them, or were.
    pub(crate) arrivals: Arrivals,
    /// Ephemeral messages: encoded envelopes.
    pub ephemeral: mpsc::Receiver<Bytes>,
    settled: watch::Sender<bool>,
    predecessor: Option<watch::Receiver<bool>>,
    predecessor_elsewhere: Option<oneshot::Receiver<()>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// An empty hub of the only node.
    pub fn new() -> Self {
        Self::among(Arc::new(NoNeighbours))
    }

    /// An empty hub of one node among others.
    pub fn among(neighbours: Arc<dyn Neighbours>) -> Self {
        Self(Arc::new(Board {
            accounts: Mutex::default(),
            next: AtomicU64::default(),
            neighbours,
            watchers: Watchers::default(),
        }))
    }

    /// Registers a socket of the device. A consumer displaces the one that the device had before.
    pub fn connect(&self, address: DeviceAddress, consumer: bool) -> Connection {
        let socket = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (ephemeral, from_hub) = mpsc::channel(limits::EPHEMERAL);
        let signals = watch::Sender::new(Signals::default());
        let settled = watch::Sender::new(false);
        let arrivals = Arrivals::default();
        let entry = Entry {
            socket,
            device: address.device,
            generation: address.generation,
            consumer,
            signals: signals.clone(),
            arrivals: arrivals.clone(),
            ephemeral,
            settled: settled.clone(),
            successor: None,
        };
        let mut accounts = self.accounts();
        let entries = accounts.entry(address.aci).or_default();
        let (mut predecessor, mut predecessor_elsewhere) = (None, None);
        if consumer {
            for other in entries
                .iter_mut()
                .filter(|other| other.device == address.device && other.consumer)
            {
                other.displace(address.generation);
                predecessor = Some(other.settled.subscribe());
            }
            // Under the lock, so that neighbours hear of the sockets of a device in their order.
            predecessor_elsewhere = Some(self.0.neighbours.claim(address, socket));
        }
        entries.push(entry);
        Connection {
            hub: self.clone(),
            aci: address.aci,
            socket,
            signals: signals.subscribe(),
            arrivals,
            ephemeral: from_hub,
            settled,
            predecessor,
            predecessor_elsewhere,
        }
    }

    /// Takes the device's messages away from a socket of this node, because `address`, which may be a later life of the
    /// device, has connected to another node.
    pub fn displace(&self, address: DeviceAddress, socket: u64) {
        let mut accounts = self.accounts();
        let mut entries = accounts.get_mut(&address.aci).into_iter().flatten();
        match entries.find(|entry| entry.socket == socket && entry.consumer) {
            Some(entry) => {
                entry.displace(address.generation);
                entry.successor = Some(address);
            }
            None => self.0.neighbours.settled(address),
        }
    }

    /// Tells the sessions what has happened. Facts come in the order of the log; hearing one twice does no harm.
    pub fn observe<'a>(&self, facts: impl IntoIterator<Item = &'a Fact>) {
        let accounts = self.accounts();
        for fact in facts {
            match &fact.event {
                AnyEvent::Mailbox(MailboxEvent::MessageQueued(_)) => wake(&accounts, fact),
                AnyEvent::Account(event) => {
                    revoke(&accounts, fact, event);
                    self.0.watchers.observe(fact);
                }
                _ => self.0.watchers.observe(fact),
            }
        }
    }

    /// Waits for what happens in a stream from now on, whichever node stores it. Messages that are queued do not count.
    pub(crate) fn watch(&self, stream: StreamId) -> Watch {
        self.0.watchers.watch(stream)
    }

    /// Passes an ephemeral message on to wherever the device is connected, if it is and keeps up.
    pub fn deliver_ephemeral(&self, address: DeviceAddress, envelope: Bytes) {
        if self.is_connected(address) {
            self.deliver_here(address, envelope);
        } else {
            self.0.neighbours.forward(address, envelope);
        }
    }

    /// Passes an ephemeral message on, if the device is connected here and keeps up. Tells whether it did.
    pub fn deliver_here(&self, address: DeviceAddress, envelope: Bytes) -> bool {
        let accounts = self.accounts();
        let entries = accounts.get(&address.aci).into_iter().flatten();
        let mut consumers = entries
            .filter(|entry| entry.consumer && entry.is_of(address.device, address.generation));
        consumers
            .next()
            .is_some_and(|entry| entry.ephemeral.try_send(envelope).is_ok())
    }

    /// Whether messages for the device are being delivered by this node right now.
    pub fn is_connected(&self, address: DeviceAddress) -> bool {
        let accounts = self.accounts();
        let mut entries = accounts.get(&address.aci).into_iter().flatten();
        entries.any(|entry| entry.consumer && entry.is_of(address.device, address.generation))
    }

    /// The number of authenticated sockets.
    pub fn sockets(&self) -> usize {
        self.accounts().values().map(Vec::len).sum()
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Aci, Vec<Entry>>> {
        self.0
            .accounts
            .lock()
            .expect("nothing panics while it holds the hub")
    }
}

impl Entry {
    fn is_of(&self, device: DeviceId, generation: Generation) -> bool {
        self.device == device && self.generation == generation
    }

    /// Messages go to another socket from now on: one of this generation of the device.
    fn displace(&mut self, by: Generation) {
        self.consumer = false;
        let same = self.generation == by;
        self.signals.send_modify(|signals| {
            signals.displaced |= same;
            if !same {
                // Its device is gone, although the log has not come to tell it yet.
                signals.revoked = Some(Position(u64::MAX));
            }
        });
    }
}

fn wake(accounts: &HashMap<Aci, Vec<Entry>>, fact: &Fact) {
    let Some(address) = fact.stream.as_mailbox() else {
        return;
    };
    let entries = accounts.get(&address.aci).into_iter().flatten();
    for entry in
        entries.filter(|entry| entry.consumer && entry.is_of(address.device, address.generation))
    {
        if let Some(arrival) = Arrival::of(fact) {
            entry.arrivals.add(arrival);
        }
        entry.signals.send_if_modified(|signals| {
            let news = fact.position > signals.queued;
            signals.queued = signals.queued.max(fact.position);
            news
        });
    }
}

/// Events after which a device has to prove anew who it is.
fn revoke(accounts: &HashMap<Aci, Vec<Entry>>, fact: &Fact, event: &AccountEvent) {
    let removed = match event {
        AccountEvent::DeviceRemoved(removed) => Some((removed.device, removed.generation)),
        AccountEvent::AccountReregistered(_)
        | AccountEvent::AccountDeleted(_)
        | AccountEvent::RegistrationLockFailed(_) => None,
        AccountEvent::AccountRegistered(_)
        | AccountEvent::DeviceLinked(_)
        | AccountEvent::AttributesChanged(_)
        | AccountEvent::RecoveryPasswordDropped(_)
        | AccountEvent::RecoveryPasswordSet(_)
        | AccountEvent::RegistrationLockChanged(_)
        | AccountEvent::AccessChanged(_)
        | AccountEvent::PushTokenChanged(_)
        | AccountEvent::ZkCredentialKeySet(_)
        | AccountEvent::DeviceFetchesMessages(_)
        | AccountEvent::DeviceRenamed(_)
        | AccountEvent::NumberChanged(_)
        | AccountEvent::UsernameReservationSet(_)
        | AccountEvent::UsernameConfirmed(_)
        | AccountEvent::UsernameDropped(_)
        | AccountEvent::UsernameLinkChanged(_)
        | AccountEvent::TotpKeyGenerated(_)
        | AccountEvent::TotpKeyConfirmed(_)
        | AccountEvent::TotpKeyMetadataSet(_)
        | AccountEvent::TotpKeyRemoved(_)
        | AccountEvent::BackupRequestsSet(_)
        | AccountEvent::IdentityKeySet(_)
        | AccountEvent::DeviceSeen(_)
        | AccountEvent::ChallengeMet(_)
        | AccountEvent::DeviceCapabilitiesChanged(_)
        | AccountEvent::TransferArchiveOffered(_) => return,
    };
    let Some(aci) = fact.stream.as_account() else {
        return;
    };
    let entries = accounts.get(&aci).into_iter().flatten();
    for entry in entries
        .filter(|entry| removed.is_none_or(|(device, generation)| entry.is_of(device, generation)))
    {
        entry
            .signals
            .send_modify(|signals| signals.revoked = signals.revoked.max(Some(fact.position)));
    }
}

impl Connection {
    /// Whether this is still the socket that the device's messages go to.
    pub fn is_current(&self) -> bool {
        !self.signals.borrow().displaced
    }

    /// Says that everything that the device acknowledged on this socket is stored, so that its successor may read the
    /// inbox without meeting any of it again.
    pub fn settle(&self) {
        self.settled.send_replace(true);
        let mut accounts = self.hub.accounts();
        let mut entries = accounts.get_mut(&self.aci).into_iter().flatten();
        let successor = entries
            .find(|entry| entry.socket == self.socket)
            .and_then(|entry| entry.successor.take());
        if let Some(successor) = successor {
            self.hub.0.neighbours.settled(successor);
        }
    }

    /// Waits until the socket that this one displaced, on whichever node, has [settled](Self::settle) or is gone.
    pub async fn predecessor_settled(&mut self) {
        // An error means that it is gone, which is as good.
        if let Some(mut predecessor) = self.predecessor.take() {
            let _ = predecessor.wait_for(|settled| *settled).await;
        }
        if let Some(predecessor) = self.predecessor_elsewhere.take() {
            let _ = predecessor.await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.settle();
        let mut accounts = self.hub.accounts();
        if let Some(entries) = accounts.get_mut(&self.aci) {
            if let Some(place) = entries.iter().position(|it| it.socket == self.socket) {
                let entry = entries.swap_remove(place);
                if entry.consumer {
                    let address = DeviceAddress {
                        aci: self.aci,
                        device: entry.device,
                        generation: entry.generation,
                    };
                    self.hub.0.neighbours.release(address, self.socket);
                }
            }
            if entries.is_empty() {
                accounts.remove(&self.aci);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
