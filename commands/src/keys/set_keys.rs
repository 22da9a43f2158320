//! A device uploads pre-keys.

use std::collections::BTreeMap;

use async_trait::async_trait;
use events::account::IdentityKeySet;
use events::ids::IdentityKind;
use events::keys::{KeysEvent, PreKeyKind, PreKeysUploaded, SignedPreKeyRotated};
use events::values::keys::{
    EcPreKey, EcPublicKey, KyberPreKey, PageRecord, Signature, SignedPreKey, page,
};
use events::{Aci, DeviceId, StreamId};

use super::repeated_use::{is_signed, last_resort_set};
use super::state::PreKeys;
use crate::account::Account;
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// How many signatures are checked before other tasks get the thread: about a millisecond's worth.
const SIGNATURES_AT_A_STRETCH: usize = 16;

/// Puts keys in the place of those that a device has for one of its account's identities. What is empty or missing
/// stays as it is. At most 100 keys of each kind, by the door's care.
#[derive(Clone, Debug)]
pub struct SetKeys {
    /// The account.
    pub aci: Aci,
    /// The calling device.
    pub device: DeviceId,
    /// For which identity.
    pub identity: IdentityKind,
    /// The identity's public key, from clients that registered without keys. The first one stays.
    pub identity_key: Option<EcPublicKey>,
    /// One-time Curve25519 keys: a non-empty list replaces all that are left.
    pub one_time: Vec<EcPreKey>,
    /// One-time Kyber keys: a non-empty list replaces all that are left.
    pub one_time_kyber: Vec<KyberPreKey>,
    /// The signed pre-key.
    pub signed: Option<SignedPreKey>,
    /// The Kyber key of last resort.
    pub last_resort: Option<KyberPreKey>,
}

/// Why keys may not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetKeysRefused {
    /// The account or the device is gone.
    #[error("no such device")]
    NoSuchDevice,
    /// The account has no key for this identity, and the upload brings none to check its signatures with.
    #[error("the account has no identity key yet")]
    NoIdentityKey,
    /// The account has another key for this identity already.
    #[error("the account has another identity key")]
    OtherIdentityKey,
    /// A signature was not made by the identity key.
    #[error("a signature does not belong to the identity key")]
    InvalidSignature,
}

impl Refusal for SetKeysRefused {}

impl SetKeys {
    /// The rule for the identity: its key, and the event that makes it known if it is new.
    pub fn identity(
        &self,
        account: &Account,
    ) -> Result<(Option<EcPublicKey>, Option<IdentityKeySet>), SetKeysRefused> {
        let (live, _) = account
            .with_device(self.device)
            .ok_or(SetKeysRefused::NoSuchDevice)?;
        match (live.identity_key(self.identity), &self.identity_key) {
            (Some(known), Some(offered)) if known != offered => {
                Err(SetKeysRefused::OtherIdentityKey)
            }
            (Some(known), _) => Ok((Some(known.clone()), None)),
            (None, Some(key)) => {
                let set = IdentityKeySet {
                    identity: self.identity,
                    key: key.clone(),
                };
                Ok((Some(key.clone()), Some(set)))
            }
            (None, None) if self.signatures().next().is_some() => {
                Err(SetKeysRefused::NoIdentityKey)
            }
            (None, None) => Ok((None, None)),
        }
    }

    /// The signed keys: what was signed, and the signature.
    fn signatures(&self) -> impl Iterator<Item = (&[u8], &Signature)> {
        let signed = self
            .signed
            .iter()
            .map(|key| (key.public_key.as_ref(), &key.signature));
        let kyber = self.last_resort.iter().chain(&self.one_time_kyber);
        signed.chain(kyber.map(|key| (key.public_key.as_ref(), &key.signature)))
    }

    async fn check_signatures(&self, identity: &EcPublicKey) -> Result<(), SetKeysRefused> {
        let signatures: Vec<_> = self.signatures().collect();
        for stretch in signatures.chunks(SIGNATURES_AT_A_STRETCH) {
            if !stretch
                .iter()
                .all(|(key, signature)| is_signed(identity, key, signature))
            {
                return Err(SetKeysRefused::InvalidSignature);
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn events(&self, work: &mut Work<'_>, known: &PreKeys) -> Vec<KeysEvent> {
        let mut events = Vec::new();
        if let Some(key) = self
            .signed
            .as_ref()
            .filter(|key| known.signed.as_ref() != Some(key))
        {
            events.push(SignedPreKeyRotated { key: key.clone() }.into());
        }
        if let Some(key) = &self.last_resort {
            events.push(last_resort_set(work, key));
        }
        // The protocol hands out the lowest Curve25519 id first, and Kyber keys in the order in which they came.
        let by_id: BTreeMap<_, _> = self.one_time.iter().map(|key| (key.key_id, key)).collect();
        let one_time: Vec<EcPreKey> = by_id.into_values().cloned().collect();
        events.extend(uploaded(work, PreKeyKind::Ec, &one_time));
        events.extend(uploaded(
            work,
            PreKeyKind::Kyber,
            &last_of_each_id(&self.one_time_kyber),
        ));
        events
    }
}

/// Each id once: a later key takes the place of an earlier one.
fn last_of_each_id(keys: &[KyberPreKey]) -> Vec<KyberPreKey> {
    let mut places = BTreeMap::new();
    let mut kept: Vec<KyberPreKey> = Vec::with_capacity(keys.len());
    for key in keys {
        let place = *places.entry(key.key_id).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(earlier) => *earlier = key.clone(),
            None => kept.push(key.clone()),
        }
    }
    kept
}

fn uploaded<R: PageRecord>(work: &mut Work<'_>, kind: PreKeyKind, keys: &[R]) -> Option<KeysEvent> {
    let key_ids: Vec<_> = keys.iter().map(PageRecord::key_id).collect();
    let upload = |page| {
        PreKeysUploaded {
            kind,
            key_ids,
            page,
        }
        .into()
    };
    (!keys.is_empty()).then(|| upload(work.payload(page(keys).into())))
}

#[async_trait]
impl Command for SetKeys {
    type Done = ();
    type Refused = SetKeysRefused;
    const NAME: &'static str = "SetKeys";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::account(self.aci))
    }

    /// Writes the account (a new identity key) before the keys: an identity without keys is what such an account had
    /// before, keys without an identity could be handed to nobody.
    async fn run(&self, work: &mut Work<'_>) -> Result<(), Stop<SetKeysRefused>> {
        let account = work.load::<Account>(self.aci).await?;
        let (identity_key, identity_set) = self.identity(&account)?;
        if let Some(identity_key) = identity_key {
            self.check_signatures(&identity_key).await?;
        }
        let (live, device) = account
            .with_device(self.device)
            .ok_or(SetKeysRefused::NoSuchDevice)?;
        let identity = live.service_id(self.aci, self.identity);
        let keys = work
            .load::<PreKeys>((identity, self.device, device.generation))
            .await?;
        work.record(&account, identity_set);
        let events = self.events(work, &keys);
        work.record(&keys, events);
        Ok(())
    }
}
