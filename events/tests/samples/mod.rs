//! One event of every kind, and every optional part both present and absent.

use events::account::{
    Access, AccessChanged, AccountDeleted, AccountEvent, AccountRegistered, AccountReregistered,
    AttributesChanged, ChallengeAnswer, ChallengeMet, DeviceLinked, DeviceRemoved, DeviceRenamed,
    DeviceSeen, DeviceTraits, HeldUsername, IdentityKeySet, IdentityKeys, NewDevice, NumberChanged,
    Protection, PushToken, PushTokenChanged, RecoveryPasswordDropped, RecoveryPasswordSet,
    RegistrationLockChanged, RegistrationLockFailed, TotpKeyConfirmed, TotpKeyGenerated,
    TotpKeyMetadataSet, TotpKeyRemoved, UsernameConfirmed, UsernameDropped, UsernameLink,
    UsernameLinkChanged, UsernameReservationSet,
};
use events::erasure::{AccountErased, DeviceErased, ErasureEvent, LeftoversErased, PayloadsErased};
use events::ids::{IdentityKind, PreKeyId};
use events::keys::{
    KeysEvent, LastResortPreKeySet, OneTimePreKeyTaken, PreKeyKind, PreKeysDropped,
    PreKeysUploaded, SignedPreKeyRotated,
};
use events::mailbox::{
    EnvelopeKind, MailboxEvent, MessageQueued, MessageSource, MessagesDelivered, MessagesExpired,
    Share,
};
use events::number::{NumberClaimed, NumberEvent, NumberLeft, NumberReleased, VerificationBegun};
use events::operator::{EventParked, EventUnparked, LogExported, OperatorEvent, ProjectionRebuilt};
use events::payload::PayloadDigest;
use events::profile::{
    AvatarRemoved, AvatarReplaced, ProfileCleared, ProfileEvent, ProfileVersionDropped,
    ProfileVersionSet,
};
use events::tree::{HeadSignature, TreeEvent, TreeHash, TreeHeadSigned};
use events::username::{UsernameClaimed, UsernameEvent, UsernameReleased, UsernameReserved};
use events::values::Capability;
use events::values::hashes::{LinkTokenHash, SaltedHash, UnidentifiedAccessKey};
use events::values::keys::{EcPublicKey, Signature, SignedPreKey};
use events::values::profile::{AvatarKey, ProfileKeyCommitment, ProfileVersion};
use events::values::totp::{TotpKeyId, TotpMetadata, TotpSecret};
use events::values::username::{EncryptedUsername, UsernameHash};
use events::verification::{
    CodeRejected, CodeSent, CodeUndelivered, NumberVerified, Proof, ProofRequired, ProofSubmitted,
    PushChallengeIssued, SessionStarted, Transport, VerificationEvent,
};
use events::{
    Aci, AnyEvent, DeviceId, E164, Event, Family, Generation, LinkHandle, MessageGuid, Payload,
    PayloadId, PayloadRef, Pni, Position, RegistrationId, SessionId, Timestamp,
};
use uuid::Uuid;

/// Texts that only a clear personal value would show.
pub(crate) const SECRETS: [&str; 7] = [
    "14155550100",
    "push-token",
    "d3d3d3d3d3d3d3d3d3d3dw",
    "ZW5jcnlwdGVkIHVzZXJuYW1l",
    "Z2dnZ2dnZ2dnZ2dnZ2dn",
    "aGhoaGhoaGhoaGhoaGho",
    "push-challenge",
];

/// Every sample, with the family of its stream.
pub(crate) fn all() -> Vec<(Family, AnyEvent)> {
    let mut samples = Vec::new();
    family::<AccountEvent>(&mut samples, account());
    family::<KeysEvent>(&mut samples, keys());
    family::<MailboxEvent>(&mut samples, mailbox());
    family::<NumberEvent>(&mut samples, number_events());
    family::<VerificationEvent>(&mut samples, verification());
    family::<OperatorEvent>(&mut samples, operator());
    family::<UsernameEvent>(&mut samples, usernames());
    family::<ProfileEvent>(&mut samples, profile());
    family::<ErasureEvent>(&mut samples, erasure());
    family::<TreeEvent>(&mut samples, tree());
    samples
}

fn family<E: Event>(samples: &mut Vec<(Family, AnyEvent)>, events: Vec<E>) {
    samples.extend(events.into_iter().map(|event| (E::FAMILY, event.into())));
}

fn aci() -> Aci {
    Aci::from_uuid(Uuid::from_u128(0xac1))
}

fn pni() -> Pni {
    Pni::from_uuid(Uuid::from_u128(0x901))
}

fn number() -> E164 {
    "+14155550100".parse().unwrap()
}

fn device(id: u32) -> DeviceId {
    DeviceId::try_from(id).unwrap()
}

fn registration_id(id: u32) -> RegistrationId {
    RegistrationId::try_from(id).unwrap()
}

fn guid(number: u128) -> MessageGuid {
    MessageGuid::from_uuid(Uuid::from_u128(number))
}

fn key_id(number: u64) -> PreKeyId {
    PreKeyId::try_from(number).unwrap()
}

fn payload(bytes: &'static [u8]) -> PayloadRef {
    Payload {
        id: PayloadId(Uuid::from_u128(0xda7a)),
        bytes: bytes.into(),
    }
    .reference()
}

fn public_key(fill: u8) -> EcPublicKey {
    let mut bytes = [fill; EcPublicKey::LEN];
    bytes[0] = 5;
    bytes.as_slice().try_into().unwrap()
}

fn salted(name: &str) -> SaltedHash {
    SaltedHash {
        salt: format!("salt of {name}").into(),
        hash: format!("2.{name}").into(),
    }
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
    }
}

fn account() -> Vec<AccountEvent> {
    vec![
        AccountRegistered {
            number: number().into(),
            pni: pni(),
            identity: IdentityKeys {
                aci: Some(public_key(1)),
                pni: Some(public_key(2)),
            },
            primary: new_device(1, Some(PushToken::Fcm("push-token".into()))),
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
            primary: NewDevice {
                pni_registration_id: None,
                traits: DeviceTraits::default(),
                ..new_device(1, Some(PushToken::Apn("push-token".into())))
            },
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

fn moment(millis: u64) -> Timestamp {
    Timestamp::from_epoch_millis(millis).unwrap()
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

fn usernames() -> Vec<UsernameEvent> {
    let until = moment(5_000);
    vec![
        UsernameReserved { aci: aci(), until }.into(),
        UsernameClaimed { aci: aci(), until }.into(),
        UsernameReleased { aci: aci() }.into(),
    ]
}

fn keys() -> Vec<KeysEvent> {
    vec![
        SignedPreKeyRotated {
            key: SignedPreKey {
                key_id: key_id(7),
                public_key: public_key(4),
                signature: Signature::try_from(vec![8; 64]).unwrap(),
            },
        }
        .into(),
        LastResortPreKeySet {
            key_id: key_id(8),
            record: payload(b"record"),
        }
        .into(),
        PreKeysUploaded {
            kind: PreKeyKind::Ec,
            key_ids: vec![key_id(0), key_id(0x7fff_ffff)],
            page: payload(b"page"),
        }
        .into(),
        OneTimePreKeyTaken {
            kind: PreKeyKind::Kyber,
            key_id: key_id(9),
            page: payload(b"page").id,
            index: 99,
        }
        .into(),
        PreKeysDropped {}.into(),
    ]
}

fn mailbox() -> Vec<MailboxEvent> {
    let message = MessageQueued {
        guid: guid(1),
        kind: EnvelopeKind::PreKeyBundle,
        client_timestamp: Timestamp::MAX,
        source: Some(MessageSource {
            service_id: aci().into(),
            device: device(2),
        }),
        destination: pni().into(),
        content: Some(payload(b"ciphertext")),
        share: None,
        urgent: true,
        story: true,
        updated_pni: Some(pni()),
    };
    let receipt = MessageQueued {
        kind: EnvelopeKind::ServerDeliveryReceipt,
        source: None,
        content: None,
        share: None,
        urgent: false,
        story: false,
        updated_pni: None,
        ..message.clone()
    };
    let of_many = MessageQueued {
        kind: EnvelopeKind::UnidentifiedSender,
        source: None,
        share: Some(Share {
            key_material: 20,
            common: 68,
        }),
        story: false,
        updated_pni: None,
        ..message.clone()
    };
    vec![
        message.into(),
        receipt.into(),
        of_many.into(),
        MessagesDelivered {
            guids: vec![guid(1), guid(2)],
        }
        .into(),
        MessagesExpired {
            guids: vec![guid(3)],
        }
        .into(),
    ]
}

fn number_events() -> Vec<NumberEvent> {
    vec![
        NumberClaimed {
            aci: aci(),
            displaced: None,
        }
        .into(),
        NumberReleased { aci: aci() }.into(),
        NumberClaimed {
            aci: aci(),
            displaced: Some(Aci::from_uuid(Uuid::from_u128(0xac2))),
        }
        .into(),
        NumberLeft {
            aci: aci(),
            heir: None,
        }
        .into(),
        NumberLeft {
            aci: aci(),
            heir: Some(Aci::from_uuid(Uuid::from_u128(0xac2))),
        }
        .into(),
        VerificationBegun {
            session: SessionId::from_uuid(Uuid::from_u128(0x5e5)),
        }
        .into(),
    ]
}

fn verification() -> Vec<VerificationEvent> {
    vec![
        SessionStarted {
            number: number().into(),
            pni: pni(),
            required: vec![Proof::PushChallenge, Proof::Captcha],
        }
        .into(),
        ProofSubmitted {
            proof: Proof::Captcha,
        }
        .into(),
        CodeSent {
            transport: Transport::Sms,
            code: Some(salted("code")),
        }
        .into(),
        CodeRejected {}.into(),
        NumberVerified {}.into(),
        ProofRequired {
            proof: Proof::PushChallenge,
        }
        .into(),
        CodeUndelivered {
            transport: Transport::Voice,
            permanent: true,
        }
        .into(),
        PushChallengeIssued {
            pni: pni(),
            challenge: Box::<str>::from("push-challenge").into(),
        }
        .into(),
    ]
}

fn operator() -> Vec<OperatorEvent> {
    vec![
        ProjectionRebuilt {
            model: "inbox".into(),
            version: 1,
            events: 1_000_000,
            through: Position(1_000_000),
        }
        .into(),
        EventParked {
            model: "inbox".into(),
            position: Position(7),
            reason: "a bad row".into(),
        }
        .into(),
        EventUnparked {
            model: "inbox".into(),
            position: Position(7),
            reason: "repaired".into(),
        }
        .into(),
        LogExported {
            through: Position(7),
            events: 7,
            whole: true,
            secrets: false,
        }
        .into(),
    ]
}

fn profile() -> Vec<ProfileEvent> {
    let version = Some(ProfileVersion::from_bytes([0xab; 32]));
    let commitment = ProfileKeyCommitment::try_from(vec![0; 97]).ok();
    let avatar = |fill| AvatarKey::from_random([fill; 16]);
    let fields = payload(b"fields");
    vec![
        ProfileVersionSet {
            version,
            commitment: commitment.clone(),
            fields,
            payment_address: true,
            data: Some(PayloadDigest::of(b"data")),
            replaces: Some(fields.id),
        }
        .into(),
        ProfileVersionSet {
            version: None,
            commitment: None,
            fields,
            payment_address: false,
            data: None,
            replaces: None,
        }
        .into(),
        AvatarReplaced {
            version,
            commitment,
            key: avatar(2),
            replaces: Some(avatar(1)),
        }
        .into(),
        AvatarReplaced {
            version,
            commitment: None,
            key: avatar(1),
            replaces: None,
        }
        .into(),
        AvatarRemoved {
            version,
            key: avatar(2),
        }
        .into(),
        ProfileVersionDropped {
            version,
            fields: Some(fields.id),
            avatar: Some(avatar(1)),
        }
        .into(),
        ProfileVersionDropped {
            version: None,
            fields: None,
            avatar: None,
        }
        .into(),
        ProfileCleared {
            fields: vec![fields.id],
            avatars: vec![avatar(1)],
        }
        .into(),
    ]
}

fn erasure() -> Vec<ErasureEvent> {
    vec![
        AccountErased {
            deletion: Position(7),
            payloads: 3,
            account_key: true,
            session_keys: 1,
        }
        .into(),
        DeviceErased {
            device: device(2),
            generation: Generation(3),
            removal: Position(7),
            payloads: 3,
        }
        .into(),
        PayloadsErased {
            through: Position(7),
            payloads: 3,
        }
        .into(),
        LeftoversErased {
            through: Position(7),
            payloads: 3,
            orphans: 2,
            keys: 1,
        }
        .into(),
    ]
}

fn tree() -> Vec<TreeEvent> {
    vec![
        TreeHeadSigned {
            size: 7,
            root: TreeHash([1; 32]),
            signed_at: Timestamp::from_epoch_millis(1_767_225_600_000).unwrap(),
            signature: HeadSignature([2; 64]),
        }
        .into(),
    ]
}
