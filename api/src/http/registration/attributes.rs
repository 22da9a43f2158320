//! `accountAttributes`: what a client says of its device and account, when it registers, links a device, or later.

use std::collections::BTreeMap;

use crypto::token_hash;
use events::RegistrationId;
use events::account::{DeviceTraits, Protection};
use events::ports::Entropy;
use events::values::hashes::UnidentifiedAccessKey;
use events::values::{Capability, EncryptedDeviceName};
use serde::{Deserialize, Serialize};

use crate::http::violations::Violations;
use crate::http::wire::{Base64, RawBytes, non_empty};

/// The attributes.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttributesRequest {
    /// Whether the device fetches messages without being woken.
    pub fetches_messages: Option<bool>,
    /// 1 to 16383; for the account's identity.
    pub registration_id: Option<u32>,
    /// 1 to 16383; for the number's identity.
    pub pni_registration_id: Option<u32>,
    /// The encrypted name of the device, 225 bytes at most.
    #[serde(deserialize_with = "non_empty")]
    pub name: Option<Base64<Vec<u8>>>,
    /// Names that the server does not know mean nothing.
    pub capabilities: Option<BTreeMap<String, bool>>,
    /// Empty, or 64 characters.
    pub registration_lock: Option<Box<str>>,
    /// Empty, or 16 bytes.
    pub unidentified_access_key: Option<RawBytes>,
    /// Whether anonymous senders need to know nothing.
    pub unrestricted_unidentified_access: Option<bool>,
    /// Whether the account can be found by its number; if it is not said, it can.
    pub discoverable_by_phone_number: Option<bool>,
    /// Empty, or 32 bytes.
    #[serde(deserialize_with = "non_empty")]
    pub recovery_password: Option<Base64<Vec<u8>>>,
}

/// Attributes whose rules hold.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) registration_id: Option<RegistrationId>,
    pub(crate) pni_registration_id: Option<RegistrationId>,
    pub(crate) traits: DeviceTraits,
    /// Whether the client said what its device can do.
    pub(crate) names_capabilities: bool,
    pub(crate) access_key: Option<UnidentifiedAccessKey>,
    pub(crate) unrestricted: bool,
    pub(crate) discoverable: bool,
    pub(crate) protection: Protection,
}

const LOCK_LEN: usize = 64;
const RECOVERY_PASSWORD_LEN: usize = 32;

impl AttributesRequest {
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
        let lock = self.registration_lock.filter(|lock| !lock.is_empty());
        violations.check(
            lock.as_ref()
                .is_none_or(|lock| lock.chars().count() == LOCK_LEN),
            &rule("registrationLock", "must have 0 or 64 characters"),
        );
        let password = self.recovery_password.map(|password| password.0);
        violations.check(
            password
                .as_ref()
                .is_none_or(|password| password.len() == RECOVERY_PASSWORD_LEN),
            &rule("recoveryPassword", "must have 0 or 32 bytes"),
        );
        Attributes {
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
            access_key,
            unrestricted: self.unrestricted_unidentified_access.unwrap_or_default(),
            discoverable: self.discoverable_by_phone_number.unwrap_or(true),
            protection: Protection {
                registration_lock: lock.map(|lock| token_hash::hash(&lock, entropy.bytes())),
                recovery_password: password
                    .map(|password| token_hash::hash_bytes(&password, entropy.bytes())),
            },
        }
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

fn supported((name, has): (&String, &bool)) -> Option<Capability> {
    Capability::from_name(name).filter(|_| *has)
}
