//! An account moves to another number, or gets new keys for the one that it has.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::account::{AccountDeleted, NumberChanged};
use events::ids::IdentityKind;
use events::mailbox::{MailboxEvent, MessageQueued, MessageSource};
use events::number::{NumberClaimed, NumberLeft};
use events::values::keys::EcPublicKey;
use events::values::username::UsernameHash;
use events::values::{Capability, Redacted};
use events::{Aci, DeviceId, E164, LinkHandle, Pni, StreamId, Timestamp};

use super::pni_keys::{self, NewPniKeys, WrongKeys};
use super::state::Number;
use crate::account::{Account, Live};
use crate::command::{Command, Refusal, Stop, Unavailable};
use crate::executor::work::{Loaded, Work};
use crate::message::device_check::{WrongDevices, check};
use crate::message::send_message::{DeviceMessage, MAX_CONTENT};
use crate::ports::{TooManyTrials, Trial, Trials};
use crate::profile::Profile;
use crate::registration::registration_lock::Attempt;
use crate::registration::{Locked, NumberProof, Unproved};
use crate::username::state::release_all;
use crate::verification::VerificationPolicy;

/// Moves the account to another number. Whoever holds the number loses their account, and may come back under the number
/// that is left behind. To the number that the account has, only the new keys matter, and no proof is needed.
#[derive(Clone, Debug)]
pub struct ChangeNumber {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub caller: DeviceId,
    /// The number.
    pub number: E164,
    /// Its pseudonym.
    pub pni: Pni,
    /// How the number was proved.
    pub proof: ProofOffered,
    /// The registration lock of whoever holds the number, as the client knows it.
    pub lock_offered: Option<Redacted<Box<str>>>,
    /// What becomes of an account that holds the number.
    pub holder: HolderRule,
    /// The public key of the number's identity; `None` leaves the one that the account has.
    pub identity_key: Option<EcPublicKey>,
    /// Keys for all devices; `None` from clients that upload them later.
    pub keys: Option<NewPniKeys>,
    /// What the other devices are told, one message for each; empty if they are told nothing.
    pub messages: Vec<DeviceMessage>,
    /// How long after a registration the number stays.
    pub waiting_period: Duration,
    /// How long verification sessions live.
    pub policy: Arc<VerificationPolicy>,
    /// Counts attempts at the number, and guesses at its holder's registration lock.
    pub trials: Arc<dyn Trials>,
}

/// How the number was proved.
#[derive(Clone, Debug)]
pub enum ProofOffered {
    /// Like this.
    Proof(NumberProof),
    /// Not at all, and that will not do.
    Missing,
    /// Not at all: the operator takes clients at their word.
    Waived,
}

/// What becomes of an account that holds the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderRule {
    /// It is deleted.
    Displace,
    /// It stays, and the number is refused.
    Respect,
}

/// The account has the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The account.
    pub aci: Aci,
    /// The pseudonym of its number.
    pub pni: Pni,
    /// Whether it keeps an encrypted copy of itself in remote storage.
    pub storage_capable: bool,
    /// Its username, and where the link to it stands.
    pub username: Option<(UsernameHash, Option<LinkHandle>)>,
}

/// Why the number stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeNumberRefused {
    /// The account or the calling device is gone.
    #[error("no such device")]
    NoSuchDevice,
    /// Only the primary device changes the number.
    #[error("only the primary device changes the number")]
    NotPrimary,
    /// A signature was not made by the identity key.
    #[error("a signature does not belong to its identity key")]
    InvalidSignature,
    /// The account was registered a moment ago.
    #[error("the account was registered a moment ago")]
    TooSoon {
        /// When to try again.
        retry_after: Duration,
    },
    /// The number was not proved at all.
    #[error("a proof of the number is needed")]
    ProofMissing,
    /// The number was not proved.
    #[error(transparent)]
    Unproved(#[from] Unproved),
    /// Somebody else has the number.
    #[error("somebody else has the number")]
    InUse,
    /// The registration lock of the account that holds the number was not opened. As a consequence no password of that
    /// account is valid any more.
    #[error(transparent)]
    RegistrationLock(#[from] Locked),
    /// Messages or keys are not for exactly the devices that there are.
    #[error("{} devices are missing and {} do not exist", missing.len(), extra.len())]
    MismatchedDevices {
        /// Left out.
        missing: Vec<DeviceId>,
        /// Not there.
        extra: Vec<DeviceId>,
    },
    /// Messages are for devices as they were before they were installed anew.
    #[error("{} devices are stale", devices.len())]
    StaleDevices {
        /// Which.
        devices: Vec<DeviceId>,
    },
    /// A ciphertext is longer than [`MAX_CONTENT`].
    #[error("a message of {length} bytes is longer than {MAX_CONTENT}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// There were too many attempts.
    #[error(transparent)]
    TooManyTrials(#[from] TooManyTrials),
}

impl Refusal for ChangeNumberRefused {}

impl From<WrongDevices> for ChangeNumberRefused {
    fn from(wrong: WrongDevices) -> Self {
        match wrong {
            WrongDevices::Mismatched { missing, extra } => {
                Self::MismatchedDevices { missing, extra }
            }
            WrongDevices::Stale { devices, .. } => Self::StaleDevices { devices },
        }
    }
}

impl From<WrongKeys> for ChangeNumberRefused {
    fn from(WrongKeys { missing, extra }: WrongKeys) -> Self {
        Self::MismatchedDevices { missing, extra }
    }
}

/// Somebody else who holds the number.
type Holder = (Aci, Loaded<Account>);

impl ChangeNumber {
    /// The rule for the caller.
    pub fn check_caller<'a>(&self, account: &'a Account) -> Result<&'a Live, ChangeNumberRefused> {
        let (live, _) = account
            .with_device(self.caller)
            .ok_or(ChangeNumberRefused::NoSuchDevice)?;
        if !self.caller.is_primary() {
            return Err(ChangeNumberRefused::NotPrimary);
        }
        let identity = self.identity_key.as_ref();
        let identity = identity.or(live.identity.pni.as_ref());
        let signed = |keys: &NewPniKeys| identity.is_some_and(|key| keys.are_signed_by(key));
        if !self.keys.as_ref().is_none_or(signed) {
            return Err(ChangeNumberRefused::InvalidSignature);
        }
        Ok(live)
    }

    /// The rule for the time that must have gone by.
    pub fn check_wait(&self, live: &Live, at: Timestamp) -> Result<(), ChangeNumberRefused> {
        let waited = at.since(live.registered_at);
        let retry_after = self.waiting_period.saturating_sub(waited);
        if retry_after.is_zero() {
            Ok(())
        } else {
            Err(ChangeNumberRefused::TooSoon { retry_after })
        }
    }

    /// The rule for messages and keys.
    pub fn check_devices(&self, live: &Live) -> Result<(), ChangeNumberRefused> {
        if !self.messages.is_empty() {
            let addressed = self.messages.iter().map(|m| (m.device, m.registration_id));
            check(live, IdentityKind::Aci, Some(self.caller), addressed)?;
        }
        let lengths = self.messages.iter().map(|message| message.content.len());
        if let Some(length) = lengths.max().filter(|length| *length > MAX_CONTENT) {
            return Err(ChangeNumberRefused::TooLarge { length });
        }
        if let Some(keys) = &self.keys {
            keys.check(live)?;
        }
        Ok(())
    }

    /// Checks the proof, and that whoever holds the number lets it go.
    async fn check_right(
        &self,
        work: &mut Work<'_>,
        holder: Option<&Holder>,
    ) -> Result<(), Stop<ChangeNumberRefused>> {
        self.trials
            .allow(Trial::Number(self.number.clone()))
            .await?;
        let live = holder.and_then(|(_, account)| account.live.as_deref());
        let proof = match &self.proof {
            ProofOffered::Missing => return Err(ChangeNumberRefused::ProofMissing.into()),
            ProofOffered::Waived => None,
            ProofOffered::Proof(proof) => {
                let session = proof.check_session_in(work, self.pni, &self.policy).await?;
                session.map_err(ChangeNumberRefused::from)?;
                let password = proof.check_password(live, work.at());
                password.map_err(ChangeNumberRefused::from)?;
                Some(proof)
            }
        };
        let Some((aci, account)) = holder else {
            return Ok(());
        };
        if self.holder == HolderRule::Respect {
            return Err(ChangeNumberRefused::InUse.into());
        }
        let attempt = Attempt {
            proof,
            offered: self.lock_offered.as_ref(),
        };
        if live.is_some_and(|live| attempt.guesses(live, work.at())) {
            let guess = Trial::RegistrationLock(self.number.clone());
            self.trials.allow(guess).await?;
        }
        let failure = live.and_then(|live| attempt.fail(*aci, live, work.at()));
        if let Some((locked, failed)) = failure {
            work.record(account, failed);
            return Err(Stop::RefusedOnRecord(locked.into()));
        }
        Ok(())
    }

    /// The account that holds the number, if it is another one; and the account that has to make room, or had to before
    /// this command was cut short the last time.
    async fn find_holder(
        &self,
        work: &Work<'_>,
        number: &Number,
    ) -> Result<(Option<Holder>, Option<Aci>), Unavailable> {
        let Some(aci) = number.holder.filter(|aci| *aci != self.aci) else {
            return Ok((None, number.displaced.filter(|_| number.holder.is_some())));
        };
        let account = work.load::<Account>(aci).await?;
        if account.holds(self.pni) {
            return Ok((Some((aci, account)), Some(aci)));
        }
        let gone = account.live.is_none() && account.ended_with(self.pni, work.at());
        Ok((None, gone.then_some(aci)))
    }

    /// Ends the account that holds the number, its profile first.
    async fn displace(&self, work: &mut Work<'_>, holder: &Holder) -> Result<(), Unavailable> {
        let (aci, account) = holder;
        let profile = work.load::<Profile>(*aci).await?;
        work.record(&profile, profile.ending());
        work.record(account, [AccountDeleted { pni: self.pni }]);
        match account.live.as_deref() {
            Some(live) => release_all(work, *aci, &live.usernames).await,
            None => Ok(()),
        }
    }

    /// What the account's stream learns, if it is news.
    fn changed(&self, live: &Live) -> Option<NumberChanged> {
        let news = live.pni != self.pni || self.keys.is_some() || self.identity_key.is_some();
        let keys = self.keys.as_ref();
        news.then(|| NumberChanged {
            number: self.number.clone().into(),
            pni: self.pni,
            former: live.pni,
            identity_key: self.identity_key.clone(),
            registration_ids: keys.map_or_else(Default::default, |it| it.registration_ids.clone()),
        })
    }

    /// Lets go of the number that the account had, and of the keys that its devices had for it: now, or before this
    /// command was cut short the last time.
    async fn leave(
        &self,
        work: &mut Work<'_>,
        live: &Live,
        heir: Option<Aci>,
    ) -> Result<(), Unavailable> {
        let left = if live.pni == self.pni {
            live.former_pni
        } else {
            Some(live.pni)
        };
        if let Some(pni) = left.filter(|pni| *pni != self.pni) {
            let number = work.load::<Number>(pni).await?;
            if number.holder == Some(self.aci) {
                let aci = self.aci;
                pni_keys::drop_all(work, live, pni).await?;
                work.record(&number, [NumberLeft { aci, heir }]);
            }
        }
        Ok(())
    }

    fn tell_devices(&self, work: &mut Work<'_>, live: &Live) {
        for message in &self.messages {
            let Some(device) = live.devices.get(&message.device) else {
                continue; // The rule has made sure that it is there.
            };
            let queued = MessageQueued {
                guid: message.guid,
                kind: message.kind,
                client_timestamp: work.at(),
                source: Some(MessageSource {
                    service_id: self.aci.into(),
                    device: self.caller,
                }),
                destination: self.aci.into(),
                content: Some(work.payload_of(message.guid, Bytes::clone(&message.content))),
                share: None,
                urgent: true,
                story: false,
                updated_pni: Some(self.pni),
            };
            let mailbox = StreamId::mailbox(device.address(self.aci, message.device));
            work.record_anywhere(mailbox, MailboxEvent::from(queued));
        }
    }
}

#[async_trait]
impl Command for ChangeNumber {
    type Done = Moved;
    type Refused = ChangeNumberRefused;
    const NAME: &'static str = "ChangeNumber";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::number(self.pni))
    }

    /// Writes the end of the account that holds the number, the claim, the keys, the account, what it leaves (its former
    /// keys first: while the claim stands, nobody else has keys there), and what its devices are told. Cut short before the account, nobody holds the number: its holder is gone, the claim is an
    /// orphan, and the keys stand in streams of an identity that the account does not have. After it, the claim on the
    /// earlier number is an orphan.
    async fn run(&self, work: &mut Work<'_>) -> Result<Moved, Stop<ChangeNumberRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let live = self.check_caller(&account)?;
        let number = work.load::<Number>(self.pni).await?;
        let (holder, displaced) = self.find_holder(work, &number).await?;
        if live.pni != self.pni {
            self.check_wait(live, work.at())?;
            self.check_right(work, holder.as_ref()).await?;
        }
        self.check_devices(live)?;
        if let Some(holder) = &holder {
            self.displace(work, holder).await?;
        }
        if number.holder != Some(self.aci) {
            let aci = self.aci;
            work.record(&number, [NumberClaimed { aci, displaced }]);
        }
        let changed = self.changed(live);
        if changed.is_some() {
            let keys = self.keys.clone().unwrap_or_default();
            pni_keys::record(work, live, self.pni, &keys).await?;
        }
        work.record(&account, changed);
        self.leave(work, live, displaced).await?;
        self.tell_devices(work, live);
        Ok(Moved {
            aci: self.aci,
            pni: self.pni,
            storage_capable: live.any_can(Capability::Storage),
            username: live.usernames.confirmed.as_ref().map(|it| {
                let handle = it.link.as_ref().map(|link| link.handle);
                (it.hash, handle)
            }),
        })
    }
}
