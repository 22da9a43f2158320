//! From events to rows of verification sessions.

use async_trait::async_trait;
use events::account::AccountEvent;
use events::codec::{AnyEvent, Fact};
use events::verification::{Proof, SessionStarted, Transport, VerificationEvent};
use events::{Family, Pni, Position, SessionId, Timestamp};
use sqlx::PgConnection;
use subscription::{Need, Unfit};

use super::{Checks, Sends, TABLE, VerificationSession, row};
use crate::drafts::{Drafts, Entity, Rows as _};
use crate::read_model::{ReadModel, id_of};

/// The read model.
pub(crate) struct VerificationSessions;

/// What a stretch of the log does to sessions.
#[derive(Default)]
pub(crate) struct Changes {
    /// Numbers whose sessions go, before anything else is done.
    wiped: Vec<Pni>,
    drafts: Drafts<VerificationSession>,
}

/// A step of a session, with its place in the log: a step that is counted already is not counted again.
pub(crate) struct Step {
    position: Position,
    at: Timestamp,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Required(Proof),
    Submitted(Proof),
    Sent(Transport),
    Undelivered {
        transport: Transport,
        permanent: bool,
    },
    Rejected,
    Verified,
    Challenged,
}

impl Entity for VerificationSession {
    type Key = SessionId;
    type Patch = Step;

    fn key(&self) -> SessionId {
        self.id
    }

    fn patch(&mut self, Step { position, at, what }: Step) -> bool {
        if position > self.as_of {
            self.as_of = position;
            self.last_action_at = at;
            self.step(what, at);
        }
        true
    }
}

impl VerificationSession {
    fn step(&mut self, what: What, at: Timestamp) {
        match what {
            What::Required(proof) => self.required.insert(0, proof),
            What::Submitted(proof) => {
                self.submitted.push(proof);
                self.required.clear();
            }
            What::Sent(transport) => {
                let sends = self.sends(transport);
                sends.count += 1;
                sends.first = sends.first.or(Some(at));
                sends.last = Some(at);
                self.checks = Some(Checks::default());
            }
            What::Undelivered {
                transport,
                permanent,
            } => {
                self.sends(transport).closed |= permanent;
                self.checks = None;
            }
            What::Rejected => {
                let checks = self.checks.get_or_insert_default();
                checks.count += 1;
                checks.last = Some(at);
            }
            What::Challenged => {}
            What::Verified => {
                self.verified = true;
                self.checks = None;
            }
        }
    }

    const fn sends(&mut self, transport: Transport) -> &mut Sends {
        match transport {
            Transport::Sms => &mut self.sms,
            Transport::Voice => &mut self.voice,
        }
    }
}

impl Changes {
    fn apply(&mut self, fact: &Fact, id: SessionId, event: &VerificationEvent) {
        let what = match event {
            VerificationEvent::SessionStarted(e) => return self.drafts.put(started(fact, id, e)),
            VerificationEvent::ProofRequired(e) => What::Required(e.proof),
            VerificationEvent::ProofSubmitted(e) => What::Submitted(e.proof),
            VerificationEvent::CodeSent(e) => What::Sent(e.transport),
            VerificationEvent::CodeUndelivered(e) => What::Undelivered {
                transport: e.transport,
                permanent: e.permanent,
            },
            VerificationEvent::CodeRejected(_) => What::Rejected,
            VerificationEvent::NumberVerified(_) => What::Verified,
            VerificationEvent::PushChallengeIssued(_) => What::Challenged,
        };
        let step = Step {
            position: fact.position,
            at: fact.metadata.at,
            what,
        };
        self.drafts.patch(id, step);
    }

    fn forget(&mut self, pni: Pni) {
        self.drafts.remove_known(|session| session.pni == pni);
        self.wiped.push(pni);
    }

    /// A number that an account has no more is to be forgotten, in sessions too.
    fn apply_account(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::AccountDeleted(e) => self.forget(e.pni),
            AccountEvent::NumberChanged(e) => {
                if e.former != e.pni {
                    self.forget(e.former);
                }
            }
            AccountEvent::AccountRegistered(_)
            | AccountEvent::AccountReregistered(_)
            | AccountEvent::DeviceLinked(_)
            | AccountEvent::DeviceRemoved(_)
            | AccountEvent::AttributesChanged(_)
            | AccountEvent::RegistrationLockFailed(_)
            | AccountEvent::RecoveryPasswordDropped(_)
            | AccountEvent::IdentityKeySet(_)
            | AccountEvent::RecoveryPasswordSet(_)
            | AccountEvent::RegistrationLockChanged(_)
            | AccountEvent::AccessChanged(_)
            | AccountEvent::PushTokenChanged(_)
            | AccountEvent::DeviceRenamed(_)
            | AccountEvent::UsernameReservationSet(_)
            | AccountEvent::UsernameConfirmed(_)
            | AccountEvent::UsernameDropped(_)
            | AccountEvent::UsernameLinkChanged(_)
            | AccountEvent::TotpKeyGenerated(_)
            | AccountEvent::TotpKeyConfirmed(_)
            | AccountEvent::TotpKeyMetadataSet(_)
            | AccountEvent::TotpKeyRemoved(_)
            | AccountEvent::BackupRequestsSet(_)
            | AccountEvent::DeviceSeen(_)
            | AccountEvent::ZkCredentialKeySet(_)
            | AccountEvent::DeviceFetchesMessages(_)
            | AccountEvent::ChallengeMet(_)
            | AccountEvent::DeviceCapabilitiesChanged(_)
            | AccountEvent::TransferArchiveOffered(_) => {}
        }
    }
}

fn started(fact: &Fact, id: SessionId, event: &SessionStarted) -> VerificationSession {
    let at = fact.metadata.at;
    VerificationSession {
        id,
        number: event.number.known().cloned(),
        pni: event.pni,
        required: event.required.clone(),
        submitted: Vec::new(),
        sms: Sends::default(),
        voice: Sends::default(),
        checks: None,
        verified: false,
        started_at: at,
        last_action_at: at,
        as_of: fact.position,
    }
}

#[async_trait]
impl ReadModel for VerificationSessions {
    const NAME: &'static str = "verification_sessions";
    const VERSION: u32 = 1;
    const FAMILIES: &'static [Family] = &[Family::Verification, Family::Account];
    const TABLES: &'static [&'static str] = &[TABLE];

    type Changes = Changes;

    fn needs(family: Family, kind: &str) -> Need {
        match (family, kind) {
            (Family::Account, "AttributesChanged" | "DeviceSeen") => Need::Nothing,
            (Family::Verification, "SessionStarted") => Need::Clear,
            _ => Need::Sealed,
        }
    }

    fn fold(facts: &[&Fact]) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        for fact in facts {
            match &fact.event {
                AnyEvent::Verification(event) => {
                    changes.apply(fact, id_of(fact, fact.stream.as_verification())?, event);
                }
                AnyEvent::Account(event) => changes.apply_account(event),
                AnyEvent::Keys(_)
                | AnyEvent::Mailbox(_)
                | AnyEvent::Number(_)
                | AnyEvent::Operator(_)
                | AnyEvent::Username(_)
                | AnyEvent::Profile(_)
                | AnyEvent::Erasure(_)
                | AnyEvent::Tree(_)
                | AnyEvent::Picture(_) => {}
            }
        }
        Ok(changes)
    }

    async fn write(connection: &mut PgConnection, changes: Changes) -> Result<(), sqlx::Error> {
        row::wipe(connection, &changes.wiped).await?;
        let loaded = row::load(connection, &changes.drafts.wanting()).await?;
        let settled = changes.drafts.settle(loaded);
        row::delete(connection, &settled.deleted).await?;
        row::store(connection, &settled.stored).await
    }
}
