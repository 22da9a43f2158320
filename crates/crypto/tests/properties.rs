//! What holds for all inputs: what we make we take back, a changed bit is noticed, and no bytes confuse a reader.

#![expect(clippy::unwrap_used, reason = "an unexpected failure is a failed test")]

#[path = "../fuzz/parsers.rs"]
mod parsers;
#[path = "vectors/support.rs"]
#[expect(
    dead_code,
    reason = "it is written for the tests in `tests/vectors` first"
)]
mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crypto::certificate::{Sender, SenderCertificate};
use crypto::keys::EcPrivateKey;
use crypto::multi_recipient::MultiRecipientMessage;
use crypto::secrets::ServerSecrets;
use crypto::username::{self, Username};
use crypto::zk::{GenericSecretParams, ServerSecretParams, VerificationFailed};
use crypto::zk::{auth, avatar, backup, donation, group_send, profile, receipt};
use crypto::{sealing, xeddsa};
use events::values::keys::{EcPublicKey, Signature};
use events::{Aci, DeviceId, E164, Pni, ServiceId, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

use support::{Part, load, of_kind};

fn rng(seed: [u8; 32]) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(seed)
}

fn flipped(bytes: &[u8], bit: Index) -> Vec<u8> {
    let bit = bit.index(bytes.len() * 8);
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_epoch_millis(seconds * 1000).unwrap()
}

fn server(file: &str) -> ServerSecretParams {
    ServerSecretParams::from_seed(&Part(load(file).1["servers"]["A"].clone()).array("seed"))
}

fn generic(file: &str) -> GenericSecretParams {
    GenericSecretParams::parse(
        &Part(load(file).1["servers"]["generic-v0"].clone()).hex("secret_params"),
    )
    .unwrap()
}

fn first(file: &str, kind: &str) -> Part {
    of_kind(file, kind)
        .into_iter()
        .find(Part::is_valid)
        .unwrap()
}

fn read_all(bytes: &[u8]) {
    for (_, parse) in parsers::ALL {
        parse(bytes);
    }
}

/// A message as a sender builds it.
fn message(recipients: &BTreeMap<ServiceId, Vec<(DeviceId, u16)>>, shared: &[u8]) -> Vec<u8> {
    let mut body = vec![0x23, u8::try_from(recipients.len()).unwrap()];
    for (service_id, devices) in recipients {
        body.push(u8::from(matches!(service_id, ServiceId::Pni(_))));
        body.extend(service_id.uuid().as_bytes());
        for (i, (device, registration_id)) in devices.iter().enumerate() {
            let more = if i + 1 < devices.len() { 0x8000 } else { 0 };
            body.push(device.get());
            body.extend((registration_id | more).to_be_bytes());
        }
        if devices.is_empty() {
            body.push(0);
        } else {
            body.extend(key_material(*service_id));
        }
    }
    body.extend(shared);
    body
}

fn key_material(service_id: ServiceId) -> [u8; 48] {
    std::array::from_fn(|i| service_id.uuid().as_bytes()[i % 16])
}

fn service_ids() -> impl Strategy<Value = ServiceId> {
    (any::<[u8; 16]>(), any::<bool>()).prop_map(|(id, pni)| {
        if pni {
            Pni::from_random(id).into()
        } else {
            Aci::from_random(id).into()
        }
    })
}

fn devices() -> impl Strategy<Value = Vec<(DeviceId, u16)>> {
    let device = (1_u32..128, 0_u16..0x4000)
        .prop_map(|(id, registration)| (id.try_into().unwrap(), registration));
    vec(device, 0..5)
}

proptest! {
    #[test]
    fn signatures_are_for_one_message_and_key(key: [u8; 32], seed: [u8; 32], message in vec(any::<u8>(), 1..80), bit: Index) {
        let key = EcPrivateKey::from_bytes(key);
        let (public, signature) = (key.public_key(), xeddsa::sign(&key, &message, &mut rng(seed)));
        prop_assert!(xeddsa::verify(&public, &message, &signature));
        prop_assert!(!xeddsa::verify(&public, &flipped(&message, bit), &signature));
        let other = Signature::try_from(flipped(signature.as_ref(), bit)).unwrap();
        prop_assert!(!xeddsa::verify(&public, &message, &other));
        // The type byte is checked by its type, and the top bit of a key means nothing.
        let other = flipped(public.as_ref(), bit);
        if other[1..32] != public.as_ref()[1..32] || other[32] & 0x7f != public.as_ref()[32] & 0x7f {
            prop_assert!(!xeddsa::verify(&EcPublicKey::try_from(other).unwrap(), &message, &signature));
        }
    }

    #[test]
    fn certificates_are_for_one_sender(seed: [u8; 32], aci: [u8; 16], device in 1_u32..128, numbered: bool, expires in 0_u64..1 << 45, bit: Index) {
        let mut rng = rng(seed);
        let secrets = ServerSecrets::generate(&mut rng);
        let (aci, device) = (Aci::from_random(aci), DeviceId::try_from(device).unwrap());
        let number: E164 = "+14151231234".parse().unwrap();
        let identity = EcPrivateKey::generate(&mut rng).public_key();
        let sender = Sender { aci, e164: numbered.then_some(&number), device, identity: &identity };
        let expires = Timestamp::from_epoch_millis(expires).unwrap();
        let issued = secrets.certificates.issue(&sender, expires, &mut rng);

        let roots = [secrets.trust_root.clone()];
        let verdict = |bytes: &[u8]| SenderCertificate::parse(bytes).and_then(|read| read.verify(&roots, &[], expires));
        prop_assert_eq!(verdict(&issued), Ok(()));
        prop_assert!(verdict(&flipped(&issued, bit)).is_err());
        let read = SenderCertificate::parse(&issued).unwrap();
        prop_assert_eq!(read.sender(), aci.to_string());
        prop_assert_eq!((read.device(), read.identity()), (device, &identity));
        prop_assert_eq!(read.e164(), numbered.then_some("+14151231234"));
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner(key: [u8; 32], seed: [u8; 32], device in 1_u32..128, registration in 1_u32..0x4000, millis in 0_u64..1 << 52, bit: Index) {
        let key = EcPrivateKey::from_bytes(key);
        let (device, registration) = (device.try_into().unwrap(), registration.try_into().unwrap());
        let created = Timestamp::from_epoch_millis(millis).unwrap();
        let sealed = sealing::seal_created_at(&key.public_key(), device, registration, created, &mut rng(seed)).unwrap();
        let open = |bytes: &[u8]| sealing::open_created_at(&key, device, registration, bytes);
        prop_assert_eq!(open(&sealed), Ok(created));
        prop_assert!(open(&flipped(&sealed, bit)).is_err());
    }

    #[test]
    fn usernames_prove_themselves(name in "[a-z_][a-z0-9_]{0,47}", discriminator in 10_u64.., seed: [u8; 32], bit: Index) {
        let text = format!("{name}.{discriminator}");
        let name: Username = text.parse().unwrap();
        prop_assert_eq!(text.to_uppercase().parse::<Username>().unwrap().hash(), name.hash());
        let proof = name.prove(&mut rng(seed));
        prop_assert!(username::verify(&name.hash(), &proof).is_ok());
        prop_assert!(username::verify(&name.hash(), &flipped(&proof, bit)).is_err());
        prop_assert!(username::verify(&flipped(&name.hash(), bit).try_into().unwrap(), &proof).is_err());
    }

    #[test]
    fn messages_reach_whom_they_are_for(recipients in btree_map(service_ids(), devices(), 0..12), shared in vec(any::<u8>(), 32..80), cut: Index) {
        let body = message(&recipients, &shared);
        let read = MultiRecipientMessage::parse(body.clone().into()).unwrap();
        let listed = read.recipients().map(|recipient| {
            let devices: Vec<_> = recipient.devices.iter().map(|device| (device.id, device.registration_id)).collect();
            let delivered = [&[0x22], key_material(recipient.service_id).as_slice(), &shared].concat();
            assert_eq!(recipient.delivery.to_bytes(), delivered);
            (recipient.service_id, devices)
        });
        let listed: BTreeMap<_, _> = listed.chain(read.excluded().iter().map(|id| (*id, vec![]))).collect();
        prop_assert_eq!(listed, recipients);
        let cut = cut.index(body.len() - shared.len() + 32);
        prop_assert!(MultiRecipientMessage::parse(body[..cut].to_vec().into()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_profile_key_request_is_refused(bit: Index) {
        let vector = first("zk_profile.json", "issue");
        let both = [vector.hex("commitment"), vector.hex("request")].concat();
        let verify = |both: &[u8]| {
            let (commitment, request) = both.split_at(profile::Commitment::LEN);
            let (commitment, request) = (profile::Commitment::parse(commitment), profile::Request::parse(request));
            commitment.is_ok_and(|commitment| request.is_ok_and(|request| request.verify(&commitment).is_ok()))
        };
        prop_assert!(verify(&both) && !verify(&flipped(&both, bit)));
    }

    #[test]
    fn a_changed_presentation_is_refused(bit: Index) {
        let vector = first("zk_backups.json", "presentation");
        let (params, now, shown) = (generic("zk_backups.json"), at(vector.number("now")), vector.hex("presentation"));
        let verify = |bytes: &[u8]| backup::Presentation::parse(bytes).is_ok_and(|shown| shown.verify(&params, now).is_ok());
        prop_assert!(verify(&shown) && !verify(&flipped(&shown, bit)));

        let vector = first("zk_avatars.json", "presentation");
        let (params, now, shown) = (generic("zk_avatars.json"), at(vector.number("now")), vector.hex("presentation"));
        let verify = |bytes: &[u8]| avatar::Presentation::parse(bytes).is_ok_and(|shown| shown.verify(&params, now).is_ok());
        prop_assert!(verify(&shown) && !verify(&flipped(&shown, bit)));

        let shown = first("zk_receipts.json", "presentation").hex("presentation");
        let params = server("zk_receipts.json");
        let verify = |bytes: &[u8]| receipt::Presentation::parse(bytes).is_ok_and(|shown| shown.verify(&params).is_ok());
        prop_assert!(verify(&shown) && !verify(&flipped(&shown, bit)));

        let vector = first("zk_auth.json", "presentation");
        let (params, now, shown) = (server("zk_auth.json"), at(vector.number("now")), vector.hex("presentation"));
        let group = auth::GroupPublicParams::parse(&vector.hex("group_public_params")).unwrap();
        let verify = |bytes: &[u8]| auth::Presentation::parse(bytes).is_ok_and(|shown| shown.verify(&params, &group, now).is_ok());
        prop_assert!(verify(&shown) && !verify(&flipped(&shown, bit)));
    }

    #[test]
    fn a_changed_avatar_request_is_refused(bit: Index) {
        let vector = first("zk_avatars.json", "issue");
        let (aci, rotation) = (vector.text("aci").parse().unwrap(), vector.text("rotation_id").parse().unwrap());
        let both = [vector.hex("zk_credential_public_key"), vector.hex("request")].concat();
        let verify = |both: &[u8]| {
            let (key, request) = both.split_at(33);
            let (key, request) = (avatar::CredentialPublicKey::parse(key), avatar::Request::parse(request));
            key.is_ok_and(|key| request.is_ok_and(|request| request.verify(aci, rotation, &key).is_ok()))
        };
        prop_assert!(verify(&both) && !verify(&flipped(&both, bit)));
    }

    #[test]
    fn a_changed_token_is_refused(bit: Index) {
        let vector = first("zk_group_send.json", "token");
        let (params, now, token) = (server("zk_group_send.json"), at(vector.number("now")), vector.hex("token"));
        let recipients: Vec<ServiceId> = vector.list("recipients").iter().map(|id| id.0.as_str().unwrap().parse().unwrap()).collect();
        let verify = |bytes: &[u8]| group_send::Token::parse(bytes).is_ok_and(|token| token.verify(&params, recipients.iter().copied(), now).is_ok());
        prop_assert!(verify(&token) && !verify(&flipped(&token, bit)));

        let vector = first("zk_donation_permits.json", "permit");
        let (params, now, permit) = (server("zk_donation_permits.json"), at(vector.number("now")), vector.hex("permit"));
        let verify = |bytes: &[u8]| donation::Permit::parse(bytes).is_ok_and(|permit| permit.verify(&params, now).is_ok());
        prop_assert!(verify(&permit) && !verify(&flipped(&permit, bit)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..700)) {
        read_all(&bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}|[a-z_.0-9:-]{0,80}") {
        read_all(text.as_bytes());
    }

    /// Bytes that are nearly right come further than random ones.
    #[test]
    fn nearly_right_bytes_are_read_or_refused(which: Index, bits in vec(any::<Index>(), 0..4), cut: Index, tail in vec(any::<u8>(), 0..40)) {
        let sample = &SAMPLES[which.index(SAMPLES.len())];
        let changed = bits.iter().fold(sample.clone(), |bytes, bit| flipped(&bytes, *bit));
        let cut = cut.index(2 * changed.len()).min(changed.len());
        let bytes = [&changed[..cut], &tail].concat();
        read_all(&bytes);
    }
}

/// One well-formed input of each kind, as the parsers take them.
static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let joined = |file, kind, names: &[&str]| {
        let vector = first(file, kind);
        names
            .iter()
            .flat_map(|name| vector.hex(name))
            .collect::<Vec<_>>()
    };
    let message = BTreeMap::from([
        (
            Aci::from_random([1; 16]).into(),
            vec![(DeviceId::PRIMARY, 1)],
        ),
        (Pni::from_random([2; 16]).into(), vec![]),
    ]);
    vec![
        joined("keys_and_ids.json", "kyber-public", &["input"]),
        joined(
            "xeddsa.json",
            "message-length",
            &["public_key", "signature", "message"],
        ),
        joined(
            "sender_certificates.json",
            "server-style",
            &["sender_certificate"],
        ),
        joined(
            "sender_certificates.json",
            "server-certificate",
            &["server_certificate"],
        ),
        joined("usernames.json", "proof", &["hash", "proof"]),
        self::message(&message, &[3; 64]),
        joined("hpke.json", "device-created-at", &["ciphertext"]),
        joined("zk_server_params.json", "server-params", &["secret_params"]),
        joined(
            "zk_server_params.json",
            "generic-params",
            &["secret_params"],
        ),
        joined("zk_profile.json", "issue", &["commitment", "request"]),
        joined("zk_call_links.json", "create-issue", &["request"]),
        joined("zk_donation_permits.json", "issue", &["request"]),
        joined("zk_backups.json", "presentation", &["presentation"]),
        joined("zk_receipts.json", "presentation", &["presentation"]),
        joined("zk_avatars.json", "presentation", &["presentation"]),
        joined(
            "zk_auth.json",
            "presentation",
            &["group_public_params", "presentation"],
        ),
        joined("zk_group_send.json", "token", &["token"]),
        joined("zk_donation_permits.json", "permit", &["permit"]),
        joined(
            "zk_avatars.json",
            "issue",
            &["zk_credential_public_key", "request"],
        ),
    ]
});

/// The endorsement of nobody is the neutral element, whatever the key.
#[test]
fn a_token_for_nobody_is_refused() {
    let tag = Sha256::digest([0; 32]);
    let expiration = u64::MAX.to_le_bytes();
    let forged = [
        [0].as_slice(),
        &16_u64.to_le_bytes(),
        &tag[..16],
        &expiration,
    ]
    .concat();
    let verdict =
        group_send::Token::parse(&forged)
            .unwrap()
            .verify(&server("zk_group_send.json"), [], at(0));
    assert_eq!(verdict, Err(VerificationFailed));
}
