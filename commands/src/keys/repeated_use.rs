//! The keys that every device hands out again and again, and how they get into the log.

use events::account::IdentityKeys;
use events::keys::{KeysEvent, LastResortPreKeySet, SignedPreKeyRotated};
use events::values::keys::{EcPublicKey, KyberPreKey, Signature, SignedPreKey, page};
use events::{DeviceId, Generation, ServiceId};

use super::state::PreKeys;
use crate::command::Unavailable;
use crate::executor::work::{Loaded, Work};

/// What a device needs before anybody can write to it under one of the account's identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedUseKeys {
    /// Handed out until it is rotated.
    pub signed: SignedPreKey,
    /// Handed out when the one-time Kyber keys have run out.
    pub last_resort: KyberPreKey,
}

impl RepeatedUseKeys {
    /// Whether the identity key made both signatures.
    pub fn are_signed_by(&self, identity: &EcPublicKey) -> bool {
        is_signed(
            identity,
            self.signed.public_key.as_bytes(),
            &self.signed.signature,
        ) && is_signed(
            identity,
            self.last_resort.public_key.as_bytes(),
            &self.last_resort.signature,
        )
    }
}

/// Whether the identity key made the signature over a public key (33 or 1569 bytes, type byte included).
pub(crate) fn is_signed(identity: &EcPublicKey, key: &[u8], signature: &Signature) -> bool {
    crypto::xeddsa::verify(identity, key, signature)
}

/// An identity and the primary device's keys for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityBundle {
    /// The identity's public key.
    pub identity: EcPublicKey,
    /// Signed by it.
    pub keys: RepeatedUseKeys,
}

/// All keys that a registration brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationKeys {
    /// For the account's own identity.
    pub aci: IdentityBundle,
    /// For the number's identity.
    pub pni: IdentityBundle,
}

impl RegistrationKeys {
    /// Whether each identity key made the signatures over its keys.
    pub fn are_signed(&self) -> bool {
        [&self.aci, &self.pni]
            .iter()
            .all(|bundle| bundle.keys.are_signed_by(&bundle.identity))
    }

    /// The public keys of the identities.
    pub fn identity(&self) -> IdentityKeys {
        IdentityKeys {
            aci: Some(self.aci.identity.clone()),
            pni: Some(self.pni.identity.clone()),
        }
    }
}

/// The key streams of a device that is about to join, one for each identity.
pub(crate) struct NewKeyStreams {
    /// The generation that the device will have.
    pub(crate) generation: Generation,
    streams: Vec<Loaded<PreKeys>>,
}

impl NewKeyStreams {
    /// Finds the next generation whose key streams are empty. Streams that are not were begun for a device that never
    /// came, because the append was cut short before the account; nobody may inherit its keys.
    pub(crate) async fn find(
        work: &Work<'_>,
        identities: &[ServiceId],
        device: DeviceId,
        last: Generation,
    ) -> Result<Self, Unavailable> {
        let mut generation = last.next();
        loop {
            let mut streams = Vec::with_capacity(identities.len());
            for identity in identities {
                streams.push(
                    work.load::<PreKeys>((*identity, device, generation))
                        .await?,
                );
            }
            if streams.iter().all(Loaded::is_new) {
                return Ok(Self {
                    generation,
                    streams,
                });
            }
            generation = generation.next();
        }
    }

    /// Records the keys, in the order of the identities.
    pub(crate) fn record<'k>(
        &self,
        work: &mut Work<'_>,
        keys: impl IntoIterator<Item = &'k RepeatedUseKeys>,
    ) {
        for (stream, keys) in self.streams.iter().zip(keys) {
            let events = [
                SignedPreKeyRotated {
                    key: keys.signed.clone(),
                }
                .into(),
                last_resort_set(work, &keys.last_resort),
            ];
            work.record(stream, events);
        }
    }
}

/// The event for a last-resort key, whose bytes go beside the log.
pub(crate) fn last_resort_set(work: &mut Work<'_>, key: &KyberPreKey) -> KeysEvent {
    let record = work.payload(page(std::slice::from_ref(key)).into());
    LastResortPreKeySet {
        key_id: key.key_id,
        record,
    }
    .into()
}
