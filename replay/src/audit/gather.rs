//! Finding the streams in which an account left traces.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::account::{AccountEvent, NewDevice};
use events::codec::{AnyEvent, Fact};
use events::ids::DeviceAddress;
use events::mailbox::MailboxEvent;
use events::number::NumberEvent;
use events::username::UsernameEvent;
use events::values::username::UsernameHash;
use events::verification::VerificationEvent;
use events::{
    Aci, Batch, DeviceId, Family, Generation, Pni, Position, Revision, ServiceId, StreamId,
};
use subscription::{Reader, Stretch};

use crate::environment::Environment;
use crate::error::ReplayError;

/// How many events are read at once.
const AT_ONCE: usize = 5_000;

/// Everything about the account, in the order of the log.
pub(super) async fn gather(
    environment: &Environment,
    aci: Aci,
) -> Result<Vec<Arc<Fact>>, ReplayError> {
    let reader = environment.reader();
    let mut facts = stream(&reader, &StreamId::account(aci)).await?;
    let traces = Traces::of(&facts);
    facts.extend(stream(&reader, &StreamId::profile(aci)).await?);
    for pni in &traces.numbers {
        let claims = stream(&reader, &StreamId::number(*pni)).await?;
        facts.extend(claims.into_iter().filter(|fact| concerns(fact, aci)));
    }
    for hash in &traces.usernames {
        let claims = stream(&reader, &StreamId::username(*hash)).await?;
        facts.extend(claims.into_iter().filter(|fact| concerns(fact, aci)));
    }
    for (device, generation) in &traces.devices {
        let (device, generation) = (*device, *generation);
        facts.extend(
            stream(
                &reader,
                &StreamId::mailbox(DeviceAddress {
                    aci,
                    device,
                    generation,
                }),
            )
            .await?,
        );
        let numbers = traces.numbers.iter().map(|pni| ServiceId::from(*pni));
        for identity in numbers.chain([aci.into()]) {
            facts.extend(stream(&reader, &StreamId::keys(identity, device, generation)).await?);
        }
    }
    facts.extend(verifications(environment, &reader, &traces.numbers).await?);
    facts.sort_by_key(|fact| fact.position);
    Ok(facts)
}

/// What the account's own stream says about where else to look.
#[derive(Default)]
struct Traces {
    numbers: BTreeSet<Pni>,
    usernames: BTreeSet<UsernameHash>,
    devices: BTreeSet<(DeviceId, Generation)>,
}

impl Traces {
    fn of(facts: &[Arc<Fact>]) -> Self {
        let mut traces = Self::default();
        for fact in facts {
            if let AnyEvent::Account(event) = &fact.event {
                traces.add(event);
            }
        }
        traces
    }

    fn add(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::AccountRegistered(e) => self.holds(e.pni, &e.primary),
            AccountEvent::AccountReregistered(e) => self.holds(e.pni, &e.primary),
            AccountEvent::DeviceLinked(e) => self.has(&e.device),
            AccountEvent::AccountDeleted(e) => {
                self.numbers.insert(e.pni);
            }
            AccountEvent::NumberChanged(e) => {
                self.numbers.extend([e.former, e.pni]);
            }
            AccountEvent::UsernameReservationSet(e) => {
                self.usernames.insert(e.hash);
            }
            AccountEvent::UsernameConfirmed(e) => {
                self.usernames.insert(e.hash);
            }
            AccountEvent::UsernameDropped(_)
            | AccountEvent::UsernameLinkChanged(_)
            | AccountEvent::RecoveryPasswordSet(_)
            | AccountEvent::RegistrationLockChanged(_)
            | AccountEvent::AccessChanged(_)
            | AccountEvent::PushTokenChanged(_)
            | AccountEvent::DeviceRenamed(_)
            | AccountEvent::TotpKeyGenerated(_)
            | AccountEvent::TotpKeyConfirmed(_)
            | AccountEvent::TotpKeyMetadataSet(_)
            | AccountEvent::TotpKeyRemoved(_)
            | AccountEvent::BackupRequestsSet(_)
            | AccountEvent::DeviceRemoved(_)
            | AccountEvent::AttributesChanged(_)
            | AccountEvent::RegistrationLockFailed(_)
            | AccountEvent::RecoveryPasswordDropped(_)
            | AccountEvent::IdentityKeySet(_)
            | AccountEvent::DeviceSeen(_)
            | AccountEvent::ZkCredentialKeySet(_)
            | AccountEvent::DeviceFetchesMessages(_)
            | AccountEvent::ChallengeMet(_)
            | AccountEvent::DeviceCapabilitiesChanged(_)
            | AccountEvent::TransferArchiveOffered(_) => {}
        }
    }

    fn holds(&mut self, pni: Pni, primary: &NewDevice) {
        self.numbers.insert(pni);
        self.has(primary);
    }

    fn has(&mut self, device: &NewDevice) {
        self.devices.insert((device.id, device.generation));
    }
}

/// A number, and a username, is held by one account after the other.
fn concerns(fact: &Fact, aci: Aci) -> bool {
    match &fact.event {
        AnyEvent::Number(NumberEvent::NumberClaimed(e)) => e.aci == aci,
        AnyEvent::Number(NumberEvent::NumberReleased(e)) => e.aci == aci,
        AnyEvent::Number(NumberEvent::NumberLeft(e)) => e.aci == aci || e.heir == Some(aci),
        AnyEvent::Username(UsernameEvent::UsernameReserved(e)) => e.aci == aci,
        AnyEvent::Username(UsernameEvent::UsernameClaimed(e)) => e.aci == aci,
        AnyEvent::Username(UsernameEvent::UsernameReleased(e)) => e.aci == aci,
        _ => false,
    }
}

/// All events of a stream.
pub(super) async fn stream(reader: &Reader, id: &StreamId) -> Result<Vec<Arc<Fact>>, ReplayError> {
    let mut facts = Vec::new();
    let mut from = Revision::FIRST;
    loop {
        let events = reader.store().read(id, from, AT_ONCE).await?;
        let Some(last) = events.last() else {
            return Ok(facts);
        };
        from = last.revision.next();
        let batch = Batch {
            through: last.position,
            events,
        };
        facts.extend(legible(reader.decode(Position::START, &batch).await?)?);
    }
}

/// All events of the sessions about these numbers. Sessions are found by their first event, so the family is read whole.
async fn verifications(
    environment: &Environment,
    reader: &Reader,
    numbers: &BTreeSet<Pni>,
) -> Result<Vec<Arc<Fact>>, ReplayError> {
    let mut found = Vec::new();
    if numbers.is_empty() {
        return Ok(found);
    }
    let head = environment.store.head().await?;
    let mut sessions = BTreeSet::new();
    let mut position = Position::START;
    while position < head {
        let stretch = reader
            .read(position, &[Family::Verification], AT_ONCE)
            .await?;
        position = stretch.through;
        for fact in legible(stretch)? {
            if let AnyEvent::Verification(VerificationEvent::SessionStarted(e)) = &fact.event
                && numbers.contains(&e.pni)
            {
                sessions.insert(fact.stream.clone());
            }
            if sessions.contains(&fact.stream) {
                found.push(fact);
            }
        }
    }
    Ok(found)
}

/// What the account did in other people's mailboxes up to a position. Nothing says in which, so the family is read whole.
pub(super) async fn elsewhere(
    environment: &Environment,
    aci: Aci,
    through: Position,
) -> Result<Vec<Arc<Fact>>, ReplayError> {
    let reader = environment.reader();
    let mut found = Vec::new();
    let mut position = Position::START;
    while position < through {
        let stretch = reader.read(position, &[Family::Mailbox], AT_ONCE).await?;
        position = stretch.through;
        let facts = legible(stretch)?.into_iter();
        found.extend(facts.filter(|fact| fact.position <= through && acted(fact, aci)));
    }
    Ok(found)
}

/// Whether the account sent this to somebody else, or was reported by somebody else.
fn acted(fact: &Fact, aci: Aci) -> bool {
    let own = fact.stream.as_mailbox().is_some_and(|it| it.aci == aci);
    let by = match &fact.event {
        AnyEvent::Mailbox(MailboxEvent::MessageQueued(e)) => {
            e.source.map(|source| source.service_id)
        }
        AnyEvent::Mailbox(MailboxEvent::MessageReported(e)) => Some(e.source.into()),
        _ => None,
    };
    !own && by == Some(aci.into())
}

/// An audit that left out what it cannot read would be no audit.
pub(super) fn legible(stretch: Stretch) -> Result<Vec<Arc<Fact>>, ReplayError> {
    match stretch.unreadable.into_iter().next() {
        None => Ok(stretch.facts),
        Some(it) => Err(ReplayError::Illegible {
            position: it.position,
            what: it.what,
        }),
    }
}
