//! `account-{aci}`: who an account is, which devices it has, and what protects it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::event_family;
use crate::ids::{DeviceId, Generation, IdentityKind, LinkHandle, Pni, RegistrationId};
use crate::personal::{Personal, PersonalField, VisitPersonal};
use crate::values::backup::BackupRequest;
use crate::values::e164::E164;
use crate::values::hashes::{LinkTokenHash, SaltedHash, UnidentifiedAccessKey};
use crate::values::keys::EcPublicKey;
use crate::values::profile::ZkCredentialKey;
use crate::values::totp::{TotpKeyId, TotpMetadata, TotpSecret};
use crate::values::username::{EncryptedUsername, UsernameHash};
use crate::values::{Capabilities, EncryptedDeviceName, SealedCreationTime, Timestamp};

event_family! {
    /// What can happen to an account.
    AccountEvent in Account {
        1 AccountRegistered { number, access.key, primary }
        2 AccountReregistered { number, access.key, primary }
        3 DeviceLinked { device }
        4 DeviceRemoved { }
        5 AttributesChanged { access.key }
        6 AccountDeleted { }
        7 RegistrationLockFailed { }
        8 RecoveryPasswordDropped { }
        9 IdentityKeySet { }
        10 DeviceSeen { }
        11 UsernameReservationSet { }
        12 UsernameConfirmed { link }
        13 UsernameDropped { }
        14 UsernameLinkChanged { link }
        15 TotpKeyMetadataSet { metadata }
        16 RegistrationLockChanged { }
        17 AccessChanged { access.key }
        18 PushTokenChanged { push }
        19 DeviceRenamed { }
        20 NumberChanged { number }
        21 RecoveryPasswordSet { }
        22 TotpKeyGenerated { key }
        23 TotpKeyConfirmed { metadata }
        24 TotpKeyRemoved { }
        25 DeviceCapabilitiesChanged { }
        26 TransferArchiveOffered { archive }
        27 BackupRequestsSet { }
        45 ChallengeMet { }
        50 ZkCredentialKeySet { }
        51 DeviceFetchesMessages { }
    }
}

/// A number was verified and nobody had an account with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRegistered {
    /// The number.
    pub number: Personal<E164>,
    /// Its pseudonym.
    pub pni: Pni,
    /// The public keys of its identities, where the client sent them.
    pub identity: IdentityKeys,
    /// Device 1.
    pub primary: Box<NewDevice>,
    /// Who may reach it, and how.
    pub access: Access,
    /// What protects it.
    pub protection: Protection,
}

/// A number was verified again: same account, everything else new. All earlier devices are gone. A missing recovery
/// password leaves the earlier one in force; a missing registration lock does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReregistered {
    /// The number.
    pub number: Personal<E164>,
    /// Its pseudonym.
    pub pni: Pni,
    /// The new public keys of its identities.
    pub identity: IdentityKeys,
    /// The new device 1.
    pub primary: Box<NewDevice>,
    /// Who may reach it, and how.
    pub access: Access,
    /// What protects it.
    pub protection: Protection,
}

/// Another device was attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLinked {
    /// The device.
    pub device: NewDevice,
    /// The token that allowed it; it is spent now.
    pub token: LinkTokenHash,
}

/// A device was detached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRemoved {
    /// The device.
    pub device: DeviceId,
    /// Which of the devices that had this id.
    pub generation: Generation,
}

/// A device told anew what it is and how the account wants to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributesChanged {
    /// The device that spoke.
    pub device: DeviceId,
    /// What it said of itself.
    pub traits: DeviceTraits,
    /// Who may reach the account, and how.
    pub access: Access,
    /// What protects the account. A missing recovery password leaves the earlier one in force.
    pub protection: Protection,
}

/// The account is gone. Its number is free; its personal values can no longer be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDeleted {
    /// The number's pseudonym at the end.
    pub pni: Pni,
}

/// Somebody proved the number but did not know the registration lock. No device's password is valid any more, until the
/// account is registered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationLockFailed {
    /// Whether the recovery password stays in force: it was the proof of the number, and no lock was offered at all.
    pub recovery_password_kept: bool,
}

/// The number was verified by a code, which voids the recovery password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPasswordDropped {}

/// An account that was registered without keys got the public key of one of its identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityKeySet {
    /// Which identity.
    pub identity: IdentityKind,
    /// Its key, which will not change before the account is registered again.
    pub key: EcPublicKey,
}

/// A device proved its password, for the first time on this day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSeen {
    /// The device.
    pub device: DeviceId,
}

/// A username is kept for the account until it confirms it, or until then. An earlier reservation is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameReservationSet {
    /// Which.
    pub hash: UsernameHash,
    /// When it is free again.
    pub until: Timestamp,
}

/// The account has a username, and the link to it that its client made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameConfirmed {
    /// Its hash.
    pub hash: UsernameHash,
    /// The link, if there is one.
    pub link: Option<UsernameLink>,
    /// The username that the account had before; for a while nobody else gets it.
    pub former: Option<HeldUsername>,
}

/// The account has no username any more. For a while nobody else gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameDropped {
    /// The username that it had.
    pub former: HeldUsername,
}

/// The link to the account's username is another one, or gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameLinkChanged {
    /// The link from now on.
    pub link: Option<UsernameLink>,
}

/// The registration lock is another one, or gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationLockChanged {
    /// The lock from now on.
    pub lock: Option<SaltedHash>,
}

/// The recovery password is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPasswordSet {
    /// The password from now on.
    pub password: SaltedHash,
}

/// Who may reach the account, and how, has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessChanged {
    /// As it is from now on.
    pub access: Access,
}

/// A device is woken in another way, or not at all. It fetches no messages by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTokenChanged {
    /// The device.
    pub device: DeviceId,
    /// How it is woken from now on.
    pub push: Option<Personal<PushToken>>,
    /// What kind of application that makes it; `None` leaves what is known.
    pub agent: Option<Box<str>>,
}

/// A device has another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRenamed {
    /// The device.
    pub device: DeviceId,
    /// Its name, readable to its owner only.
    pub name: EncryptedDeviceName,
}

/// The account has another number, or new keys for the one it has. Keys that it had for its earlier number are void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberChanged {
    /// The number from now on.
    pub number: Personal<E164>,
    /// Its pseudonym.
    pub pni: Pni,
    /// The pseudonym of the earlier number; the same if only the keys are new.
    pub former: Pni,
    /// The public key of the number's identity; `None` leaves the earlier one.
    pub identity_key: Option<EcPublicKey>,
    /// New registration ids for the number's identity. Devices that are not named keep theirs.
    pub registration_ids: BTreeMap<DeviceId, RegistrationId>,
}

/// A key for one-time passwords was made and waits for the proof that the account's owner has stored it. An earlier one
/// that waited is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpKeyGenerated {
    /// The key.
    pub key: Personal<TotpSecret>,
}

/// The key that waited is in force: whoever registers the account's number again needs a one-time password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpKeyConfirmed {
    /// Its number within the account.
    pub key_id: TotpKeyId,
    /// What its owner notes about it.
    pub metadata: Personal<TotpMetadata>,
}

/// What its owner notes about a key for one-time passwords has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpKeyMetadataSet {
    /// The key.
    pub key_id: TotpKeyId,
    /// What they note from now on.
    pub metadata: Personal<TotpMetadata>,
}

/// A key for one-time passwords is not in force any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpKeyRemoved {
    /// The key.
    pub key_id: TotpKeyId,
}

/// A username that its last owner alone may take, until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldUsername {
    /// Which.
    pub hash: UsernameHash,
    /// When it is free for everybody.
    pub until: Timestamp,
}

/// What stands behind a username link: whoever has the link finds the username there and can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsernameLink {
    /// Where it stands.
    pub handle: LinkHandle,
    /// The username, readable to those who have the link.
    pub encrypted: Personal<EncryptedUsername>,
}

impl VisitPersonal for UsernameLink {
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField)) {
        self.encrypted.visit_personal(visit);
    }
}

/// The account has shown that somebody is there, so that it may send on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeMet {
    /// The device that answered.
    pub device: DeviceId,
    /// By what.
    pub answer: ChallengeAnswer,
}

/// The account has another key, by which credentials for its pictures are bound to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZkCredentialKeySet {
    /// The public half of the key.
    pub key: ZkCredentialKey,
    /// What tells credentials for this key from those for earlier ones.
    pub rotation_id: u64,
}

/// Nothing wakes the device any more: it fetches its messages by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFetchesMessages {
    /// The device.
    pub device: DeviceId,
    /// What kind of application that makes it; `None` leaves what is known.
    pub agent: Option<Box<str>>,
}

/// By what an account shows that somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeAnswer {
    /// Its primary device received a push.
    Push,
    /// A captcha was solved.
    Captcha,
}

/// A device told anew what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCapabilitiesChanged {
    /// The device.
    pub device: DeviceId,
    /// All that it can do.
    pub capabilities: Capabilities,
}

/// A device said where another one, which was linked a moment ago, finds the account's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferArchiveOffered {
    /// The device that the history is for.
    pub device: DeviceId,
    /// Which of the devices that had this id.
    pub generation: Generation,
    /// Where it finds the history.
    pub archive: Personal<TransferArchive>,
}

/// Where a linked device finds its account's history, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TransferArchive {
    /// In an object store.
    Uploaded {
        /// Which.
        cdn: u32,
        /// Under which key.
        key: Box<str>,
    },
    /// The device has to be linked once more.
    RelinkRequested,
    /// There will be none; the device goes on without.
    ContinueWithoutUpload,
}

/// From now on the account gets credentials of its backups by these requests. What is missing stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequestsSet {
    /// What changed.
    #[serde(flatten)]
    pub requests: BackupRequests,
}

/// The requests by which an account gets credentials of its two backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequests {
    /// Of messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<BackupRequest>,
    /// Of media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<BackupRequest>,
}

impl BackupRequests {
    /// Puts those of `newer` that are there in the place of these.
    #[must_use]
    pub fn updated(self, newer: Self) -> Self {
        Self {
            messages: newer.messages.or(self.messages),
            media: newer.media.or(self.media),
        }
    }
}

/// The public halves of an account's two identities. Absent until a client that registered without keys sends them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityKeys {
    /// Of the account.
    pub aci: Option<EcPublicKey>,
    /// Of the number.
    pub pni: Option<EcPublicKey>,
}

/// Who may reach the account, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What anonymous senders must know.
    pub key: Option<Personal<UnidentifiedAccessKey>>,
    /// Whether anonymous senders need to know nothing.
    pub unrestricted: bool,
    /// Whether the account can be found by its number.
    pub discoverable: bool,
}

/// What protects the account from whoever gets hold of its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Asked for when the number is registered again.
    pub registration_lock: Option<SaltedHash>,
    /// Stands in for a verification session when the number is registered again.
    pub recovery_password: Option<SaltedHash>,
}

/// A device as it joins an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDevice {
    /// Its number within the account.
    pub id: DeviceId,
    /// Which of the devices that had this id; what its keys and mailbox are filed under.
    pub generation: Generation,
    /// Its registration id for the account's identity.
    pub registration_id: RegistrationId,
    /// Its registration id for the number's identity.
    pub pni_registration_id: Option<RegistrationId>,
    /// The hash of its password.
    pub credential: SaltedHash,
    /// What it says of itself.
    pub traits: DeviceTraits,
    /// How to wake it, unless it fetches its messages by itself.
    pub push: Option<Personal<PushToken>>,
    /// When it joined, sealed for the account's identity key; missing if the account had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<SealedCreationTime>,
}

impl VisitPersonal for NewDevice {
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField)) {
        self.push.visit_personal(visit);
    }
}

/// What a device says of itself, and may say anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTraits {
    /// Its name, readable to its owner only.
    pub name: Option<EncryptedDeviceName>,
    /// Whether it fetches messages without being woken.
    pub fetches_messages: bool,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The kind of application, in its own words.
    pub agent: Option<Box<str>>,
}

/// Where a push service finds a device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushToken {
    /// Apple.
    Apn(Box<str>),
    /// Google.
    Fcm(Box<str>),
}

impl PushToken {
    /// The text by which the service knows the device.
    pub fn text(&self) -> &str {
        match self {
            Self::Apn(text) | Self::Fcm(text) => text,
        }
    }

    /// Whether a service can have given it out: there is something, and nothing of it is a control character, which no
    /// read model could hold.
    pub fn is_well_formed(&self) -> bool {
        let text = self.text();
        !text.is_empty() && !text.contains(char::is_control)
    }
}
