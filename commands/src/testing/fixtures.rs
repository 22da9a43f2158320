//! Values with nothing special about them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crypto::keys::EcPrivateKey;
use crypto::multi_recipient::MultiRecipientMessage;
use crypto::username::Username;
use crypto::xeddsa;
use events::account::{
    Access, AccountEvent, AccountRegistered, DeviceLinked, DeviceTraits, IdentityKeys, Protection,
};
use events::ids::{IdentityKind, PreKeyId};
use events::mailbox::EnvelopeKind;
use events::ports::Entropy;
use events::values::hashes::{LinkTokenHash, SaltedHash, UnidentifiedAccessKey};
use events::values::keys::{EcPreKey, KyberPreKey, KyberPublicKey, SignedPreKey};
use events::values::username::UsernameHash;
use events::values::{Capability, Redacted};
use events::{
    Aci, DeviceId, E164, Generation, LinkHandle, MessageGuid, Pni, RegistrationId, ServiceId,
    SessionId, Timestamp,
};
use testkit::environment::SeededEntropy;
use uuid::Uuid;

use crate::account::change_attributes::{AccessKeyChange, ChangeAttributes};
use crate::account::{Caller, Live};
use crate::device::DeviceAttributes;
use crate::device::link_device::{Demands, LinkDevice, LinkedDeviceKeys};
use crate::keys::set_keys::SetKeys;
use crate::keys::take_pre_keys::TakePreKeys;
use crate::keys::{IdentityBundle, RegistrationKeys, RepeatedUseKeys};
use crate::message::send_message::{DeviceMessage, SendMessage, Sender};
use crate::message::send_to_many::{COPIES_AT_ONCE, Right, SendToMany};
use crate::number::change_number::{HolderRule, ProofOffered};
use crate::number::{ChangeNumber, NewPniKeys};
use crate::ports::EndlessTrials;
use crate::registration::NumberProof;
use crate::registration::register_account::RegisterAccount;
use crate::username::confirm_username::Reservation;
use crate::username::{ConfirmUsername, ProvedUsername, ReserveUsername};
use crate::verification::VerificationPolicy;

/// The code that every session of these tests accepts.
pub(crate) const CODE: &str = "123456";

pub(crate) fn policy() -> Arc<VerificationPolicy> {
    Arc::default()
}

pub(crate) fn number(n: u32) -> E164 {
    format!("+1415555{:04}", 100 + n).parse().unwrap()
}

pub(crate) fn pni(n: u32) -> Pni {
    Pni::from_uuid(Uuid::from_u128(0x9_0000 + u128::from(n)))
}

pub(crate) fn aci(n: u32) -> Aci {
    Aci::from_uuid(Uuid::from_u128(0xa_0000 + u128::from(n)))
}

pub(crate) fn session(n: u32) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0x5_0000 + u128::from(n)))
}

pub(crate) fn device(id: u32) -> DeviceId {
    DeviceId::try_from(id).unwrap()
}

pub(crate) fn registration_id(id: u32) -> RegistrationId {
    RegistrationId::try_from(id).unwrap()
}

pub(crate) fn key_id(id: u32) -> PreKeyId {
    PreKeyId::try_from(u64::from(id)).unwrap()
}

pub(crate) fn salted(token: &str) -> SaltedHash {
    crypto::token_hash::hash(token, [3; 16])
}

pub(crate) fn secret(text: &str) -> Redacted<Box<str>> {
    Redacted(text.into())
}

pub(crate) fn access_key(fill: u8) -> UnidentifiedAccessKey {
    vec![fill; 16].try_into().unwrap()
}

pub(crate) fn token(fill: u8) -> LinkTokenHash {
    LinkTokenHash([fill; 32])
}

/// A person's identity keys: the same in every run, different for everybody.
pub(crate) struct Identity {
    pub(crate) aci: EcPrivateKey,
    pub(crate) pni: EcPrivateKey,
    entropy: SeededEntropy,
}

impl Identity {
    pub(crate) fn of(n: u32) -> Self {
        let entropy = SeededEntropy::new(u64::from(n));
        let draw = || EcPrivateKey::generate(&mut (&entropy as &dyn Entropy).rng());
        Self {
            aci: draw(),
            pni: draw(),
            entropy,
        }
    }

    fn signature(&self, by: &EcPrivateKey, key: &[u8]) -> events::values::keys::Signature {
        xeddsa::sign(by, key, &mut (&self.entropy as &dyn Entropy).rng())
    }

    pub(crate) fn signed(&self, by: &EcPrivateKey, id: u32) -> SignedPreKey {
        let public_key = ec(id).public_key;
        let signature = self.signature(by, public_key.as_ref());
        SignedPreKey {
            key_id: key_id(id),
            public_key,
            signature,
        }
    }

    pub(crate) fn kyber(&self, by: &EcPrivateKey, id: u32) -> KyberPreKey {
        let mut bytes = vec![u8::try_from(id % 251).unwrap(); KyberPublicKey::LEN];
        bytes[0] = 8;
        let public_key = KyberPublicKey::try_from(bytes).unwrap();
        let signature = self.signature(by, public_key.as_ref());
        KyberPreKey {
            key_id: key_id(id),
            public_key,
            signature,
        }
    }

    pub(crate) fn repeated_use(&self, by: &EcPrivateKey, id: u32) -> RepeatedUseKeys {
        RepeatedUseKeys {
            signed: self.signed(by, id),
            last_resort: self.kyber(by, id),
        }
    }

    pub(crate) fn registration_keys(&self) -> RegistrationKeys {
        let bundle = |by: &EcPrivateKey| IdentityBundle {
            identity: by.public_key(),
            keys: self.repeated_use(by, 1),
        };
        RegistrationKeys {
            aci: bundle(&self.aci),
            pni: bundle(&self.pni),
        }
    }

    pub(crate) fn linked_keys(&self) -> LinkedDeviceKeys {
        LinkedDeviceKeys {
            aci: self.repeated_use(&self.aci, 2),
            pni: self.repeated_use(&self.pni, 2),
        }
    }
}

pub(crate) fn ec(id: u32) -> EcPreKey {
    let mut key = [u8::try_from(id % 251).unwrap(); 33];
    key[0] = 5;
    EcPreKey {
        key_id: key_id(id),
        public_key: key.as_slice().try_into().unwrap(),
    }
}

pub(crate) fn attributes(registration: u32) -> DeviceAttributes {
    DeviceAttributes {
        registration_id: registration_id(registration),
        pni_registration_id: Some(registration_id(registration + 1)),
        credential: salted("password"),
        traits: DeviceTraits {
            fetches_messages: true,
            capabilities: [Capability::Storage].into(),
            ..DeviceTraits::default()
        },
        push: None,
    }
}

pub(crate) fn access(n: u32) -> Access {
    let key = access_key(u8::try_from(n).unwrap());
    Access {
        key: Some(key.into()),
        unrestricted: false,
        discoverable: true,
    }
}

/// Registers the `n`th person with the `n`th session.
pub(crate) fn register(n: u32) -> RegisterAccount {
    RegisterAccount {
        proof: NumberProof::Session(session(n)),
        number: number(n),
        pni: pni(n),
        fresh_aci: aci(n),
        device: attributes(100),
        keys: Some(Identity::of(n).registration_keys()),
        access: access(n),
        protection: Protection::default(),
        lock_offered: None,
        one_time_password: None,
        skip_device_transfer: false,
        policy: policy(),
        trials: Arc::new(EndlessTrials),
    }
}

/// The `i`th place of a username link.
pub(crate) fn handle(i: u32) -> LinkHandle {
    LinkHandle::from_uuid(Uuid::from_u128(0x1_0000 + u128::from(i)))
}

fn nickname(name: u32) -> Username {
    format!("name_{name}.01").parse().unwrap()
}

/// The hash of the `name`th username.
pub(crate) fn username(name: u32) -> UsernameHash {
    UsernameHash(nickname(name).hash())
}

/// The `n`th person asks for usernames.
pub(crate) fn reserve_username(n: u32, names: &[u32]) -> ReserveUsername {
    ReserveUsername {
        aci: aci(n),
        candidates: names.iter().copied().map(username).collect(),
    }
}

/// The `n`th person takes a username that they have reserved, with a link to it.
pub(crate) fn confirm_username(n: u32, name: u32) -> ConfirmUsername {
    let entropy = SeededEntropy::new(u64::from(name));
    let proof = nickname(name).prove(&mut (&entropy as &dyn Entropy).rng());
    ConfirmUsername {
        aci: aci(n),
        username: ProvedUsername::check(username(name), &proof).unwrap(),
        encrypted: Some(vec![7; 112].try_into().unwrap()),
        fresh_handle: handle(100 * n + name),
        reservation: Reservation::Needed,
    }
}

/// The `n`th person moves to the number of the `m`th, with new keys for all devices and a message for each other one. The
/// identity of the new number is that of person 31's.
pub(crate) fn change_number(n: u32, m: u32, by: SessionId, live: &Live) -> ChangeNumber {
    let person = Identity::of(31);
    let devices = || live.devices.keys().copied();
    let others = live.devices.iter().filter(|(id, _)| !id.is_primary());
    let known = others.map(|(id, device)| (*id, Some(device.registration_id.into())));
    let sender = Sender::Identified(aci(n), DeviceId::PRIMARY);
    ChangeNumber {
        aci: aci(n),
        caller: DeviceId::PRIMARY,
        number: number(m),
        pni: pni(m),
        proof: ProofOffered::Proof(NumberProof::Session(by)),
        lock_offered: None,
        holder: HolderRule::Displace,
        identity_key: Some(person.pni.public_key()),
        keys: Some(NewPniKeys {
            signed: devices()
                .map(|id| (id, person.signed(&person.pni, id.into())))
                .collect(),
            last_resort: devices()
                .map(|id| (id, person.kyber(&person.pni, id.into())))
                .collect(),
            registration_ids: devices()
                .map(|id| (id, registration_id(400 + u32::from(id))))
                .collect(),
        }),
        messages: message(aci(n).into(), sender, known).messages,
        waiting_period: Duration::ZERO,
        policy: policy(),
        trials: Arc::new(EndlessTrials),
    }
}

/// Links a device to the `n`th person's account.
pub(crate) fn link(n: u32, spends: u8) -> LinkDevice {
    LinkDevice {
        aci: aci(n),
        token: token(spends),
        attributes: attributes(200 + u32::from(spends)),
        keys: Some(Identity::of(n).linked_keys()),
        demands: Demands::KeepUp,
    }
}

/// The `n`th person's device 1 uploads one-time keys 1 to `count` of both kinds.
pub(crate) fn set_keys(
    n: u32,
    identity: IdentityKind,
    identity_key: Option<&EcPrivateKey>,
    count: u32,
) -> SetKeys {
    let person = Identity::of(n);
    let by = match identity {
        IdentityKind::Aci => &person.aci,
        IdentityKind::Pni => &person.pni,
    };
    SetKeys {
        aci: aci(n),
        device: device(1),
        identity,
        identity_key: identity_key.map(EcPrivateKey::public_key),
        one_time: (1..=count).map(ec).collect(),
        one_time_kyber: (101..=100 + count).map(|id| person.kyber(by, id)).collect(),
        signed: Some(person.signed(by, 50)),
        last_resort: Some(person.kyber(by, 51)),
    }
}

/// The `n`th person takes keys of all devices.
pub(crate) fn take_all(target: ServiceId, n: u32) -> TakePreKeys {
    TakePreKeys {
        target,
        device: None,
        caller: Caller::Device(aci(n), device(1)),
    }
}

/// The `n`th person's device 1 says nothing new but how the account is protected.
pub(crate) fn change_protection(n: u32, protection: Protection) -> ChangeAttributes {
    let DeviceTraits {
        name,
        fetches_messages,
        capabilities,
        agent,
    } = attributes(100).traits;
    ChangeAttributes {
        aci: aci(n),
        device: device(1),
        name,
        fetches_messages,
        capabilities,
        agent,
        access_key: AccessKeyChange::Keep,
        unrestricted: false,
        discoverable: true,
        registration_lock: protection.registration_lock,
        recovery_password: protection.recovery_password,
    }
}

/// A message for these devices, by the registration ids that the sender knows.
pub(crate) fn message(
    destination: ServiceId,
    sender: Sender,
    devices: impl IntoIterator<Item = (DeviceId, Option<u32>)>,
) -> SendMessage {
    let messages = devices
        .into_iter()
        .map(|(device, registration_id)| DeviceMessage {
            device,
            registration_id,
            kind: EnvelopeKind::Ciphertext,
            content: Bytes::from(format!("ciphertext for device {device}")),
            guid: MessageGuid::from_uuid(Uuid::from_u128(0xe_0000 + u128::from(device.get()))),
        });
    SendMessage {
        destination,
        sender,
        messages: messages.collect(),
        timestamp: Timestamp::from_epoch_millis(1_234).unwrap(),
        online: false,
        urgent: true,
        challenged: false,
    }
}

/// A message for these devices of many recipients, by the registration ids that the sender knows.
pub(crate) fn to_many(right: Right, recipients: &[(ServiceId, &[(u8, u16)])]) -> SendToMany {
    let mut body = vec![0x23, u8::try_from(recipients.len()).unwrap()];
    for (recipient, devices) in recipients {
        body.push(u8::from(recipient.kind() == IdentityKind::Pni));
        body.extend(recipient.uuid().as_bytes());
        for (place, (device, registration_id)) in devices.iter().enumerate() {
            let more = u16::from(place + 1 < devices.len()) << 15;
            body.push(*device);
            body.extend((registration_id | more).to_be_bytes());
        }
        body.extend([recipient.uuid().as_bytes()[15]; 48]);
    }
    body.extend([0xc0; 100]);
    SendToMany {
        message: Arc::new(MultiRecipientMessage::parse(body.into()).unwrap()),
        right,
        timestamp: Timestamp::from_epoch_millis(1_234).unwrap(),
        online: false,
        urgent: true,
        from: 0,
        at_once: COPIES_AT_ONCE,
    }
}

/// The `n`th person's account was registered, without keys.
pub(crate) fn registered(n: u32) -> AccountEvent {
    AccountRegistered {
        number: number(n).into(),
        pni: pni(n),
        identity: IdentityKeys::default(),
        primary: attributes(100)
            .joining(DeviceId::PRIMARY, Generation(1))
            .into(),
        access: access(n),
        protection: Protection::default(),
    }
    .into()
}

/// A device was linked, which had this generation and spent a token of its own.
pub(crate) fn linked(id: u32, generation: u32) -> AccountEvent {
    DeviceLinked {
        device: attributes(200).joining(device(id), Generation(generation)),
        token: token(u8::try_from(generation).unwrap()),
    }
    .into()
}
