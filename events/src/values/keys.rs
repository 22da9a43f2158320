//! Public keys and signatures, by size and type byte. Whether a signature holds is for `crypto` to say.

use serde::{Deserialize, Serialize};

use super::{InvalidBytes, base64_serde};
use crate::ids::PreKeyId;

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:expr, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Box<[u8; $len]>);

        impl $name {
            /// The size in bytes.
            pub const LEN: usize = $len;

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidBytes;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidBytes> {
                let bytes: Box<[u8; $len]> = Box::<[u8]>::from(bytes).try_into().map_err(|_| InvalidBytes($what))?;
                Self::checked(bytes).ok_or(InvalidBytes($what))
            }
        }

        impl TryFrom<Vec<u8>> for $name {
            type Error = InvalidBytes;

            fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidBytes> {
                Self::try_from(bytes.as_slice())
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.0.as_slice()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let start = hex::encode(self.0.get(..5).unwrap_or(self.0.as_slice()));
                write!(f, concat!(stringify!($name), "({}…)"), start)
            }
        }

        base64_serde!($name);
    };
}
pub(crate) use fixed_bytes;

fixed_bytes!(
    /// A Curve25519 public key with its type byte 0x05: 33 bytes.
    EcPublicKey, 33, "a Curve25519 public key (33 bytes, type 0x05)"
);

impl EcPublicKey {
    const TYPE: u8 = 0x05;

    fn checked(bytes: Box<[u8; Self::LEN]>) -> Option<Self> {
        (bytes[0] == Self::TYPE).then_some(Self(bytes))
    }

    /// The 32 bytes of the u-coordinate, without the type byte.
    pub fn u_coordinate(&self) -> &[u8; 32] {
        self.0.last_chunk().expect("33 bytes end in 32 bytes")
    }
}

fixed_bytes!(
    /// A Kyber-1024 public key with its type byte 0x08: 1569 bytes.
    KyberPublicKey, 1569, "a Kyber-1024 public key (1569 bytes, type 0x08)"
);

impl KyberPublicKey {
    const TYPE: u8 = 0x08;

    fn checked(bytes: Box<[u8; Self::LEN]>) -> Option<Self> {
        (bytes[0] == Self::TYPE).then_some(Self(bytes))
    }
}

fixed_bytes!(
    /// An XEdDSA signature: 64 bytes.
    Signature, 64, "a signature (64 bytes)"
);

impl Signature {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the macro asks each kind for its check; any 64 bytes are well-formed"
    )]
    fn checked(bytes: Box<[u8; Self::LEN]>) -> Option<Self> {
        Some(Self(bytes))
    }
}

/// A Curve25519 pre-key that its owner signed and hands out again and again until it is rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPreKey {
    /// The client's number for it.
    pub key_id: PreKeyId,
    /// The key.
    pub public_key: EcPublicKey,
    /// By the identity key, over all 33 bytes of `public_key`.
    pub signature: Signature,
}

/// A Curve25519 pre-key for one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcPreKey {
    /// The client's number for it.
    pub key_id: PreKeyId,
    /// The key.
    pub public_key: EcPublicKey,
}

/// A Kyber-1024 pre-key: for one use, or the last resort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KyberPreKey {
    /// The client's number for it.
    pub key_id: PreKeyId,
    /// The key.
    pub public_key: KyberPublicKey,
    /// By the identity key, over all 1569 bytes of `public_key`.
    pub signature: Signature,
}

/// A pre-key that has a place of fixed size in a page (see [`crate::payload`]).
pub trait PageRecord: Sized {
    /// The size of one record in bytes.
    const LEN: usize;

    /// The client's number for the key.
    fn key_id(&self) -> PreKeyId;

    /// Appends the record.
    fn write(&self, page: &mut Vec<u8>);

    /// Reads a record of exactly [`Self::LEN`] bytes.
    fn read(record: &[u8]) -> Result<Self, InvalidBytes>;
}

const ID_LEN: usize = 4;

fn read_id(record: &[u8]) -> Result<(PreKeyId, &[u8]), InvalidBytes> {
    const WRONG: InvalidBytes = InvalidBytes("a pre-key record");
    let (id, rest) = record.split_first_chunk::<ID_LEN>().ok_or(WRONG)?;
    let id = PreKeyId::try_from(u64::from(u32::from_be_bytes(*id))).map_err(|_| WRONG)?;
    Ok((id, rest))
}

/// Layout: id (4 bytes, big-endian), key (33).
impl PageRecord for EcPreKey {
    const LEN: usize = ID_LEN + EcPublicKey::LEN;

    fn key_id(&self) -> PreKeyId {
        self.key_id
    }

    fn write(&self, page: &mut Vec<u8>) {
        page.extend(self.key_id.get().to_be_bytes());
        page.extend(self.public_key.as_ref());
    }

    fn read(record: &[u8]) -> Result<Self, InvalidBytes> {
        let (key_id, key) = read_id(record)?;
        Ok(Self {
            key_id,
            public_key: key.try_into()?,
        })
    }
}

/// Layout: id (4 bytes, big-endian), key (1569), signature (64).
impl PageRecord for KyberPreKey {
    const LEN: usize = ID_LEN + KyberPublicKey::LEN + Signature::LEN;

    fn key_id(&self) -> PreKeyId {
        self.key_id
    }

    fn write(&self, page: &mut Vec<u8>) {
        page.extend(self.key_id.get().to_be_bytes());
        page.extend(self.public_key.as_ref());
        page.extend(self.signature.as_ref());
    }

    fn read(record: &[u8]) -> Result<Self, InvalidBytes> {
        let (key_id, rest) = read_id(record)?;
        let (key, signature) = rest
            .split_at_checked(KyberPublicKey::LEN)
            .ok_or(InvalidBytes("a pre-key record"))?;
        Ok(Self {
            key_id,
            public_key: key.try_into()?,
            signature: signature.try_into()?,
        })
    }
}

/// Writes pre-keys one after the other.
pub fn page<R: PageRecord>(records: &[R]) -> Vec<u8> {
    let mut page = Vec::with_capacity(records.len() * R::LEN);
    for record in records {
        record.write(&mut page);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ec(id: u32) -> EcPreKey {
        let mut key = [7; 33];
        key[0] = 5;
        EcPreKey {
            key_id: PreKeyId::try_from(u64::from(id)).unwrap(),
            public_key: key.as_slice().try_into().unwrap(),
        }
    }

    #[test]
    fn size_and_type_byte_decide() {
        assert!(EcPublicKey::try_from([5; 33].as_slice()).is_ok());
        assert!(EcPublicKey::try_from([6; 33].as_slice()).is_err());
        assert!(EcPublicKey::try_from([5; 32].as_slice()).is_err());
        assert!(KyberPublicKey::try_from([8; 1569].as_slice()).is_ok());
        assert!(KyberPublicKey::try_from([7; 1569].as_slice()).is_err());
        assert!(Signature::try_from([0; 63].as_slice()).is_err());
    }

    proptest! {
        #[test]
        fn records_read_back(id in 0..=PreKeyId::MAX, fill: u8) {
            let key_id = PreKeyId::try_from(u64::from(id)).unwrap();
            let mut key = vec![fill; 1569];
            key[0] = 8;
            let kyber = KyberPreKey {
                key_id,
                public_key: key.try_into().unwrap(),
                signature: vec![fill; 64].try_into().unwrap(),
            };
            let page = page(&[kyber.clone(), kyber.clone()]);
            prop_assert_eq!(page.len(), 2 * KyberPreKey::LEN);
            prop_assert_eq!(KyberPreKey::read(&page[KyberPreKey::LEN..]), Ok(kyber));
            let record = super::page(&[ec(id)]);
            prop_assert_eq!(EcPreKey::read(&record), Ok(ec(id)));
        }

        #[test]
        fn any_bytes_are_a_record_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = EcPreKey::read(&bytes);
            let _ = KyberPreKey::read(&bytes);
        }
    }
}
