//! A number becomes an account, or becomes one again.

use std::sync::Arc;

use async_trait::async_trait;
use events::account::{
    Access, AccountEvent, AccountRegistered, AccountReregistered, IdentityKeys, Protection,
    RegistrationLockFailed,
};
use events::ids::DeviceAddress;
use events::number::NumberClaimed;
use events::values::{Capability, Redacted};
use events::{Aci, DeviceId, E164, Generation, Pni, StreamId, Timestamp};

use super::proof::{NumberProof, Unproved};
use super::registration_lock::{Attempt, Locked};
use super::seat::Seat;
use crate::account::Live;
use crate::command::{Command, Refusal, Stop};
use crate::device::DeviceAttributes;
use crate::executor::work::Work;
use crate::keys::RegistrationKeys;
use crate::keys::repeated_use::NewKeyStreams;
use crate::ports::{TooManyTrials, Trial, Trials};
use crate::profile::Profile;
use crate::verification::VerificationPolicy;

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
    /// A one-time password of the existing account.
    pub one_time_password: Option<u32>,
    /// Whether the client does without a transfer from the existing device.
    pub skip_device_transfer: bool,
    /// How long sessions live.
    pub policy: Arc<VerificationPolicy>,
    /// Counts attempts at the number, and guesses at what protects its account.
    pub trials: Arc<dyn Trials>,
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
    /// The number was not proved.
    #[error(transparent)]
    Unproved(#[from] Unproved),
    /// The existing device can hand the account over, and the client has not said that it does without.
    #[error("a device transfer is possible")]
    TransferPossible,
    /// The registration lock was not opened. As a consequence no password of the account is valid any more.
    #[error(transparent)]
    RegistrationLock(#[from] Locked),
    /// The account has keys for one-time passwords, and none of them makes the one that was offered; or it has none, and
    /// one was offered.
    #[error("the one-time password is missing or wrong")]
    OneTimePassword,
    /// There were too many attempts.
    #[error(transparent)]
    TooManyTrials(#[from] TooManyTrials),
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
        existing: Option<(Aci, &Live)>,
        at: Timestamp,
    ) -> Result<Registration, RegisterAccountRefused> {
        let holder = existing.map(|(_, account)| account);
        self.proof.check_password(holder, at)?;
        let Some((aci, account)) = existing else {
            return Ok(Registration::Proceeds);
        };
        if account.primary_can(Capability::Transfer) && !self.skip_device_transfer {
            return Err(RegisterAccountRefused::TransferPossible);
        }
        if let Some((locked, failed)) = self.attempt().fail(aci, account, at) {
            return Ok(Registration::Locked(failed, locked.into()));
        }
        let accepted = match self.one_time_password {
            None => account.totp.is_empty(),
            Some(password) => account.totp.accept(password, at),
        };
        accepted
            .then_some(Registration::Proceeds)
            .ok_or(RegisterAccountRefused::OneTimePassword)
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            proof: Some(&self.proof),
            offered: self.lock_offered.as_ref(),
        }
    }

    /// The guesses at what protects the account that the rule came to, given what it said.
    fn guesses(
        &self,
        (aci, account): (Aci, &Live),
        said: &Result<Registration, RegisterAccountRefused>,
        at: Timestamp,
    ) -> Vec<Trial> {
        let password = match said {
            Ok(Registration::Proceeds) | Err(RegisterAccountRefused::OneTimePassword) => true,
            Ok(Registration::Locked(..)) => false,
            Err(_) => return Vec::new(),
        };
        let password = password && self.one_time_password.is_some() && !account.totp.is_empty();
        let lock = self.attempt().guesses(account, at);
        let lock = lock.then(|| Trial::RegistrationLock(self.number.clone()));
        let password = password.then_some(Trial::OneTimePassword(aci));
        lock.into_iter().chain(password).collect()
    }

    fn event(&self, reregistration: bool, generation: Generation, work: &Work<'_>) -> AccountEvent {
        let number = self.number.clone().into();
        let pni = self.pni;
        let identity = self
            .keys
            .as_ref()
            .map_or_else(IdentityKeys::default, RegistrationKeys::identity);
        let key = identity.aci.as_ref();
        let primary = self
            .device
            .joining_at(DeviceId::PRIMARY, generation, key, work)
            .into();
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
        self.trials
            .allow(Trial::Number(self.number.clone()))
            .await?;
        let session = self.proof.check_session_in(work, self.pni, &self.policy);
        session.await?.map_err(RegisterAccountRefused::from)?;
        let seat = Seat::find(work, self.pni, self.fresh_aci).await?;
        let existing = seat.account.live.as_deref();
        let holder = existing.map(|account| (seat.aci, account));
        // What the rule said is told only to who may guess: nobody learns or changes anything by one guess too many.
        let said = self.decide(holder, work.at());
        for guess in holder.map_or_else(Vec::new, |it| self.guesses(it, &said, work.at())) {
            self.trials.allow(guess).await?;
        }
        if let Registration::Locked(failed, refused) = said? {
            work.record(&seat.account, failed);
            return Err(Stop::RefusedOnRecord(refused));
        }
        if seat.claim {
            work.record(&seat.number, [NumberClaimed::by(seat.aci)]);
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
        let event = self.event(existing.is_some(), generation, work);
        work.record(&seat.account, [event]);
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
