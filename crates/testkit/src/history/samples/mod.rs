//! Events with sensible content, named by small numbers: one module for each kind of stream.

mod accounts;
mod keys;
mod mailboxes;
mod profiles;
mod verification;

use events::ids::DeviceAddress;
use events::values::keys::EcPublicKey;
use events::{Aci, DeviceId, E164, Generation, MessageGuid, Pni, SessionId};
use uuid::Uuid;

pub use accounts::*;
pub use keys::*;
pub use mailboxes::*;
pub use profiles::*;
pub use verification::*;

fn uuid(kind: u128, number: u32) -> Uuid {
    Uuid::from_u128((kind << 64) + u128::from(number))
}

/// Account `n`.
pub fn aci(n: u32) -> Aci {
    Aci::from_uuid(uuid(0xac1, n))
}

/// The pseudonym of the number of account `n`.
pub fn pni(n: u32) -> Pni {
    Pni::from_uuid(uuid(0x901, n))
}

/// The number of account `n`, from 0 to 99.
pub fn number(n: u32) -> E164 {
    format!("+141555501{:02}", n % 100)
        .parse()
        .expect("these numbers are possible")
}

/// Device `n`, from 1 to 127.
pub fn device(n: u32) -> DeviceId {
    DeviceId::try_from(n).expect("tests use small devices")
}

/// Message `n`.
pub fn guid(n: u32) -> MessageGuid {
    MessageGuid::from_uuid(uuid(0x351d, n))
}

/// Session `n`.
pub fn session(n: u32) -> SessionId {
    SessionId::from_uuid(uuid(0x5e55, n))
}

/// A device: account, number, generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u32, pub u32, pub u32);

impl From<Address> for DeviceAddress {
    fn from(Address(account, id, generation): Address) -> Self {
        Self {
            aci: aci(account),
            device: device(id),
            generation: Generation(generation),
        }
    }
}

/// A public key; another one for each `n`.
pub fn ec_key(n: u32) -> EcPublicKey {
    let mut key = [u8::try_from(n % 251).expect("it is small"); EcPublicKey::LEN];
    key[0] = 5;
    key.as_slice()
        .try_into()
        .expect("size and type byte are right")
}
