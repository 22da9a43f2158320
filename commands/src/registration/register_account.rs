//! A number becomes an account, or becomes one again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use events::account::{
    Access, AccountEvent, AccountRegistered, AccountReregistered, IdentityKeys, Protection,
    RegistrationLockFailed,
};
use events::ids::DeviceAddress;
use events::number::NumberClaimed;
use events::values::{Capability, Redacted};
use events::{Aci, DeviceId, E164, Generation, Pni, SessionId, StreamId, Timestamp};

use super::registration_lock::{self, LockCheck};
use super::seat::Seat;
use crate::account::Live;
use crate::command::{Command, Refusal, Stop};
use crate::device::DeviceAttributes;
use crate::executor::work::Work;
use crate::keys::RegistrationKeys;
use crate::keys::repeated_use::NewKeyStreams;
use crate::profile::Profile;
use crate::verification::{Session, VerificationPolicy};

/// Registers a number whose holder has proved that it is theirs. If it has an account, that account is registered anew:
/// it keeps its id and number, everything else is as if it were new.
#[derive(Clone, Debug)]
pub struct RegisterAccount {
    /// How the number was proved.
    pub proof: NumberProof,
    /// The number.
    pub number: E164,
    /// Its pseudonym.
    pub pni: Pni,
    /// The id that the account gets, minted at the door, unless the number brings one of its own.
    pub fresh_aci: Aci,
    /// Device 1.
    pub device: DeviceAttributes,
    /// The identity keys and device 1's keys for them; `None` from clients that upload them later.
    pub keys: Option<RegistrationKeys>,
    /// Who may reach the account, and how.
    pub access: Access,
    /// What protects it from now on.
    pub protection: Protection,
    /// The registration lock of the existing account, as the client knows it.
    pub lock_offered: Option<Redacted<Box<str>>>,
    /// Whether the client does without a transfer from the existing device.
    pub skip_device_transfer: bool,
    /// How long sessions live.
    pub policy: Arc<VerificationPolicy>,
}

/// How somebody shows that a number is theirs.
#[derive(Clone, Debug)]
pub enum NumberProof {
    /// A verified session.
    Session(SessionId),
    /// The recovery password of the number's account.
    RecoveryPassword(Redacted<Box<[u8]>>),
}

/// The account exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub aci: Aci,
    /// The pseudonym of its number.
    pub pni: Pni,
    /// Its number.
    pub number: E164,
    /// Whether there was an account before.
    pub reregistration: bool,
    /// Whether the account that was there before kept an encrypted copy of itself in remote storage.
    pub storage_capable: bool,
    /// The address of device 1.
    pub device: DeviceAddress,
}

/// Why the number is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterAccountRefused {
    /// A signature was not made by the identity key beside it.
    #[error("a signature does not belong to its identity key")]
    InvalidSignature,
    /// There is no such session, or no longer.
    #[error("no such verification session")]
    SessionUnknown,
    /// The session is about another number.
    #[error("the verification session is about another number")]
    NumberMismatch,
    /// The session has not verified its number.
    #[error("the verification session is not verified")]
    NotVerified,
    /// The recovery password is wrong, or there is none.
    #[error("the recovery password is not accepted")]
    RecoveryPasswordRejected,
    /// The existing device can hand the account over, and the client has not said that it does without.
    #[error("a device transfer is possible")]
    TransferPossible,
    /// The registration lock was not opened. As a consequence no password of the account is valid any more.
    #[error("the account is locked")]
    RegistrationLock {
        /// How long until the lock lapses.
        time_remaining: Duration,
    },
}

impl Refusal for RegisterAccountRefused {}

/// What the rule says to a registration that it does not refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It goes on.
    Proceeds,
    /// It is refused, and that is a fact with consequences, unless they have come about already.
    Locked(Option<RegistrationLockFailed>, RegisterAccountRefused),
}

impl RegisterAccount {
    /// The rule for an existing account (or none), after the session's part.
    pub fn decide(
        &self,
        existing: Option<&Live>,
        at: Timestamp,
    ) -> Result<Registration, RegisterAccountRefused> {
        let by_password = matches!(self.proof, NumberProof::RecoveryPassword(_));
        if by_password && !existing.is_some_and(|account| self.knows_password(account)) {
            return Err(RegisterAccountRefused::RecoveryPasswordRejected);
        }
        let Some(account) = existing else {
            return Ok(Registration::Proceeds);
        };
        if account.primary_can(Capability::Transfer) && !self.skip_device_transfer {
            return Err(RegisterAccountRefused::TransferPossible);
        }
        let offered = self.lock_offered.as_ref().filter(|lock| !lock.0.is_empty());
        let LockCheck::Failed { time_remaining } = registration_lock::check(account, offered, at)
        else {
            return Ok(Registration::Proceeds);
        };
        let kept = by_password && offered.is_none();
        let has_password = account.protection.recovery_password.is_some();
        let news = !account.locked || (has_password && !kept);
        let failed = news.then_some(RegistrationLockFailed {
            recovery_password_kept: kept,
        });
        let refused = RegisterAccountRefused::RegistrationLock { time_remaining };
        Ok(Registration::Locked(failed, refused))
    }

    /// The rule for the session that shall prove the number.
    pub fn check_session(
        &self,
        session: &Session,
        at: Timestamp,
    ) -> Result<(), RegisterAccountRefused> {
        if !session.is_alive(&self.policy, at) {
            Err(RegisterAccountRefused::SessionUnknown)
        } else if session.pni() != Some(self.pni) {
            Err(RegisterAccountRefused::NumberMismatch)
        } else if !session.facts.verified {
            Err(RegisterAccountRefused::NotVerified)
        } else {
            Ok(())
        }
    }

    fn knows_password(&self, account: &Live) -> bool {
        let NumberProof::RecoveryPassword(password) = &self.proof else {
            return false;
        };
        let stored = account.protection.recovery_password.as_ref();
        stored.is_some_and(|hash| crypto::token_hash::verify_bytes(&password.0, hash))
    }

    async fn check_proof(&self, work: &Work<'_>) -> Result<(), Stop<RegisterAccountRefused>> {
        if let NumberProof::Session(id) = self.proof {
            let session = work.load::<Session>(id).await?;
            self.check_session(&session, work.at())?;
        }
        Ok(())
    }

    fn event(&self, reregistration: bool, generation: Generation) -> AccountEvent {
        let number = self.number.clone().into();
        let pni = self.pni;
        let identity = self
            .keys
            .as_ref()
            .map_or_else(IdentityKeys::default, RegistrationKeys::identity);
        let primary = self.device.joining(DeviceId::PRIMARY, generation);
        let (access, protection) = (self.access.clone(), self.protection.clone());
        if reregistration {
            AccountReregistered {
                number,
                pni,
                identity,
                primary,
                access,
                protection,
            }
            .into()
        } else {
            AccountRegistered {
                number,
                pni,
                identity,
                primary,
                access,
                protection,
            }
            .into()
        }
    }
}

#[async_trait]
impl Command for RegisterAccount {
    type Done = Registered;
    type Refused = RegisterAccountRefused;
    const NAME: &'static str = "RegisterAccount";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::number(self.pni))
    }

    /// Writes the claim, the keys, the end of the old profile, the account. Cut short after the claim, the number is
    /// claimed by an account that does not exist, which is as good as free; cut short after the keys, they belong to a
    /// generation that never came; cut short after the profile, the account has none until a device writes it again.
    async fn run(&self, work: &mut Work<'_>) -> Result<Registered, Stop<RegisterAccountRefused>> {
        if !self.keys.as_ref().is_none_or(RegistrationKeys::are_signed) {
            return Err(RegisterAccountRefused::InvalidSignature.into());
        }
        self.check_proof(work).await?;
        let seat = Seat::find(work, self.pni, self.fresh_aci).await?;
        let existing = seat.account.live.as_deref();
        if let Registration::Locked(failed, refused) = self.decide(existing, work.at())? {
            work.record(&seat.account, failed);
            return Err(Stop::RefusedOnRecord(refused));
        }
        if seat.claim {
            work.record(&seat.number, [NumberClaimed { aci: seat.aci }]);
        }
        let identities = [seat.aci.into(), self.pni.into()];
        let last = seat.account.generation;
        let streams = NewKeyStreams::find(work, &identities, DeviceId::PRIMARY, last).await?;
        let keys = self
            .keys
            .iter()
            .flat_map(|keys| [&keys.aci.keys, &keys.pni.keys]);
        streams.record(work, keys);
        let profile = work.load::<Profile>(seat.aci).await?;
        work.record(&profile, profile.clearing());
        let generation = streams.generation;
        work.record(&seat.account, [self.event(existing.is_some(), generation)]);
        Ok(Registered {
            aci: seat.aci,
            pni: self.pni,
            number: self.number.clone(),
            reregistration: existing.is_some(),
            storage_capable: existing.is_some_and(|account| account.any_can(Capability::Storage)),
            device: DeviceAddress {
                aci: seat.aci,
                device: DeviceId::PRIMARY,
                generation,
            },
        })
    }
}
