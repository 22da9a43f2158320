//! Samples of events of accounts.

use events::account::{
    Access, AccessChanged, AccountDeleted, AccountEvent, AccountRegistered, AccountReregistered,
    AttributesChanged, BackupRequests, BackupRequestsSet, ChallengeAnswer, ChallengeMet,
    DeviceCapabilitiesChanged, DeviceFetchesMessages, DeviceLinked, DeviceRemoved, DeviceRenamed,
    DeviceSeen, DeviceTraits, HeldUsername, IdentityKeySet, IdentityKeys, NewDevice, NumberChanged,
    Protection, PushToken, PushTokenChanged, RecoveryPasswordDropped, RecoveryPasswordSet,
    RegistrationLockChanged, RegistrationLockFailed, TotpKeyConfirmed, TotpKeyGenerated,
    TotpKeyMetadataSet, TotpKeyRemoved, TransferArchive, TransferArchiveOffered, UsernameConfirmed,
    UsernameDropped, UsernameLink, UsernameLinkChanged, UsernameReservationSet, ZkCredentialKeySet,
};
use events::ids::IdentityKind;
use events::values::Capability;
use events::values::backup::BackupRequest;
use events::values::hashes::{LinkTokenHash, UnidentifiedAccessKey};
use events::values::profile::ZkCredentialKey;
use events::values::totp::{TotpKeyId, TotpMetadata, TotpSecret};
use events::values::username::{EncryptedUsername, UsernameHash};
use events::{DeviceId, Generation, LinkHandle, Pni, RegistrationId};
use uuid::Uuid;

use super::{device, moment, number, pni, public_key, salted};

fn registration_id(id: u32) -> RegistrationId {
    RegistrationId::try_from(id).unwrap()
}

fn access() -> Access {
    let key: UnidentifiedAccessKey = vec![0x77; 16].try_into().unwrap();
    Access {
        key: Some(key.into()),
        unrestricted: false,
        discoverable: true,
    }
}

fn new_device(id: u32, push: Option<PushToken>) -> NewDevice {
    NewDevice {
        id: device(id),
        generation: Generation(id + 2),
        registration_id: registration_id(16_383),
        pni_registration_id: Some(registration_id(1)),
        credential: salted("password"),
        traits: DeviceTraits {
            name: Some(vec![1, 2, 3].try_into().unwrap()),
            fetches_messages: push.is_none(),
            capabilities: Capability::ALL.into(),
            agent: Some("OWI".into()),
        },
        push: push.map(Into::into),
        created_at: (id == 2).then(|| vec![1; 57].try_into().unwrap()),
    }
}

fn backup_request(n: u8) -> BackupRequest {
    let mut bytes = [n; BackupRequest::LEN];
    bytes[0] = 0;
    bytes.as_slice().try_into().unwrap()
}

fn archive(archive: TransferArchive) -> AccountEvent {
    TransferArchiveOffered {
        device: device(2),
        generation: Generation(4),
        archive: archive.into(),
    }
    .into()
}

pub(super) fn samples() -> Vec<AccountEvent> {
    vec![
        AccountRegistered {
            number: number().into(),
            pni: pni(),
            identity: IdentityKeys {
                aci: Some(public_key(1)),
                pni: Some(public_key(2)),
            },
            primary: new_device(1, Some(PushToken::Fcm("push-token".into()))).into(),
            access: access(),
            protection: Protection {
                registration_lock: Some(salted("lock")),
                recovery_password: Some(salted("recovery")),
            },
        }
        .into(),
        AccountReregistered {
            number: number().into(),
            pni: pni(),
            identity: IdentityKeys::default(),
            primary: Box::new(NewDevice {
                pni_registration_id: None,
                traits: DeviceTraits::default(),
                ..new_device(1, Some(PushToken::Apn("push-token".into())))
            }),
            access: access(),
            protection: Protection::default(),
        }
        .into(),
        DeviceLinked {
            device: new_device(2, Some(PushToken::Fcm("push-token".into()))),
            token: LinkTokenHash([6; 32]),
        }
        .into(),
        DeviceRemoved {
            device: device(2),
            generation: Generation(4),
        }
        .into(),
        AttributesChanged {
            device: DeviceId::PRIMARY,
            traits: DeviceTraits::default(),
            access: access(),
            protection: Protection::default(),
        }
        .into(),
        AccountDeleted { pni: pni() }.into(),
        RegistrationLockFailed {
            recovery_password_kept: true,
        }
        .into(),
        RecoveryPasswordDropped {}.into(),
        IdentityKeySet {
            identity: IdentityKind::Pni,
            key: public_key(3),
        }
        .into(),
        ChallengeMet {
            device: device(1),
            answer: ChallengeAnswer::Push,
        }
        .into(),
        ChallengeMet {
            device: device(2),
            answer: ChallengeAnswer::Captcha,
        }
        .into(),
        DeviceSeen { device: device(2) }.into(),
        DeviceCapabilitiesChanged {
            device: device(2),
            capabilities: Capability::ALL.into(),
        }
        .into(),
        archive(TransferArchive::Uploaded {
            cdn: 3,
            key: "archive-key".into(),
        }),
        archive(TransferArchive::RelinkRequested),
        archive(TransferArchive::ContinueWithoutUpload),
        BackupRequestsSet {
            requests: BackupRequests {
                messages: Some(backup_request(1)),
                media: Some(backup_request(2)),
            },
        }
        .into(),
        BackupRequestsSet {
            requests: BackupRequests::default(),
        }
        .into(),
    ]
    .into_iter()
    .chain(account_settings())
    .chain(account_usernames())
    .chain(totp())
    .collect()
}

fn account_settings() -> Vec<AccountEvent> {
    vec![
        RegistrationLockChanged {
            lock: Some(salted("lock")),
        }
        .into(),
        RegistrationLockChanged { lock: None }.into(),
        RecoveryPasswordSet {
            password: salted("recovery"),
        }
        .into(),
        AccessChanged { access: access() }.into(),
        ZkCredentialKeySet {
            key: vec![3; ZkCredentialKey::LEN].try_into().unwrap(),
            rotation_id: 0x7fff_ffff_ffff_fffe,
        }
        .into(),
        DeviceFetchesMessages {
            device: device(1),
            agent: Some("OWI".into()),
        }
        .into(),
        DeviceFetchesMessages {
            device: device(2),
            agent: None,
        }
        .into(),
        PushTokenChanged {
            device: device(2),
            push: Some(PushToken::Apn("push-token".into()).into()),
            agent: None,
        }
        .into(),
        PushTokenChanged {
            device: device(1),
            push: None,
            agent: Some("OWA".into()),
        }
        .into(),
        DeviceRenamed {
            device: device(2),
            name: vec![4, 5, 6].try_into().unwrap(),
        }
        .into(),
        NumberChanged {
            number: number().into(),
            pni: pni(),
            former: Pni::from_uuid(Uuid::from_u128(0x902)),
            identity_key: Some(public_key(3)),
            registration_ids: [
                (device(1), registration_id(5)),
                (device(2), registration_id(6)),
            ]
            .into(),
        }
        .into(),
        NumberChanged {
            number: number().into(),
            pni: pni(),
            former: pni(),
            identity_key: None,
            registration_ids: [].into(),
        }
        .into(),
    ]
}

fn held() -> HeldUsername {
    HeldUsername {
        hash: UsernameHash([0xfe; 32]),
        until: moment(7_000),
    }
}

fn link() -> UsernameLink {
    let encrypted = EncryptedUsername::try_from(b"encrypted username".to_vec()).unwrap();
    UsernameLink {
        handle: LinkHandle::from_uuid(Uuid::from_u128(0x117)),
        encrypted: encrypted.into(),
    }
}

fn account_usernames() -> Vec<AccountEvent> {
    let hash = UsernameHash([0x5a; 32]);
    vec![
        UsernameReservationSet {
            hash,
            until: moment(5_000),
        }
        .into(),
        UsernameConfirmed {
            hash,
            link: Some(link()),
            former: Some(held()),
        }
        .into(),
        UsernameConfirmed {
            hash,
            link: None,
            former: None,
        }
        .into(),
        UsernameDropped { former: held() }.into(),
        UsernameLinkChanged { link: Some(link()) }.into(),
        UsernameLinkChanged { link: None }.into(),
    ]
}

fn totp() -> Vec<AccountEvent> {
    let metadata = || TotpMetadata::try_from(vec![0x68; 160]).unwrap();
    vec![
        TotpKeyGenerated {
            key: TotpSecret([0x67; 32]).into(),
        }
        .into(),
        TotpKeyConfirmed {
            key_id: TotpKeyId(1),
            metadata: metadata().into(),
        }
        .into(),
        TotpKeyMetadataSet {
            key_id: TotpKeyId(1),
            metadata: metadata().into(),
        }
        .into(),
        TotpKeyRemoved {
            key_id: TotpKeyId(1),
        }
        .into(),
    ]
}
