//! All secrets of a server in one value, as `heliograph keygen` writes them to a file and every node reads them.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use events::values::keys::EcPublicKey;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certificate::{CertificateIssuer, ServerCertificate, Signer};
use crate::doors::DoorKey;
use crate::external::{ExternalService, UserNames};
use crate::keys::EcPrivateKey;
use crate::linking::LinkTokens;
use crate::phone::PniDeriver;
use crate::zk::receipt::IssuedReceiptTags;
use crate::zk::{GenericSecretParams, GenericVersion, ServerSecretParams};

/// The id that generated server certificates have. No client knows a certificate by it, so it is always embedded.
pub const SERVER_CERTIFICATE_ID: u32 = 1;

/// What a server must keep secret, ready for use.
///
/// Stored (through serde) as texts in padded standard base64. Reading checks that the server's private key belongs to its
/// certificate and that the trust root has signed it. All of it is wiped when dropped; `Debug` shows no secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ServerSecrets {
    /// What clients trust.
    pub trust_root: EcPublicKey,
    /// Signs server certificates. A running server never needs it: take it out of the file and keep it offline.
    pub trust_root_private: Option<EcPrivateKey>,
    /// Issues sender certificates.
    pub certificates: CertificateIssuer,
    /// For profile keys, auth credentials, receipts, group send endorsements and donation permits.
    pub group: ServerSecretParams,
    /// For call links.
    pub calling: GenericSecretParams,
    /// For backups and avatars.
    pub chat: GenericSecretParams,
    /// From phone numbers to PNIs.
    pub phone_numbers: PniDeriver,
    /// For linking devices.
    pub link_tokens: LinkTokens,
    /// For upload forms, and for remembering what callers were answered.
    pub doors: DoorKey,
    /// For payments that were turned into receipts.
    pub receipt_tags: IssuedReceiptTags,
    /// Signs heads of the tree over the log.
    pub log_signing: SigningSeed,
    /// Shared with services beside the server.
    pub external: ExternalServices,
}

/// The seed of an Ed25519 key. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SigningSeed(Zeroizing<[u8; 32]>);

impl SigningSeed {
    /// The seed itself. Secret.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SigningSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSeed(…)")
    }
}

/// The services that take credentials from this server.
#[derive(Clone, Debug)]
pub struct ExternalServices {
    /// Encrypted account data.
    pub storage: ExternalService,
    /// Payments.
    pub payments: ExternalService,
    /// Contact discovery.
    pub directory: ExternalService,
    /// Secure value recovery of accounts.
    pub svr2: ExternalService,
    /// Secure value recovery of backups.
    pub svrb: ExternalService,
}

/// What clients of a server are built with, in padded standard base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicParams {
    /// The trust root of sealed-sender certificates: 33 bytes.
    pub trust_root: String,
    /// Public parameters of the group system ("server public params"): 673 bytes.
    pub group: String,
    /// Public parameters for call links: 225 bytes.
    pub calling: String,
    /// Public parameters for backups and avatars: 225 bytes.
    pub chat: String,
}

/// Secrets that cannot be used. The message names the field, never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsInvalid {
    /// A field does not hold what it should.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    /// `server_private_key` is not the private half of the key in `server_certificate`.
    #[error("`server_private_key` does not belong to `server_certificate`")]
    KeyMismatch,
    /// `server_certificate` is not signed by `trust_root`.
    #[error("`server_certificate` is not signed by `trust_root`")]
    NotTrusted,
    /// `trust_root_private_key` is not the private half of `trust_root`.
    #[error("`trust_root_private_key` does not belong to `trust_root`")]
    RootMismatch,
}

impl ServerSecrets {
    /// Fresh secrets for a new server.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let (trust_root, server) = (EcPrivateKey::generate(rng), EcPrivateKey::generate(rng));
        let certificate =
            ServerCertificate::issue(SERVER_CERTIFICATE_ID, server.public_key(), &trust_root, rng);
        let certificates = CertificateIssuer::new(certificate, server, Signer::Embedded);
        Self {
            trust_root: trust_root.public_key(),
            trust_root_private: Some(trust_root),
            certificates: certificates.expect("the certificate was made for this key"),
            group: ServerSecretParams::generate(rng),
            calling: GenericSecretParams::generate(GenericVersion::Legacy, rng),
            chat: GenericSecretParams::generate(GenericVersion::Legacy, rng),
            phone_numbers: PniDeriver::new(random(rng)),
            link_tokens: LinkTokens::new(random(rng)),
            doors: DoorKey::new(random(rng)),
            receipt_tags: IssuedReceiptTags::new(random(rng)),
            log_signing: SigningSeed(Zeroizing::new(random(rng))),
            external: ExternalServices {
                storage: ExternalService::plain(random(rng)),
                payments: ExternalService::plain(random(rng)),
                directory: ExternalService::directory(random(rng), random(rng)),
                svr2: ExternalService::recovery(random(rng), random(rng)),
                svrb: ExternalService::recovery(random(rng), random(rng)),
            },
        }
    }

    /// What clients must be built with.
    pub fn public(&self) -> PublicParams {
        PublicParams {
            trust_root: BASE64_STANDARD.encode(&self.trust_root),
            group: BASE64_STANDARD.encode(self.group.public_bytes()),
            calling: BASE64_STANDARD.encode(self.calling.public_bytes()),
            chat: BASE64_STANDARD.encode(self.chat.public_bytes()),
        }
    }
}

fn random(rng: &mut impl CryptoRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// The stored form. Field names are those of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    trust_root: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trust_root_private_key: Option<Base64>,
    server_certificate: Base64,
    server_private_key: Base64,
    zk_group_params: Base64,
    zk_calling_params: Base64,
    zk_chat_params: Base64,
    phone_number_key: Base64,
    link_device_key: Base64,
    door_key: Base64,
    receipt_tag_key: Base64,
    log_signing_key: Base64,
    external: StoredServices,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredServices {
    storage: StoredService,
    payments: StoredService,
    directory: StoredService,
    svr2: StoredService,
    svrb: StoredService,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredService {
    key: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_derivation_key: Option<Base64>,
}

/// Bytes that are stored as a text and wiped when dropped.
struct Base64(Zeroizing<Vec<u8>>);

impl Base64 {
    fn of(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    fn array<const N: usize>(&self, field: &'static str) -> Result<[u8; N], SecretsInvalid> {
        self.0
            .as_slice()
            .try_into()
            .map_err(|_| SecretsInvalid::Malformed(field))
    }
}

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64_STANDARD.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = BASE64_STANDARD
            .decode(&*text)
            .map_err(|_| serde::de::Error::custom("is not padded base64"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

impl TryFrom<Stored> for ServerSecrets {
    type Error = SecretsInvalid;

    fn try_from(stored: Stored) -> Result<Self, SecretsInvalid> {
        let malformed = |field| move |_| SecretsInvalid::Malformed(field);
        let group = ServerSecretParams::parse(&stored.zk_group_params.0);
        let calling = GenericSecretParams::parse(&stored.zk_calling_params.0);
        let chat = GenericSecretParams::parse(&stored.zk_chat_params.0);
        let (trust_root, trust_root_private) = read_trust_root(&stored)?;
        Ok(Self {
            certificates: read_issuer(&stored, &trust_root)?,
            trust_root,
            trust_root_private,
            group: group.map_err(malformed("zk_group_params"))?,
            calling: calling.map_err(malformed("zk_calling_params"))?,
            chat: chat.map_err(malformed("zk_chat_params"))?,
            phone_numbers: PniDeriver::new(stored.phone_number_key.array("phone_number_key")?),
            link_tokens: LinkTokens::new(stored.link_device_key.array("link_device_key")?),
            doors: DoorKey::new(stored.door_key.array("door_key")?),
            receipt_tags: IssuedReceiptTags::new(stored.receipt_tag_key.array("receipt_tag_key")?),
            log_signing: SigningSeed(Zeroizing::new(
                stored.log_signing_key.array("log_signing_key")?,
            )),
            external: stored.external.try_into()?,
        })
    }
}

fn read_trust_root(stored: &Stored) -> Result<(EcPublicKey, Option<EcPrivateKey>), SecretsInvalid> {
    let public = EcPublicKey::try_from(stored.trust_root.0.as_slice());
    let public = public.map_err(|_| SecretsInvalid::Malformed("trust_root"))?;
    let private = stored
        .trust_root_private_key
        .as_ref()
        .map(|key| key.array("trust_root_private_key"));
    let private = private.transpose()?.map(EcPrivateKey::from_bytes);
    if private
        .as_ref()
        .is_some_and(|private| private.public_key() != public)
    {
        return Err(SecretsInvalid::RootMismatch);
    }
    Ok((public, private))
}

fn read_issuer(
    stored: &Stored,
    trust_root: &EcPublicKey,
) -> Result<CertificateIssuer, SecretsInvalid> {
    let certificate = ServerCertificate::parse(&stored.server_certificate.0);
    let certificate = certificate.map_err(|_| SecretsInvalid::Malformed("server_certificate"))?;
    certificate
        .verify(std::slice::from_ref(trust_root))
        .map_err(|_| SecretsInvalid::NotTrusted)?;
    let key = EcPrivateKey::from_bytes(stored.server_private_key.array("server_private_key")?);
    CertificateIssuer::new(certificate, key, Signer::Embedded)
        .map_err(|_| SecretsInvalid::KeyMismatch)
}

impl TryFrom<StoredServices> for ExternalServices {
    type Error = SecretsInvalid;

    fn try_from(stored: StoredServices) -> Result<Self, SecretsInvalid> {
        let plain =
            |service: &StoredService, field| service.plain_key(field).map(ExternalService::plain);
        let recovery = |service: &StoredService, field| {
            service
                .key_pair(field)
                .map(|(key, derivation)| ExternalService::recovery(key, derivation))
        };
        let (key, derivation) = stored.directory.key_pair("external.directory")?;
        Ok(Self {
            storage: plain(&stored.storage, "external.storage")?,
            payments: plain(&stored.payments, "external.payments")?,
            directory: ExternalService::directory(key, derivation),
            svr2: recovery(&stored.svr2, "external.svr2")?,
            svrb: recovery(&stored.svrb, "external.svrb")?,
        })
    }
}

impl StoredService {
    fn plain_key(&self, field: &'static str) -> Result<[u8; 32], SecretsInvalid> {
        match self.user_derivation_key {
            None => self.key.array(field),
            Some(_) => Err(SecretsInvalid::Malformed(field)),
        }
    }

    fn key_pair(&self, field: &'static str) -> Result<([u8; 32], [u8; 32]), SecretsInvalid> {
        let derivation = self
            .user_derivation_key
            .as_ref()
            .ok_or(SecretsInvalid::Malformed(field))?;
        Ok((self.key.array(field)?, derivation.array(field)?))
    }
}

impl From<ServerSecrets> for Stored {
    fn from(secrets: ServerSecrets) -> Self {
        let private = secrets.trust_root_private.as_ref();
        Self {
            trust_root: Base64::of(secrets.trust_root.as_ref()),
            trust_root_private_key: private.map(|key| Base64::of(key.as_bytes())),
            server_certificate: Base64::of(&secrets.certificates.certificate().to_bytes()),
            server_private_key: Base64::of(secrets.certificates.key().as_bytes()),
            zk_group_params: Base64(secrets.group.to_bytes()),
            zk_calling_params: Base64(secrets.calling.to_bytes()),
            zk_chat_params: Base64(secrets.chat.to_bytes()),
            phone_number_key: Base64::of(secrets.phone_numbers.key().as_bytes()),
            link_device_key: Base64::of(secrets.link_tokens.key().as_bytes()),
            door_key: Base64::of(secrets.doors.key().as_bytes()),
            receipt_tag_key: Base64::of(secrets.receipt_tags.key().as_bytes()),
            log_signing_key: Base64::of(secrets.log_signing.as_bytes()),
            external: StoredServices {
                storage: (&secrets.external.storage).into(),
                payments: (&secrets.external.payments).into(),
                directory: (&secrets.external.directory).into(),
                svr2: (&secrets.external.svr2).into(),
                svrb: (&secrets.external.svrb).into(),
            },
        }
    }
}

impl From<&ExternalService> for StoredService {
    fn from(service: &ExternalService) -> Self {
        let user_derivation_key = match &service.names {
            UserNames::Plain => None,
            UserNames::Derived(key, _) => Some(Base64::of(key.as_bytes())),
        };
        Self {
            key: Base64::of(service.key.as_bytes()),
            user_derivation_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    fn secrets(seed: u8) -> ServerSecrets {
        ServerSecrets::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
    }

    fn read(toml: &toml::Table) -> Result<ServerSecrets, String> {
        toml::from_str(&toml::to_string(toml).unwrap()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_file_of_secrets_reads_back() {
        let secrets = secrets(1);
        let file = toml::to_string_pretty(&secrets).unwrap();
        let read: ServerSecrets = toml::from_str(&file).unwrap();
        assert_eq!(toml::to_string_pretty(&read).unwrap(), file);
        assert_eq!(read.public(), secrets.public());
    }

    #[test]
    fn the_trust_root_may_be_taken_out() {
        let mut file = toml::Table::try_from(secrets(1)).unwrap();
        file.remove("trust_root_private_key").unwrap();
        assert!(read(&file).unwrap().trust_root_private.is_none());
    }

    #[test]
    fn parts_of_different_servers_do_not_mix() {
        let other = toml::Table::try_from(secrets(2)).unwrap();
        for (field, complaint) in [
            (
                "server_private_key",
                "`server_private_key` does not belong to `server_certificate`",
            ),
            (
                "server_certificate",
                "`server_certificate` is not signed by `trust_root`",
            ),
            (
                "trust_root_private_key",
                "`trust_root_private_key` does not belong to `trust_root`",
            ),
        ] {
            let mut file = toml::Table::try_from(secrets(1)).unwrap();
            file[field] = other[field].clone();
            assert_eq!(read(&file).unwrap_err(), complaint);
        }
    }

    #[test]
    fn each_field_is_checked() {
        let file = toml::Table::try_from(secrets(1)).unwrap();
        for field in file.keys().filter(|field| *field != "external") {
            let mut changed = file.clone();
            changed[field] = "AAAA".into();
            assert_eq!(
                read(&changed).unwrap_err(),
                format!("`{field}` is malformed")
            );
            changed[field] = "not base64!".into();
            assert_eq!(read(&changed).unwrap_err(), "is not padded base64");
        }
        for service in ["directory", "svr2", "svrb"] {
            let mut changed = file.clone();
            changed["external"][service]
                .as_table_mut()
                .unwrap()
                .remove("user_derivation_key")
                .unwrap();
            assert_eq!(
                read(&changed).unwrap_err(),
                format!("`external.{service}` is malformed")
            );
        }
    }

    #[test]
    fn debug_output_tells_no_secret() {
        let secrets = secrets(1);
        let shown = format!("{secrets:?}");
        let file = toml::Table::try_from(secrets).unwrap();
        for field in [
            "trust_root_private_key",
            "server_private_key",
            "phone_number_key",
            "link_device_key",
            "door_key",
            "log_signing_key",
        ] {
            let secret = BASE64_STANDARD
                .decode(file[field].as_str().unwrap())
                .unwrap();
            assert!(
                !shown.contains(&hex::encode(&secret)) && !shown.contains(&format!("{secret:?}")),
                "{field}"
            );
        }
        assert!(
            shown.contains("link_tokens: LinkTokens(MacKey(…))")
                && shown.contains("key: EcPrivateKey(…)")
        );
    }
}
