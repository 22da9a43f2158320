//! `accountAttributes`: what a client says of its device and account, when it registers, links a device, or later.

use std::collections::BTreeMap;

use commands::device::DeviceAttributes;
use crypto::token_hash;
use events::RegistrationId;
use events::account::{DeviceTraits, Protection, PushToken};
use events::ports::Entropy;
use events::values::hashes::UnidentifiedAccessKey;
use events::values::{Capability, EncryptedDeviceName};
use serde::{Deserialize, Serialize};

use crate::http::violations::Violations;
use crate::http::wire::{Base64, RawBytes, non_empty};

/// The attributes.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = AccountAttributes)]
pub struct AttributesRequest {
    /// Whether the device fetches messages without being woken.
    pub fetches_messages: Option<bool>,
    /// 1 to 16383; for the account's identity.
    pub registration_id: Option<u32>,
    /// 1 to 16383; for the number's identity.
    pub pni_registration_id: Option<u32>,
    /// The encrypted name of the device, 225 bytes at most.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Base64<Vec<u8>>>,
    /// Names that the server does not know mean nothing.
    pub capabilities: Option<BTreeMap<String, bool>>,
    /// Empty, or 64 characters.
    #[schema(value_type = Option<String>)]
    pub registration_lock: Option<Box<str>>,
    /// Empty, or 16 bytes.
    #[schema(value_type = Option<String>)]
    pub unidentified_access_key: Option<RawBytes>,
    /// Whether anonymous senders need to know nothing.
    pub unrestricted_unidentified_access: Option<bool>,
    /// Whether the account can be found by its number; if it is not said, it can.
    pub discoverable_by_phone_number: Option<bool>,
    /// Empty, or 32 bytes.
    #[serde(deserialize_with = "non_empty")]
    #[schema(value_type = Option<String>)]
    pub recovery_password: Option<Base64<Vec<u8>>>,
}

/// Attributes whose rules hold.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) device: DevicePart,
    pub(crate) access_key: Option<UnidentifiedAccessKey>,
    pub(crate) unrestricted: bool,
    pub(crate) discoverable: bool,
    pub(crate) protection: Protection,
}

/// What they say of the device.
#[derive(Clone, Debug)]
pub(crate) struct DevicePart {
    pub(crate) registration_id: Option<RegistrationId>,
    pub(crate) pni_registration_id: Option<RegistrationId>,
    pub(crate) traits: DeviceTraits,
    /// Whether the client said what its device can do.
    pub(crate) names_capabilities: bool,
}

impl DevicePart {
    /// The device as it joins an account, with the password that it has chosen. A client that chooses no registration
    /// id gets one.
    pub(crate) fn joining(
        self,
        password: &str,
        push: Option<PushToken>,
        entropy: &dyn Entropy,
    ) -> DeviceAttributes {
        let chosen = self.registration_id;
        DeviceAttributes {
            registration_id: chosen.unwrap_or_else(|| some_registration_id(entropy)),
            pni_registration_id: self.pni_registration_id,
            credential: token_hash::hash(password, entropy.bytes()),
            traits: self.traits,
            push: push.map(Into::into),
        }
    }
}

fn some_registration_id(entropy: &dyn Entropy) -> RegistrationId {
    let number = u32::from(u16::from_le_bytes(entropy.bytes()));
    RegistrationId::try_from(number % u32::from(RegistrationId::MAX.get()) + 1)
        .expect("in range by the line above")
}

/// The length of a registration lock, in characters.
pub(crate) const LOCK_LEN: usize = 64;
const RECOVERY_PASSWORD_LEN: usize = 32;

impl AttributesRequest {
    /// Only what is about the device.
    pub(crate) fn of_the_device(self) -> Self {
        Self {
            registration_lock: None,
            recovery_password: None,
            unidentified_access_key: None,
            ..self
        }
    }

    /// The attributes, as far as their rules hold; those that do not are noted. Secrets are hashed here.
    pub(crate) fn parse(
        self,
        violations: &mut Violations,
        agent: Option<Box<str>>,
        entropy: &dyn Entropy,
    ) -> Attributes {
        let registration_id = id(violations, self.registration_id, "registrationId");
        let pni_registration_id = id(violations, self.pni_registration_id, "pniRegistrationId");
        let name = self.name.and_then(|name| {
            violations.parsed(
                EncryptedDeviceName::try_from(name.0),
                &rule("name", "size must be between 0 and 225"),
            )
        });
        let names_capabilities = self.capabilities.is_some();
        let access_key = self
            .unidentified_access_key
            .filter(|key| !key.0.is_empty())
            .and_then(|RawBytes(key)| {
                let parsed = UnidentifiedAccessKey::try_from(key);
                violations.parsed(
                    parsed,
                    &rule("unidentifiedAccessKey", "must have 0 or 16 bytes"),
                )
            });
        let (lock, password) = (self.registration_lock, self.recovery_password);
        let protection = protection(violations, lock, password, entropy);
        Attributes {
            device: DevicePart {
                registration_id,
                pni_registration_id,
                traits: DeviceTraits {
                    name,
                    fetches_messages: self.fetches_messages.unwrap_or_default(),
                    capabilities: self
                        .capabilities
                        .iter()
                        .flatten()
                        .filter_map(supported)
                        .collect(),
                    agent,
                },
                names_capabilities,
            },
            access_key,
            unrestricted: self.unrestricted_unidentified_access.unwrap_or_default(),
            discoverable: self.discoverable_by_phone_number.unwrap_or(true),
            protection,
        }
    }
}

/// The lock and the recovery password, hashed.
fn protection(
    violations: &mut Violations,
    lock: Option<Box<str>>,
    password: Option<Base64<Vec<u8>>>,
    entropy: &dyn Entropy,
) -> Protection {
    let lock = lock.filter(|lock| !lock.is_empty());
    let fits = lock
        .as_ref()
        .is_none_or(|lock| lock.chars().count() == LOCK_LEN);
    violations.check(
        fits,
        &rule("registrationLock", "must have 0 or 64 characters"),
    );
    let fits = password
        .as_ref()
        .is_none_or(|password| password.0.len() == RECOVERY_PASSWORD_LEN);
    violations.check(fits, &rule("recoveryPassword", "must have 0 or 32 bytes"));
    Protection {
        registration_lock: lock.map(|lock| token_hash::hash(&lock, entropy.bytes())),
        recovery_password: password.map(|it| token_hash::hash_bytes(&it.0, entropy.bytes())),
    }
}

fn rule(property: &str, rule: &str) -> String {
    format!("accountAttributes.{property} {rule}")
}

fn id(violations: &mut Violations, number: Option<u32>, property: &str) -> Option<RegistrationId> {
    violations.parsed(
        RegistrationId::try_from(number?),
        &rule(property, "must be between 1 and 16383"),
    )
}

/// The capability of this name, if the device has it and the server knows it.
pub(crate) fn supported((name, has): (&String, &bool)) -> Option<Capability> {
    Capability::from_name(name).filter(|_| *has)
}
