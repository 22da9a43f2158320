//! Sealed-sender certificates: who wrote a message, vouched for by the server, inside of what the server cannot read.
//!
//! A chain of three keys. The trust root, which clients are built with, signs the server's key once; the server signs
//! what it knows about a sender, for some days. Signatures are [`xeddsa`] over the inner bytes as they are.

use events::values::keys::{EcPublicKey, Signature};
use events::{Aci, DeviceId, E164, Timestamp};
use prost::Message as _;
use rand_core::CryptoRng;

use crate::keys::{EcPrivateKey, ec_public_key};
use crate::xeddsa;

/// The id of a server certificate that clients take for revoked.
pub const REVOKED_ID: u32 = 0xDEAD_C357;

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateInvalid {
    /// Not in the form of a certificate, or without one of the fields that it must have.
    #[error("is not a certificate")]
    Malformed,
    /// Names its signer by an id that is not known.
    #[error("names a signer that is not known")]
    UnknownSigner,
    /// The server's certificate is revoked.
    #[error("is signed by a server whose certificate is revoked")]
    Revoked,
    /// A signature in the chain does not hold.
    #[error("has a signature that does not hold")]
    Signature,
    /// Its time is over.
    #[error("has expired")]
    Expired,
}

/// A server's key, signed by a trust root: 105 bytes for the ids up to 127, at the most 109.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCertificate {
    id: u32,
    key: EcPublicKey,
    signed: Vec<u8>,
    signature: Signature,
}

impl ServerCertificate {
    /// Signs a server's key as the trust root. Ids 2, 3, 0x7357C357 and [`REVOKED_ID`] mean something to clients.
    pub fn issue(
        id: u32,
        key: EcPublicKey,
        trust_root: &EcPrivateKey,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let signed = proto::Server {
            id: Some(id),
            key: Some(key.as_ref().to_vec()),
        }
        .encode_to_vec();
        let signature = xeddsa::sign(trust_root, &signed, rng);
        Self {
            id,
            key,
            signed,
            signature,
        }
    }

    /// Reads a certificate. Whether its signature holds is another question.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateInvalid> {
        let (signed, signature) = proto::Signed::split(bytes)?;
        let inner =
            proto::Server::decode(signed.as_slice()).map_err(|_| CertificateInvalid::Malformed)?;
        let key = ec_public_key(&inner.key.ok_or(CertificateInvalid::Malformed)?);
        Ok(Self {
            id: inner.id.ok_or(CertificateInvalid::Malformed)?,
            key: key.map_err(|_| CertificateInvalid::Malformed)?,
            signed,
            signature,
        })
    }

    /// The byte form.
    pub fn to_bytes(&self) -> Vec<u8> {
        proto::Signed::join(&self.signed, &self.signature)
    }

    /// The id under which clients could know it.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The server's key.
    pub const fn key(&self) -> &EcPublicKey {
        &self.key
    }

    /// The bytes that are signed.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Checks that it is not revoked and that one of the roots has signed it.
    pub fn verify(&self, trust_roots: &[EcPublicKey]) -> Result<(), CertificateInvalid> {
        if self.id == REVOKED_ID {
            return Err(CertificateInvalid::Revoked);
        }
        let holds = trust_roots
            .iter()
            .any(|root| xeddsa::verify(root, &self.signed, &self.signature));
        if holds {
            Ok(())
        } else {
            Err(CertificateInvalid::Signature)
        }
    }
}

/// What the server vouches for.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The account.
    pub aci: Aci,
    /// Its phone number, if receivers are to see it.
    pub e164: Option<&'a E164>,
    /// The device that asks for the certificate.
    pub device: DeviceId,
    /// The account's identity key.
    pub identity: &'a EcPublicKey,
}

/// How a sender certificate says who signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The server certificate is inside. The only form that clients of a private deployment understand.
    Embedded,
    /// By the id of a server certificate that clients are built with.
    ById,
}

/// Issues sender certificates.
#[derive(Clone, Debug)]
pub struct CertificateIssuer {
    certificate: ServerCertificate,
    key: EcPrivateKey,
    signer: Signer,
}

/// The private key is not the one that the server certificate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's private key does not belong to its certificate")]
pub struct KeyMismatch;

impl CertificateIssuer {
    /// An issuer with the server's certificate and the private half of the key in it.
    pub fn new(
        certificate: ServerCertificate,
        key: EcPrivateKey,
        signer: Signer,
    ) -> Result<Self, KeyMismatch> {
        if *certificate.key() == key.public_key() {
            Ok(Self {
                certificate,
                key,
                signer,
            })
        } else {
            Err(KeyMismatch)
        }
    }

    /// The server's certificate.
    pub const fn certificate(&self) -> &ServerCertificate {
        &self.certificate
    }

    pub(crate) const fn key(&self) -> &EcPrivateKey {
        &self.key
    }

    /// A certificate that is valid up to and including `expires`: 240 bytes, or 254 with a number of twelve characters.
    pub fn issue(
        &self,
        sender: &Sender<'_>,
        expires: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let embedded = (self.signer == Signer::Embedded).then(|| self.certificate.to_bytes());
        let signed = proto::IssuedSender {
            e164: sender.e164.map(ToString::to_string),
            device: Some(u32::from(sender.device)),
            expires: Some(expires.epoch_millis()),
            identity: Some(sender.identity.as_ref().to_vec()),
            signer_id: embedded.is_none().then_some(self.certificate.id),
            signer: embedded,
            uuid: Some(sender.aci.as_bytes().to_vec()),
        }
        .encode_to_vec();
        let signature = xeddsa::sign(&self.key, &signed, rng);
        proto::Signed::join(&signed, &signature)
    }
}

/// A sender certificate as a receiver reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderCertificate {
    sender: String,
    e164: Option<String>,
    device: DeviceId,
    expires: u64,
    identity: EcPublicKey,
    signer: ReadSigner,
    signed: Vec<u8>,
    signature: Signature,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ReadSigner {
    Embedded(ServerCertificate),
    ById(u32),
}

impl ReadSigner {
    fn parse(signer: proto::SenderSigner) -> Result<Self, CertificateInvalid> {
        match signer {
            proto::SenderSigner::Certificate(bytes) => {
                ServerCertificate::parse(&bytes).map(Self::Embedded)
            }
            proto::SenderSigner::Id(id) => Ok(Self::ById(id)),
        }
    }
}

impl SenderCertificate {
    /// Reads a certificate. Whether its signatures hold is another question.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateInvalid> {
        let (signed, signature) = proto::Signed::split(bytes)?;
        let malformed = CertificateInvalid::Malformed;
        let inner = proto::Sender::decode(signed.as_slice()).map_err(|_| malformed)?;
        let device = inner
            .device
            .and_then(|device| DeviceId::try_from(device).ok());
        let identity = inner.identity.and_then(|key| ec_public_key(&key).ok());
        Ok(Self {
            sender: inner
                .uuid
                .and_then(proto::SenderUuid::text)
                .ok_or(malformed)?,
            e164: inner.e164,
            device: device.ok_or(malformed)?,
            expires: inner.expires.ok_or(malformed)?,
            identity: identity.ok_or(malformed)?,
            signer: ReadSigner::parse(inner.signer.ok_or(malformed)?)?,
            signed,
            signature,
        })
    }

    /// Checks the chain as clients do, at `now`. `known` are the server certificates that may be named by their ids.
    pub fn verify(
        &self,
        trust_roots: &[EcPublicKey],
        known: &[ServerCertificate],
        now: Timestamp,
    ) -> Result<(), CertificateInvalid> {
        let server = match &self.signer {
            ReadSigner::Embedded(certificate) => Some(certificate),
            ReadSigner::ById(id) => known.iter().find(|certificate| certificate.id == *id),
        };
        let server = server.ok_or(CertificateInvalid::UnknownSigner)?;
        server.verify(trust_roots)?;
        if !xeddsa::verify(&server.key, &self.signed, &self.signature) {
            return Err(CertificateInvalid::Signature);
        }
        if now.epoch_millis() > self.expires {
            Err(CertificateInvalid::Expired)
        } else {
            Ok(())
        }
    }

    /// The account, as text. Clients do not check that it is a UUID, nor does this.
    pub fn sender(&self) -> &str {
        &self.sender
    }

    /// The account's phone number, if it is to be seen.
    pub fn e164(&self) -> Option<&str> {
        self.e164.as_deref()
    }

    /// The sending device.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The last millisecond in which it is valid, counted from 1970.
    pub const fn expires(&self) -> u64 {
        self.expires
    }

    /// The account's identity key.
    pub const fn identity(&self) -> &EcPublicKey {
        &self.identity
    }

    /// The bytes that are signed.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }
}

/// The protobuf forms. Issued fields come in ascending order, so that the signed bytes are a function of their content.
mod proto {
    use events::values::keys::Signature;
    use prost::Message as _;

    use super::CertificateInvalid;

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Signed {
        #[prost(bytes = "vec", optional, tag = "1")]
        certificate: Option<Vec<u8>>,
        #[prost(bytes = "vec", optional, tag = "2")]
        signature: Option<Vec<u8>>,
    }

    impl Signed {
        pub(super) fn join(certificate: &[u8], signature: &Signature) -> Vec<u8> {
            let signature = signature.as_ref().to_vec();
            Self {
                certificate: Some(certificate.to_vec()),
                signature: Some(signature),
            }
            .encode_to_vec()
        }

        pub(super) fn split(bytes: &[u8]) -> Result<(Vec<u8>, Signature), CertificateInvalid> {
            let both = Self::decode(bytes).map_err(|_| CertificateInvalid::Malformed)?;
            let signature = both
                .signature
                .and_then(|bytes| Signature::try_from(bytes).ok());
            both.certificate
                .zip(signature)
                .ok_or(CertificateInvalid::Malformed)
        }
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Server {
        #[prost(uint32, optional, tag = "1")]
        pub(super) id: Option<u32>,
        #[prost(bytes = "vec", optional, tag = "2")]
        pub(super) key: Option<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct IssuedSender {
        #[prost(string, optional, tag = "1")]
        pub(super) e164: Option<String>,
        #[prost(uint32, optional, tag = "2")]
        pub(super) device: Option<u32>,
        #[prost(fixed64, optional, tag = "3")]
        pub(super) expires: Option<u64>,
        #[prost(bytes = "vec", optional, tag = "4")]
        pub(super) identity: Option<Vec<u8>>,
        #[prost(bytes = "vec", optional, tag = "5")]
        pub(super) signer: Option<Vec<u8>>,
        #[prost(bytes = "vec", optional, tag = "7")]
        pub(super) uuid: Option<Vec<u8>>,
        #[prost(uint32, optional, tag = "8")]
        pub(super) signer_id: Option<u32>,
    }

    /// For reading: of the two forms of signer and of account, the one that comes last counts.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Sender {
        #[prost(string, optional, tag = "1")]
        pub(super) e164: Option<String>,
        #[prost(uint32, optional, tag = "2")]
        pub(super) device: Option<u32>,
        #[prost(fixed64, optional, tag = "3")]
        pub(super) expires: Option<u64>,
        #[prost(bytes = "vec", optional, tag = "4")]
        pub(super) identity: Option<Vec<u8>>,
        #[prost(oneof = "SenderSigner", tags = "5, 8")]
        pub(super) signer: Option<SenderSigner>,
        #[prost(oneof = "SenderUuid", tags = "6, 7")]
        pub(super) uuid: Option<SenderUuid>,
    }

    #[derive(Clone, PartialEq, Eq, prost::Oneof)]
    pub(super) enum SenderSigner {
        #[prost(bytes = "vec", tag = "5")]
        Certificate(Vec<u8>),
        #[prost(uint32, tag = "8")]
        Id(u32),
    }

    #[derive(Clone, PartialEq, Eq, prost::Oneof)]
    pub(super) enum SenderUuid {
        #[prost(string, tag = "6")]
        Text(String),
        #[prost(bytes = "vec", tag = "7")]
        Bytes(Vec<u8>),
    }

    impl SenderUuid {
        pub(super) fn text(self) -> Option<String> {
            match self {
                Self::Text(text) => Some(text),
                Self::Bytes(bytes) => uuid::Uuid::from_slice(&bytes)
                    .ok()
                    .map(|uuid| uuid.to_string()),
            }
        }
    }
}
