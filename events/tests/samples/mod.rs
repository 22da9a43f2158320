//! One event of every kind, and every optional part both present and absent.

mod account;
mod erasure;
mod keys;
mod mailbox;
mod number;
mod operator;
mod picture;
mod profile;
mod tree;
mod username;
mod verification;

use events::account::AccountEvent;
use events::erasure::ErasureEvent;
use events::keys::KeysEvent;
use events::mailbox::MailboxEvent;
use events::number::NumberEvent;
use events::operator::OperatorEvent;
use events::picture::PictureEvent;
use events::profile::ProfileEvent;
use events::tree::TreeEvent;
use events::username::UsernameEvent;
use events::values::hashes::SaltedHash;
use events::values::keys::EcPublicKey;
use events::verification::VerificationEvent;
use events::{
    Aci, AnyEvent, DeviceId, E164, Event, Family, Payload, PayloadId, PayloadRef, Pni, Timestamp,
};
use uuid::Uuid;

/// Texts that only a clear personal value would show.
pub(crate) const SECRETS: [&str; 7] = [
    "14155550100",
    "push-token",
    "d3d3d3d3d3d3d3d3d3d3dw",
    "ZW5jcnlwdGVkIHVzZXJuYW1l",
    "Z2dnZ2dnZ2dnZ2dnZ2dn",
    "aGhoaGhoaGhoaGhoaGho",
    "push-challenge",
];

/// Every sample, with the family of its stream.
pub(crate) fn all() -> Vec<(Family, AnyEvent)> {
    let mut samples = Vec::new();
    family::<AccountEvent>(&mut samples, account::samples());
    family::<KeysEvent>(&mut samples, keys::samples());
    family::<MailboxEvent>(&mut samples, mailbox::samples());
    family::<NumberEvent>(&mut samples, number::samples());
    family::<VerificationEvent>(&mut samples, verification::samples());
    family::<OperatorEvent>(&mut samples, operator::samples());
    family::<UsernameEvent>(&mut samples, username::samples());
    family::<ProfileEvent>(&mut samples, profile::samples());
    family::<ErasureEvent>(&mut samples, erasure::samples());
    family::<TreeEvent>(&mut samples, tree::samples());
    family::<PictureEvent>(&mut samples, picture::samples());
    samples
}

fn family<E: Event>(samples: &mut Vec<(Family, AnyEvent)>, events: Vec<E>) {
    samples.extend(events.into_iter().map(|event| (E::FAMILY, event.into())));
}

fn aci() -> Aci {
    Aci::from_uuid(Uuid::from_u128(0xac1))
}

fn pni() -> Pni {
    Pni::from_uuid(Uuid::from_u128(0x901))
}

fn number() -> E164 {
    "+14155550100".parse().unwrap()
}

fn device(id: u32) -> DeviceId {
    DeviceId::try_from(id).unwrap()
}

fn payload(bytes: &'static [u8]) -> PayloadRef {
    Payload {
        id: PayloadId(Uuid::from_u128(0xda7a)),
        bytes: bytes.into(),
    }
    .reference()
}

fn public_key(fill: u8) -> EcPublicKey {
    let mut bytes = [fill; EcPublicKey::LEN];
    bytes[0] = 5;
    bytes.as_slice().try_into().unwrap()
}

fn salted(name: &str) -> SaltedHash {
    SaltedHash {
        salt: format!("salt of {name}").into(),
        hash: format!("2.{name}").into(),
    }
}

fn moment(millis: u64) -> Timestamp {
    Timestamp::from_epoch_millis(millis).unwrap()
}
