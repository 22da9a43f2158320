//! The secret and public parameters of a server, as the official libraries store them.

use std::fmt;
use std::ops::Range;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::credential::{CredentialKey, Mode};
use super::encoding::{Reader, Writer};
use super::endorsement::RootKey;
use super::key::{Key, OLD, Scalars};
use super::poksho::{G, Relation};
use super::sho::Sho;
use super::{Malformed, fresh};

/// The secret parameters of the group system: profile key, auth and receipt credentials, group send endorsements and
/// donation permits are made with them. 2721 bytes, of which parts are for credentials that nobody uses any more.
///
/// Wiped when dropped; `Debug` shows nothing of them.
#[derive(Clone)]
pub struct ServerSecretParams {
    auth_unused: OldKey,
    profile_key_unused: OldKey,
    pub(super) signing: SigningKey,
    pub(super) receipt: OldKey,
    pni_unused: OldKey,
    pub(super) expiring_profile_key: OldKey,
    auth_with_pni_unused: OldKey,
    pub(super) credential: CredentialKey,
    pub(super) endorsement: RootKey,
}

impl ServerSecretParams {
    /// The size of the secret form in bytes.
    pub const LEN: usize = 2721;
    /// The size of the public form in bytes.
    pub const PUBLIC_LEN: usize = 673;

    /// Fresh parameters.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&fresh(rng))
    }

    /// The parameters that the official libraries make from a seed. A server keeps the parameters, not the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut sho = Sho::with(
            b"Signal_ZKGroup_20200424_Random_ServerSecretParams_Generate",
            seed,
        );
        Self {
            auth_unused: OldKey::draw(&mut sho, 4, 3),
            profile_key_unused: OldKey::draw(&mut sho, 4, 4),
            signing: SigningKey(sho.scalar()),
            receipt: OldKey::draw(&mut sho, 4, 2),
            pni_unused: OldKey::draw(&mut sho, 6, 6),
            expiring_profile_key: OldKey::draw(&mut sho, 5, 5),
            auth_with_pni_unused: OldKey::draw(&mut sho, 5, 5),
            credential: CredentialKey::from_seed(seed, Mode::Legacy),
            endorsement: RootKey::from_seed(seed),
        }
    }

    /// Reads the secret form. Points that do not follow from the scalars beside them are refused; bytes after the last
    /// are ignored, as by the official library.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "group server parameters (2721 bytes)");
        reader.tag(0)?;
        let params = Self {
            auth_unused: OldKey::read(&mut reader, 4, 3)?,
            profile_key_unused: OldKey::read(&mut reader, 4, 4)?,
            signing: SigningKey::read(&mut reader)?,
            receipt: OldKey::read(&mut reader, 4, 2)?,
            pni_unused: OldKey::read(&mut reader, 6, 6)?,
            expiring_profile_key: OldKey::read(&mut reader, 5, 5)?,
            auth_with_pni_unused: OldKey::read(&mut reader, 5, 5)?,
            credential: CredentialKey::read(&mut reader, Mode::Legacy)?,
            endorsement: RootKey::read(&mut reader)?,
        };
        if bytes.starts_with(&params.to_bytes()) {
            Ok(params)
        } else {
            Err(reader.malformed())
        }
    }

    /// The secret form.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(Self::LEN).tag(0);
        writer = self
            .profile_key_unused
            .write(self.auth_unused.write(writer));
        writer = self.receipt.write(self.signing.write(writer));
        writer = self
            .expiring_profile_key
            .write(self.pni_unused.write(writer));
        writer = self
            .credential
            .write(self.auth_with_pni_unused.write(writer));
        Zeroizing::new(self.endorsement.write(writer).finish())
    }

    /// The public form, which clients are built with: 673 bytes.
    pub fn public_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::PUBLIC_LEN).tag(0);
        writer = self
            .profile_key_unused
            .write_public(self.auth_unused.write_public(writer));
        writer = self
            .receipt
            .write_public(writer.points(&[self.signing.public()]));
        writer = self
            .expiring_profile_key
            .write_public(self.pni_unused.write_public(writer));
        writer = self
            .credential
            .write_public(self.auth_with_pni_unused.write_public(writer));
        writer.points(&[self.endorsement.public()]).finish()
    }

    /// Signs a message as the server ("notary signature", 64 bytes): a proof of knowledge of the signing key. The chat
    /// server signs nothing with it; a group server signs changes to a group.
    pub fn sign(&self, message: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut sho = Sho::with(
            b"Signal_ZKGroup_20200424_Random_ServerSecretParams_Sign",
            fresh(rng).as_ref(),
        );
        self.signing.relation().prove(message, &sho.squeeze())
    }
}

impl fmt::Debug for ServerSecretParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecretParams(…)")
    }
}

/// A key of the old system. It stores scalars for more slots than its credentials fill.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct OldKey {
    #[zeroize(skip)]
    stored: Range<usize>,
    all: Scalars,
    pub(super) key: Key,
}

impl OldKey {
    fn new(all: Scalars, stored: usize, used: usize) -> Self {
        Self {
            stored: 1..stored + 1,
            key: Key::new(&OLD, all.clone(), 1..used + 1),
            all,
        }
    }

    fn draw(sho: &mut Sho, stored: usize, used: usize) -> Self {
        Self::new(Scalars::draw(sho, 1..stored + 1), stored, used)
    }

    fn read(reader: &mut Reader<'_>, stored: usize, used: usize) -> Result<Self, Malformed> {
        let all = Scalars::read(reader, 1..stored + 1)?;
        reader.points::<2>()?;
        Ok(Self::new(all, stored, used))
    }

    fn write(&self, writer: Writer) -> Writer {
        self.write_public(self.all.write(writer, &OLD, self.stored.clone()))
    }

    fn write_public(&self, writer: Writer) -> Writer {
        writer.points(&[self.key.c_w(), self.key.i()])
    }
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct SigningKey(Scalar);

impl SigningKey {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let key = Self(reader.scalar()?);
        reader.point()?;
        Ok(key)
    }

    fn write(&self, writer: Writer) -> Writer {
        writer.scalars(&[self.0]).points(&[self.public()])
    }

    fn public(&self) -> RistrettoPoint {
        RistrettoPoint::mul_base(&self.0)
    }

    pub(super) fn relation(&self) -> Relation {
        let mut relation = Relation::default();
        relation.equation("public_key", &[("private_key", G)]);
        relation
            .points([("public_key", self.public())])
            .secrets([("private_key", self.0)]);
        relation
    }
}

/// How credentials of one generic parameter set treat their public attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenericVersion {
    /// Version byte 0: what every client reads. One scalar serves credentials of all kinds.
    Legacy,
    /// Version byte 1, since release 0.101 of the official library: another scalar for each number of attributes.
    Standard,
}

impl GenericVersion {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Legacy => 0,
            Self::Standard => 1,
        }
    }

    const fn mode(self) -> Mode {
        match self {
            Self::Legacy => Mode::Legacy,
            Self::Standard => Mode::Standard,
        }
    }
}

/// Secret parameters for credentials of one purpose: a server has one set for calls and one for backups and avatars.
/// 385 bytes. Never use one secret in both versions.
///
/// Wiped when dropped; `Debug` shows nothing of them.
#[derive(Clone)]
pub struct GenericSecretParams {
    pub(super) version: GenericVersion,
    pub(super) credential: CredentialKey,
}

impl GenericSecretParams {
    /// The size of the secret form in bytes.
    pub const LEN: usize = 385;
    /// The size of the public form in bytes.
    pub const PUBLIC_LEN: usize = 225;

    /// Fresh parameters.
    pub fn generate(version: GenericVersion, rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(&fresh(rng), version)
    }

    /// The parameters that the official libraries make from a seed. A server keeps the parameters, not the seed.
    pub fn from_seed(seed: &[u8; 32], version: GenericVersion) -> Self {
        Self {
            version,
            credential: CredentialKey::from_seed(seed, version.mode()),
        }
    }

    /// Reads the secret form. A point that does not follow from the scalars beside it is refused; bytes after the last
    /// are ignored, as by the official library.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "generic server parameters (385 bytes)");
        let version = match reader.bytes()? {
            [0] => GenericVersion::Legacy,
            [1] => GenericVersion::Standard,
            [_] => return Err(reader.malformed()),
        };
        let params = Self {
            version,
            credential: CredentialKey::read(&mut reader, version.mode())?,
        };
        if bytes.starts_with(&params.to_bytes()) {
            Ok(params)
        } else {
            Err(reader.malformed())
        }
    }

    /// The secret form.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let writer = Writer::with_capacity(Self::LEN).tag(self.version.byte());
        Zeroizing::new(self.credential.write(writer).finish())
    }

    /// The public form, which clients are built with: 225 bytes.
    pub fn public_bytes(&self) -> Vec<u8> {
        let writer = Writer::with_capacity(Self::PUBLIC_LEN).tag(self.version.byte());
        self.credential.write_public(writer).finish()
    }
}

impl fmt::Debug for GenericSecretParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GenericSecretParams({:?}, …)", self.version)
    }
}
