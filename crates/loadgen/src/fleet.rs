//! The accounts of the simulated devices: registered over REST, kept in a file for the next run.

use std::path::Path;

use anyhow::Context as _;
use api::client::Credentials;
use api::http::keys::wire::{KyberPreKeyJson, SignedPreKeyJson};
use api::http::messages::send::{MessageRequest, SendRequest};
use api::http::registration::activation::ActivationRequest;
use api::http::registration::attributes::AttributesRequest;
use api::http::registration::register::RegisterRequest;
use api::http::wire::{Base64, Object, RawBytes};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use crypto::keys::EcPrivateKey;
use crypto::xeddsa;
use events::DeviceId;
use events::ids::PreKeyId;
use events::ports::Entropy;
use events::values::keys::{EcPublicKey, KyberPublicKey, Signature};
use futures::{StreamExt as _, TryStreamExt as _};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::servers::Servers;

/// The registration id of every device that is registered here.
const REGISTRATION_ID: u32 = 4711;

/// Registrations under way at a time.
const AT_ONCE: usize = 16;

/// A registered account with its one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub aci: String,
    /// The password of its device.
    pub password: String,
    /// Its device: the primary one, except on servers that deliver nothing to those.
    #[serde(default = "primary")]
    pub device: DeviceId,
    /// The registration id of its device.
    #[serde(default = "registration_id")]
    pub registration_id: u32,
}

const fn primary() -> DeviceId {
    DeviceId::PRIMARY
}

const fn registration_id() -> u32 {
    REGISTRATION_ID
}

impl Account {
    /// An account as it is registered here.
    pub fn new(aci: String, password: String) -> Self {
        Self {
            aci,
            password,
            device: primary(),
            registration_id: registration_id(),
        }
    }

    /// The body of a message to its device.
    pub fn message(&self, content: Vec<u8>, timestamp: i64) -> anyhow::Result<Bytes> {
        let message = MessageRequest {
            kind: 1,
            destination_device_id: self.device,
            destination_registration_id: Some(self.registration_id.into()),
            content: Some(Base64::new(content)),
        };
        let request = SendRequest {
            messages: Some(vec![Object(message)]),
            online: Some(false),
            urgent: Some(true),
            timestamp: Some(timestamp),
        };
        Ok(serde_json::to_vec(&request)?.into())
    }
}

/// Accounts that are the same in every run with the same seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fleet {
    /// The accounts.
    pub accounts: Vec<Account>,
}

/// Which accounts, and how they prove their numbers.
#[derive(Clone, Debug)]
pub struct Recruiting {
    /// How many.
    pub accounts: usize,
    /// Other seeds have other numbers, up to 699.
    pub seed: u16,
    /// The code that is right for every number.
    pub code: String,
}

impl Fleet {
    /// Registers accounts, some at a time.
    pub async fn recruit(servers: &Servers, wanted: &Recruiting) -> anyhow::Result<Self> {
        let accounts = futures::stream::iter(0..wanted.accounts)
            .map(|n| register(servers, wanted, n))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Self { accounts })
    }

    /// Reads the accounts of an earlier run.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Keeps the accounts for later runs.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// `+1`, a made-up area code, and a number that nobody has twice.
fn number(seed: u16, n: usize) -> String {
    let (area, exchange) = (200 + n / 10_000 % 700, 200 + usize::from(seed) % 700);
    format!("+1{area}{exchange}{:04}", n % 10_000)
}

struct Seeded(std::sync::Mutex<ChaCha20Rng>);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rng = self.0.lock().expect("nothing panics while it draws");
        rng.fill_bytes(bytes);
    }
}

async fn register(servers: &Servers, wanted: &Recruiting, n: usize) -> anyhow::Result<Account> {
    let number = number(wanted.seed, n);
    let client = servers.client(n);
    let session = client.create_verification_session(&number).await?.body.id;
    client.request_verification_code(&session, "sms").await?;
    client
        .submit_verification_code(&session, &wanted.code)
        .await?;
    let seed = u64::from(wanted.seed) << 32 | u64::try_from(n)?;
    let entropy = Seeded(ChaCha20Rng::seed_from_u64(seed).into());
    let password = BASE64_STANDARD.encode((&entropy as &dyn Entropy).bytes::<18>());
    let credentials = Credentials {
        username: number,
        password: password.clone(),
    };
    let registered = client
        .with(credentials)
        .register_account(&registration(session, &entropy))
        .await?;
    Ok(Account::new(
        registered.body.identity.uuid.to_string(),
        password,
    ))
}

fn registration(session: String, entropy: &dyn Entropy) -> RegisterRequest {
    // Both identities have one key pair, which a server cannot mind.
    let identity = EcPrivateKey::generate(&mut entropy.rng());
    let signer = Signer {
        identity: &identity,
        entropy,
    };
    let public_key = || Some(Base64::new(identity.public_key()));
    RegisterRequest {
        session_id: Some(session),
        skip_device_transfer: Some(true),
        account_attributes: Some(Object(AttributesRequest {
            fetches_messages: Some(true),
            registration_id: Some(REGISTRATION_ID),
            pni_registration_id: Some(REGISTRATION_ID),
            capabilities: Some([("spqr".to_owned(), true)].into()),
            unidentified_access_key: Some(RawBytes(entropy.bytes::<16>().to_vec())),
            ..AttributesRequest::default()
        })),
        aci_identity_key: public_key(),
        pni_identity_key: public_key(),
        activation: ActivationRequest {
            aci_signed_pre_key: Some(signer.ec(1)),
            pni_signed_pre_key: Some(signer.ec(2)),
            aci_pq_last_resort_pre_key: Some(signer.kyber(3)),
            pni_pq_last_resort_pre_key: Some(signer.kyber(4)),
            ..ActivationRequest::default()
        },
        ..RegisterRequest::default()
    }
}

/// Makes signed keys that nobody will ever use.
struct Signer<'a> {
    identity: &'a EcPrivateKey,
    entropy: &'a dyn Entropy,
}

impl Signer<'_> {
    fn sign(&self, key: &[u8]) -> Base64<Signature> {
        Base64::new(xeddsa::sign(self.identity, key, &mut self.entropy.rng()))
    }

    fn ec(&self, key_id: u64) -> Object<SignedPreKeyJson> {
        let key: EcPublicKey = EcPrivateKey::generate(&mut self.entropy.rng()).public_key();
        Object(SignedPreKeyJson {
            key_id: id(key_id),
            signature: self.sign(key.as_ref()),
            public_key: Base64::new(key),
        })
    }

    fn kyber(&self, key_id: u64) -> Object<KyberPreKeyJson> {
        let mut bytes = vec![0; KyberPublicKey::LEN];
        self.entropy.fill(&mut bytes);
        bytes[0] = 0x08;
        let key = KyberPublicKey::try_from(bytes).expect("it has the length and the first byte");
        Object(KyberPreKeyJson {
            key_id: id(key_id),
            signature: self.sign(key.as_ref()),
            public_key: Base64::new(key),
        })
    }
}

fn id(number: u64) -> PreKeyId {
    number.try_into().expect("small numbers are ids of keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_the_number_of_another() {
        let mut numbers: Vec<_> = (0..3)
            .flat_map(|seed| (0..30_000).map(move |n| number(seed, n)))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 90_000);
    }
}
