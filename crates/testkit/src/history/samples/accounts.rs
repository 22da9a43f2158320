//! What happens to accounts and their devices.

use std::collections::BTreeSet;

use events::account::{
    Access, AccessChanged, AccountDeleted, AccountEvent, AccountRegistered, AccountReregistered,
    AttributesChanged, BackupRequests, BackupRequestsSet, DeviceCapabilitiesChanged,
    DeviceFetchesMessages, DeviceLinked, DeviceRemoved, DeviceRenamed, DeviceSeen, DeviceTraits,
    HeldUsername, IdentityKeySet, IdentityKeys, NewDevice, NumberChanged, Protection, PushToken,
    PushTokenChanged, RegistrationLockFailed, TotpKeyConfirmed, TotpKeyMetadataSet, TotpKeyRemoved,
    TransferArchive, TransferArchiveOffered, UsernameConfirmed, UsernameDropped, UsernameLink,
    UsernameLinkChanged, ZkCredentialKeySet,
};
use events::ids::IdentityKind;
use events::values::Capability;
use events::values::backup::BackupRequest;
use events::values::hashes::{LinkTokenHash, SaltedHash, UnidentifiedAccessKey};
use events::values::profile::ZkCredentialKey;
use events::values::totp::{TotpKeyId, TotpMetadata};
use events::values::username::{EncryptedUsername, UsernameHash};
use events::{E164, Generation, LinkHandle, Personal, Pni, RegistrationId, Timestamp};

use super::{device, ec_key, number, pni, uuid};

/// A device of generation `generation`. Odd generations keep storage and are woken by a push service.
pub fn new_device(id: u32, generation: u32) -> NewDevice {
    let registration_id =
        RegistrationId::try_from(generation % 16_000 + 1).expect("it is in range");
    let odd = generation % 2 == 1;
    NewDevice {
        id: device(id),
        generation: Generation(generation),
        registration_id,
        pni_registration_id: odd.then_some(registration_id),
        credential: SaltedHash {
            salt: format!("{generation:032x}").into(),
            hash: format!("2.{generation:064x}").into(),
        },
        traits: traits(generation),
        push: odd.then(|| PushToken::Apn(format!("push-{generation}").into()).into()),
        created_at: odd.then(|| vec![1; 57].try_into().expect("57 bytes")),
    }
}

/// What a device says of itself; something else for each `n`.
pub fn traits(n: u32) -> DeviceTraits {
    let name = format!("encrypted name {n}").into_bytes();
    let capabilities = [Capability::Storage, Capability::Spqr];
    DeviceTraits {
        name: n
            .is_multiple_of(3)
            .then(|| name.try_into().expect("it is short")),
        fetches_messages: n.is_multiple_of(2),
        capabilities: capabilities
            .into_iter()
            .skip(n.is_multiple_of(2).into())
            .collect::<BTreeSet<_>>(),
        agent: (!n.is_multiple_of(3)).then(|| format!("agent {n}").into()),
    }
}

fn access(n: u32) -> Access {
    let key = vec![u8::try_from(n % 251).expect("it is small"); UnidentifiedAccessKey::LEN];
    let key = UnidentifiedAccessKey::try_from(key).expect("it has the size");
    Access {
        key: (n % 4 != 3).then_some(Personal::Clear(key)),
        unrestricted: n.is_multiple_of(2),
        discoverable: !n.is_multiple_of(5),
    }
}

/// Account `n` is registered with device 1 of a generation.
pub fn registered(n: u32, generation: u32) -> AccountEvent {
    AccountRegistered {
        number: number(n).into(),
        pni: pni(n),
        identity: IdentityKeys {
            aci: Some(ec_key(generation)),
            pni: None,
        },
        primary: new_device(1, generation).into(),
        access: access(generation),
        protection: Protection::default(),
    }
    .into()
}

/// Account `n` is registered again.
pub fn reregistered(n: u32, generation: u32) -> AccountEvent {
    AccountReregistered {
        number: number(n).into(),
        pni: pni(n),
        identity: IdentityKeys {
            aci: Some(ec_key(generation)),
            pni: Some(ec_key(generation + 1)),
        },
        primary: new_device(1, generation).into(),
        access: access(generation),
        protection: Protection::default(),
    }
    .into()
}

/// A device is linked.
pub fn linked(id: u32, generation: u32) -> AccountEvent {
    DeviceLinked {
        device: new_device(id, generation),
        token: LinkTokenHash([7; 32]),
    }
    .into()
}

/// A device is removed.
pub fn removed(id: u32, generation: u32) -> AccountEvent {
    DeviceRemoved {
        device: device(id),
        generation: Generation(generation),
    }
    .into()
}

/// A device says anew what it is.
pub fn attributes(id: u32, n: u32) -> AccountEvent {
    AttributesChanged {
        device: device(id),
        traits: traits(n),
        access: access(n),
        protection: Protection::default(),
    }
    .into()
}

/// A device can keep storage from now on, or cannot any more.
pub fn capabilities(id: u32, storage: bool) -> AccountEvent {
    DeviceCapabilitiesChanged {
        device: device(id),
        capabilities: storage.then_some(Capability::Storage).into_iter().collect(),
    }
    .into()
}

/// A device was offered the account's history.
pub fn archive(id: u32, generation: u32) -> AccountEvent {
    TransferArchiveOffered {
        device: device(id),
        generation: Generation(generation),
        archive: TransferArchive::Uploaded {
            cdn: 3,
            key: format!("archive-{generation}").into(),
        }
        .into(),
    }
    .into()
}

/// A device was heard of.
pub fn seen(id: u32) -> AccountEvent {
    DeviceSeen { device: device(id) }.into()
}

/// The number's identity got its key.
pub fn identity_key(n: u32) -> AccountEvent {
    IdentityKeySet {
        identity: IdentityKind::Pni,
        key: ec_key(n),
    }
    .into()
}

/// Somebody failed the registration lock.
pub fn lock_failed() -> AccountEvent {
    RegistrationLockFailed {
        recovery_password_kept: false,
    }
    .into()
}

/// Account `n` is deleted.
pub fn deleted(n: u32) -> AccountEvent {
    AccountDeleted { pni: pni(n) }.into()
}

/// Another number of account `n`, and its pseudonym.
pub fn second_number(n: u32) -> (E164, Pni) {
    (number(n + 50), pni(n + 50))
}

/// Account `n` moves to its second number, and device 1 with it.
pub fn moved_away(n: u32, key: u32) -> AccountEvent {
    let to = second_number(n);
    moved(to, pni(n), key)
}

/// Account `n` moves back to its first number, and device 1 with it.
pub fn moved_back(n: u32, key: u32) -> AccountEvent {
    let (_, former) = second_number(n);
    moved((number(n), pni(n)), former, key)
}

fn moved((number, pni): (E164, Pni), former: Pni, key: u32) -> AccountEvent {
    let registration_id = RegistrationId::try_from(key % 16_000 + 1).expect("it is in range");
    NumberChanged {
        number: number.into(),
        pni,
        former,
        identity_key: key.is_multiple_of(2).then(|| ec_key(key)),
        registration_ids: [(device(1), registration_id)].into(),
    }
    .into()
}

/// The hash of username `n`.
pub fn username(n: u32) -> UsernameHash {
    UsernameHash([u8::try_from(n % 251).expect("it is small"); 32])
}

/// The link to username `n`.
pub fn username_link(n: u32) -> UsernameLink {
    let encrypted = EncryptedUsername::try_from(format!("name {n}").into_bytes());
    UsernameLink {
        handle: LinkHandle::from_uuid(uuid(0x117, n)),
        encrypted: encrypted.expect("it is short").into(),
    }
}

/// The account has username `n`; odd ones have a link.
pub fn username_confirmed(n: u32) -> AccountEvent {
    UsernameConfirmed {
        hash: username(n),
        link: (!n.is_multiple_of(2)).then(|| username_link(n)),
        former: None,
    }
    .into()
}

/// The account gives username `n` up.
pub fn username_dropped(n: u32) -> AccountEvent {
    let former = HeldUsername {
        hash: username(n),
        until: Timestamp::MAX,
    };
    UsernameDropped { former }.into()
}

/// The account's link leads to username `n`; even ones are no link at all.
pub fn link_changed(n: u32) -> AccountEvent {
    UsernameLinkChanged {
        link: (!n.is_multiple_of(2)).then(|| username_link(n)),
    }
    .into()
}

/// A device is woken by token `n`; even ones are no token at all.
pub fn push_token(id: u32, n: u32) -> AccountEvent {
    let token = PushToken::Fcm(format!("push-{n}").into());
    PushTokenChanged {
        device: device(id),
        push: (!n.is_multiple_of(2)).then(|| token.into()),
        agent: n.is_multiple_of(2).then(|| "OWA".into()),
    }
    .into()
}

/// A device fetches its messages by itself.
pub fn fetches(id: u32, n: u32) -> AccountEvent {
    DeviceFetchesMessages {
        device: device(id),
        agent: n.is_multiple_of(2).then(|| "OWI".into()),
    }
    .into()
}

/// The account gets key `n` for credentials.
pub fn zk_credential_key(n: u32) -> AccountEvent {
    let fill = u8::try_from(n % 251).expect("it is small");
    ZkCredentialKeySet {
        key: vec![fill; ZkCredentialKey::LEN]
            .try_into()
            .expect("it has the size"),
        rotation_id: u64::MAX / 2 - u64::from(n),
    }
    .into()
}

/// A device gets name `n`.
pub fn renamed(id: u32, n: u32) -> AccountEvent {
    let name = format!("renamed {n}").into_bytes();
    DeviceRenamed {
        device: device(id),
        name: name.try_into().expect("it is short"),
    }
    .into()
}

/// The account is reached in way `n`.
pub fn access_changed(n: u32) -> AccountEvent {
    AccessChanged { access: access(n) }.into()
}

/// One of the things that can happen to key `id` for one-time passwords.
pub fn totp(id: u32, n: u32) -> AccountEvent {
    let key_id = TotpKeyId(id);
    let fill = u8::try_from(n % 251).expect("it is small");
    let metadata = TotpMetadata::try_from(vec![fill; TotpMetadata::LEN]).expect("it has the size");
    let metadata = metadata.into();
    match n % 3 {
        0 => TotpKeyRemoved { key_id }.into(),
        1 => TotpKeyMetadataSet { key_id, metadata }.into(),
        _ => TotpKeyConfirmed { key_id, metadata }.into(),
    }
}

/// The request for credentials of backup `n`.
pub fn backup_request(n: u8) -> BackupRequest {
    let mut bytes = vec![n; BackupRequest::LEN];
    bytes[0] = 0;
    BackupRequest::try_from(bytes).expect("it is as long as that")
}

/// An account says by which requests it gets credentials of its backups.
pub fn backup(messages: Option<u8>, media: Option<u8>) -> AccountEvent {
    let requests = BackupRequests {
        messages: messages.map(backup_request),
        media: media.map(backup_request),
    };
    BackupRequestsSet { requests }.into()
}
