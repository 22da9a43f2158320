//! Every reader of bytes or texts that strangers send, by name. `tests/properties.rs` feeds them random bytes and slightly
//! wrong ones, the fuzz targets whatever covers more code. None may panic, hang, or allocate beyond its input.

use std::str::from_utf8;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use crypto::certificate::{SenderCertificate, ServerCertificate};
use crypto::external::ExternalService;
use crypto::keys::{EcPrivateKey, ec_public_key, kyber_public_key};
use crypto::linking::LinkTokens;
use crypto::multi_recipient::MultiRecipientMessage;
use crypto::username::Username;
use crypto::zk::{GenericSecretParams, GenericVersion, ServerSecretParams};
use crypto::zk::{auth, avatar, backup, call_link, donation, group_send, profile, receipt};
use crypto::{sealing, username, xeddsa};
use events::values::keys::Signature;
use events::{Aci, Timestamp};

/// A reader: what it gives is not looked at.
pub(crate) type Parser = fn(&[u8]);

/// Every reader.
pub(crate) const ALL: [(&str, Parser); 14] = [
    ("keys", keys),
    ("signature", signature),
    ("certificates", certificates),
    ("username_proof", username_proof),
    ("username_text", username_text),
    ("multi_recipient", multi_recipient),
    ("sealed", sealed),
    ("tokens", tokens),
    ("params", params),
    ("profile_request", profile_request),
    ("blind_requests", blind_requests),
    ("presentations", presentations),
    ("endorsed_tokens", endorsed_tokens),
    ("avatar_request", avatar_request),
];

static GROUP: LazyLock<ServerSecretParams> =
    LazyLock::new(|| ServerSecretParams::from_seed(&[1; 32]));
static GENERIC: LazyLock<GenericSecretParams> =
    LazyLock::new(|| GenericSecretParams::from_seed(&[2; 32], GenericVersion::Standard));

fn now() -> Timestamp {
    Timestamp::from_epoch_millis(1_767_225_600_000).expect("a time of today")
}

/// Public keys.
pub(crate) fn keys(bytes: &[u8]) {
    if let Ok(key) = ec_public_key(bytes) {
        assert_eq!(
            ec_public_key(key.as_ref()),
            Ok(key),
            "what was read is canonical"
        );
    }
    let _ = kyber_public_key(bytes);
}

/// A key, a signature, and the rest is the message.
pub(crate) fn signature(bytes: &[u8]) {
    let Some((key, rest)) = bytes.split_at_checked(33) else {
        return;
    };
    let Some((signature, message)) = rest.split_at_checked(64) else {
        return;
    };
    if let (Ok(key), Ok(signature)) = (ec_public_key(key), Signature::try_from(signature)) {
        let _ = xeddsa::verify(&key, message, &signature);
    }
}

/// Certificates of servers and senders, with their chains.
pub(crate) fn certificates(bytes: &[u8]) {
    let roots = [EcPrivateKey::from_bytes([3; 32]).public_key()];
    let known: Vec<_> = ServerCertificate::parse(bytes).into_iter().collect();
    for server in &known {
        let _ = server.verify(&roots);
        assert_eq!(
            ServerCertificate::parse(&server.to_bytes()).as_ref(),
            Ok(server),
            "what was read can be written"
        );
    }
    if let Ok(sender) = SenderCertificate::parse(bytes) {
        let _ = sender.verify(&roots, &known, now());
    }
}

/// A username's hash, and the rest is the proof.
pub(crate) fn username_proof(bytes: &[u8]) {
    if let Some((hash, proof)) = bytes.split_first_chunk() {
        let _ = username::verify(hash, proof);
    }
}

/// A username as a text.
pub(crate) fn username_text(bytes: &[u8]) {
    if let Some(name) = from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<Username>().ok())
    {
        let _ = name.hash();
    }
}

/// A message to many recipients, and what goes to each.
pub(crate) fn multi_recipient(bytes: &[u8]) {
    let Ok(message) = MultiRecipientMessage::parse(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let _ = message.check_sendable();
    for recipient in message.recipients() {
        assert!(
            !recipient.devices.is_empty(),
            "who has no device is excluded"
        );
        assert_eq!(
            recipient.delivery.to_bytes().len(),
            recipient.delivery.len()
        );
        assert!(
            recipient.delivery.len() <= bytes.len() + 1,
            "what is delivered is a part of what came"
        );
    }
}

/// What claims to be sealed.
pub(crate) fn sealed(bytes: &[u8]) {
    let _ = sealing::open(&EcPrivateKey::from_bytes([4; 32]), b"", b"", bytes);
}

/// Linking tokens and the credentials of other services.
pub(crate) fn tokens(bytes: &[u8]) {
    let Ok(text) = from_utf8(bytes) else { return };
    assert!(
        LinkTokens::new([5; 32]).verify(text, now()).is_err(),
        "nobody can guess a token"
    );
    let services = [
        ExternalService::plain([6; 32]),
        ExternalService::recovery([6; 32], [7; 32]),
    ];
    for service in services {
        let _ = service.check_tokens([text], None, now(), Duration::from_hours(1));
    }
}

/// Secret parameters from a file.
pub(crate) fn params(bytes: &[u8]) {
    if let Ok(params) = ServerSecretParams::parse(bytes) {
        assert!(
            bytes.starts_with(&params.to_bytes()),
            "what was read can be written"
        );
    }
    if let Ok(params) = GenericSecretParams::parse(bytes) {
        assert!(
            bytes.starts_with(&params.to_bytes()),
            "what was read can be written"
        );
    }
}

/// A profile key commitment, and the rest is a request.
pub(crate) fn profile_request(bytes: &[u8]) {
    let (commitment, request) = bytes.split_at(bytes.len().min(profile::Commitment::LEN));
    if let (Ok(commitment), Ok(request)) = (
        profile::Commitment::parse(commitment),
        profile::Request::parse(request),
    ) {
        let _ = request.verify(&commitment);
    }
}

/// Requests in which nothing is proved, and lists of points.
pub(crate) fn blind_requests(bytes: &[u8]) {
    let _ = call_link::CreateRequest::parse(bytes);
    let _ = backup::Request::parse(bytes);
    let _ = receipt::Request::parse(bytes);
    let _ = group_send::MemberCiphertext::parse(bytes);
    let _ = auth::GroupPublicParams::parse(bytes);
    if let Ok(request) = donation::Request::parse(bytes) {
        assert!(
            9 + 32 * request.count() <= bytes.len(),
            "no more points than there are bytes for"
        );
    }
}

/// Presentations of credentials.
pub(crate) fn presentations(bytes: &[u8]) {
    if let Ok(shown) = backup::Presentation::parse(bytes) {
        let _ = shown.verify(&GENERIC, now());
    }
    if let Ok(shown) = avatar::Presentation::parse(bytes) {
        let _ = shown.verify(&GENERIC, now());
    }
    if let Ok(shown) = receipt::Presentation::parse(bytes) {
        let _ = shown.verify(&GROUP);
    }
    let (group, shown) = bytes.split_at(bytes.len().min(auth::GroupPublicParams::LEN));
    if let (Ok(group), Ok(shown)) = (
        auth::GroupPublicParams::parse(group),
        auth::Presentation::parse(shown),
    ) {
        let _ = shown.verify(&GROUP, &group, now());
    }
}

/// Group send tokens and donation permits.
pub(crate) fn endorsed_tokens(bytes: &[u8]) {
    if let Ok(token) = group_send::Token::parse(bytes) {
        let _ = token.verify(&GROUP, [Aci::from_random([8; 16]).into()], now());
    }
    if let Ok(permit) = donation::Permit::parse(bytes) {
        let _ = permit.verify(&GROUP, now());
    }
}

/// A credential key, and the rest is a request for an avatar credential.
pub(crate) fn avatar_request(bytes: &[u8]) {
    let (key, request) = bytes.split_at(bytes.len().min(33));
    if let (Ok(key), Ok(request)) = (
        avatar::CredentialPublicKey::parse(key),
        avatar::Request::parse(request),
    ) {
        let _ = request.verify(Aci::from_random([9; 16]), 1, &key);
    }
}
