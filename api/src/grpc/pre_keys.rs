//! Pre-keys on the wire, and the bundles that callers are given.

use bytes::Bytes;
use commands::keys::take_pre_keys::{DeviceBundle, PreKeyBundles};
use crypto::access_key::checksum;
use events::ServiceId;
use events::ids::PreKeyId;
use events::values::keys::{EcPreKey, KyberPreKey, SignedPreKey};
use projections::accounts::Account;
use tonic::Status;

use super::proto::common::{self, EcSignedPreKey, KemSignedPreKey};
use super::proto::keys::{AccountPreKeyBundles, DevicePreKeyBundle};
use super::{Door, status};

/// The field to which clients know every fault of a key to belong.
const FIELD: &str = "pre_keys";

fn bad_key() -> Status {
    status::violated(FIELD, "must be well-formed keys")
}

/// A signature does not fit.
pub(super) fn bad_signature() -> Status {
    status::violated(FIELD, "must be signed by the identity key")
}

fn key_id(number: i32) -> Result<PreKeyId, Status> {
    let number = u64::try_from(number).map_err(|_| bad_key())?;
    PreKeyId::try_from(number).map_err(|_| bad_key())
}

impl TryFrom<common::EcPreKey> for EcPreKey {
    type Error = Status;

    fn try_from(key: common::EcPreKey) -> Result<Self, Status> {
        Ok(Self {
            key_id: key_id(key.key_id)?,
            public_key: key.public_key[..].try_into().map_err(|_| bad_key())?,
        })
    }
}

impl From<EcPreKey> for common::EcPreKey {
    fn from(key: EcPreKey) -> Self {
        Self {
            key_id: number(key.key_id),
            public_key: Bytes::copy_from_slice(key.public_key.as_ref()),
        }
    }
}

fn number(id: PreKeyId) -> i32 {
    i32::try_from(id.get()).unwrap_or(i32::MAX)
}

/// The two signed kinds differ in their type of key only.
macro_rules! signed {
    ($wire:ident, $key:ident) => {
        impl TryFrom<$wire> for $key {
            type Error = Status;

            fn try_from(key: $wire) -> Result<Self, Status> {
                Ok(Self {
                    key_id: key_id(key.key_id)?,
                    public_key: key.public_key[..].try_into().map_err(|_| bad_key())?,
                    signature: key.signature[..].try_into().map_err(|_| bad_signature())?,
                })
            }
        }

        impl From<$key> for $wire {
            fn from(key: $key) -> Self {
                Self {
                    key_id: number(key.key_id),
                    public_key: Bytes::copy_from_slice(key.public_key.as_ref()),
                    signature: Bytes::copy_from_slice(key.signature.as_ref()),
                }
            }
        }
    };
}

signed!(EcSignedPreKey, SignedPreKey);
signed!(KemSignedPreKey, KyberPreKey);

fn device(bundle: DeviceBundle) -> (u32, DevicePreKeyBundle) {
    let keys = DevicePreKeyBundle {
        ec_signed_pre_key: Some(bundle.signed.into()),
        ec_one_time_pre_key: bundle.one_time.map(Into::into),
        kem_one_time_pre_key: bundle.kyber.map(Into::into),
        registration_id: bundle.registration_id.into(),
    };
    (bundle.device.into(), keys)
}

impl Door {
    /// The bundles, with what a sealed sender has to know of the account. Of an account that is addressed by its number
    /// nobody learns that.
    pub(super) async fn bundles(
        &self,
        target: ServiceId,
        bundles: PreKeyBundles,
    ) -> Result<AccountPreKeyBundles, Status> {
        let account = match target {
            ServiceId::Aci(aci) => self.0.queries.accounts().by_aci(aci).await,
            ServiceId::Pni(_) => Ok(None),
        };
        let account = account.map_err(status::unanswered)?;
        Ok(AccountPreKeyBundles {
            identity_key: Bytes::copy_from_slice(bundles.identity_key.as_ref()),
            device_pre_keys: bundles.devices.into_iter().map(device).collect(),
            unrestricted_unidentified_access: account
                .as_ref()
                .is_some_and(|account| account.unrestricted),
            unidentified_access_key_fingerprint: account
                .as_ref()
                .map(fingerprint)
                .unwrap_or_default(),
        })
    }
}

/// By which a client sees whether an account still has the same access key; empty if it has none.
fn fingerprint(account: &Account) -> Bytes {
    let key = account.access_key.as_ref();
    key.map(|key| Bytes::copy_from_slice(&checksum(key)))
        .unwrap_or_default()
}
