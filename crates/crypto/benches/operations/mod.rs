//! What is measured: every path on which the server verifies or issues something, on inputs of the official library.

#[path = "../../tests/vectors/support.rs"]
#[expect(
    dead_code,
    reason = "it is written for the tests in `tests/vectors` first"
)]
mod support;

use std::hint::black_box;

use bytes::Bytes;
use crypto::certificate::Sender;
use crypto::keys::{EcPrivateKey, ec_public_key};
use crypto::linking::LinkTokens;
use crypto::multi_recipient::MultiRecipientMessage;
use crypto::secrets::ServerSecrets;
use crypto::zk::{Day, GenericSecretParams, ServerSecretParams};
use crypto::zk::{auth, avatar, backup, call_link, donation, group_send, profile, receipt};
use crypto::{sealing, token_hash, username, xeddsa};
use curve25519_dalek::{RistrettoPoint, Scalar};
use events::values::keys::EcPublicKey;
use events::{Aci, DeviceId, Pni, ServiceId, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use support::{Part, load, of_kind};

/// The operation that all others are compared with.
pub(crate) const BASELINE: &str = "Ristretto: variable-base scalar multiplication";

/// An operation by its name.
pub(crate) type Operation = (&'static str, Box<dyn FnMut()>);

/// All operations, the baseline first.
pub(crate) fn all() -> Vec<Operation> {
    let groups = [
        baseline(),
        signatures(),
        tokens(),
        certificates(),
        usernames(),
        messages(),
    ];
    let credentials = [
        profiles(),
        auth(),
        calls(),
        backups(),
        receipts(),
        donations(),
        avatars(),
        group_sends(),
    ];
    groups.into_iter().chain(credentials).flatten().collect()
}

fn operation<T>(name: &'static str, mut run: impl FnMut() -> T + 'static) -> Operation {
    (name, Box::new(move || _ = black_box(run())))
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

fn first(file: &str, kind: &str) -> Part {
    of_kind(file, kind)
        .into_iter()
        .find(Part::is_valid)
        .expect("a valid vector")
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_epoch_millis(seconds * 1000).expect("a time of today")
}

fn day(vector: &Part, name: &str) -> Day {
    Day::from_seconds(vector.number(name)).expect("the start of a day")
}

fn server(file: &str) -> ServerSecretParams {
    ServerSecretParams::from_seed(&Part(load(file).1["servers"]["A"].clone()).array("seed"))
}

fn generic(file: &str) -> GenericSecretParams {
    let params = Part(load(file).1["servers"]["generic-v0"].clone()).hex("secret_params");
    GenericSecretParams::parse(&params).expect("parameters of the official library")
}

fn somebody() -> Aci {
    Aci::from_random([5; 16])
}

fn baseline() -> Vec<Operation> {
    let mut bytes = [0; 64];
    rng().fill_bytes(&mut bytes);
    let (scalar, point) = (
        Scalar::from_bytes_mod_order_wide(&bytes),
        RistrettoPoint::from_uniform_bytes(&bytes),
    );
    vec![operation(BASELINE, move || {
        black_box(scalar) * black_box(point)
    })]
}

fn signatures() -> Vec<Operation> {
    let vector = first("xeddsa.json", "kyber-signed-prekey");
    let key = ec_public_key(&vector.hex("public_key")).expect("a key");
    let private = EcPrivateKey::from_bytes(vector.array("identity_private_key"));
    let (message, signature) = (
        vector.hex("message"),
        vector.hex("signature").try_into().expect("64 bytes"),
    );
    let (signed, mut rng) = (message.clone(), rng());
    vec![
        operation("XEdDSA: verify a Kyber pre-key (1569 bytes)", move || {
            xeddsa::verify(&key, &message, &signature)
        }),
        operation("XEdDSA: sign", move || {
            xeddsa::sign(&private, &signed, &mut rng)
        }),
    ]
}

fn tokens() -> Vec<Operation> {
    let stored = token_hash::hash("a password of a device", [1; 16]);
    let links = LinkTokens::new([2; 32]);
    let token = links.issue(somebody(), at(0));
    let issuing = links.clone();
    let (mut rng, key) = (rng(), EcPrivateKey::from_bytes([3; 32]).public_key());
    let registration_id = 1.try_into().expect("a registration id");
    vec![
        operation("token hash: verify a device password", move || {
            token_hash::verify("a password of a device", &stored)
        }),
        operation("linking token: issue", move || {
            issuing.issue(somebody(), at(0))
        }),
        operation("linking token: verify", move || links.verify(&token, at(0))),
        operation("HPKE: seal a device's creation time", move || {
            sealing::seal_created_at(&key, DeviceId::PRIMARY, registration_id, at(0), &mut rng)
        }),
    ]
}

fn certificates() -> Vec<Operation> {
    let mut rng = rng();
    let secrets = ServerSecrets::generate(&mut rng);
    let identity: EcPublicKey = EcPrivateKey::from_bytes([3; 32]).public_key();
    vec![operation("sender certificate: issue", move || {
        let sender = Sender {
            aci: somebody(),
            e164: None,
            device: DeviceId::PRIMARY,
            identity: &identity,
        };
        secrets.certificates.issue(&sender, at(0), &mut rng)
    })]
}

fn usernames() -> Vec<Operation> {
    let vector = first("usernames.json", "proof");
    let (hash, proof) = (vector.array("hash"), vector.hex("proof"));
    vec![operation("username: verify a proof", move || {
        username::verify(&hash, &proof)
    })]
}

/// A message for so many recipients with two devices each, and 1000 bytes for all.
fn message(recipients: u32) -> Bytes {
    let mut body = vec![0x23];
    let mut count = recipients;
    while count >= 0x80 {
        body.push(u8::try_from(count & 0x7f).expect("seven bits") | 0x80);
        count >>= 7;
    }
    body.push(u8::try_from(count).expect("seven bits"));
    let mut rng = rng();
    for _ in 0..recipients {
        let mut id_and_material = [0; 64];
        rng.fill_bytes(&mut id_and_material);
        body.push(0);
        body.extend(&id_and_material[..16]);
        body.extend([1, 0x80, 7, 2, 0, 8]);
        body.extend(&id_and_material[16..]);
    }
    body.resize(body.len() + 1000, 9);
    body.into()
}

fn messages() -> Vec<Operation> {
    let parse = |name, recipients| {
        let body = message(recipients);
        operation(name, move || {
            let message = MultiRecipientMessage::parse(body.clone()).expect("well-formed");
            message
                .recipients()
                .map(|recipient| recipient.delivery.len() * recipient.devices.len())
                .sum::<usize>()
        })
    };
    vec![
        parse(
            "multi-recipient message: parse and slice for 10 recipients",
            10,
        ),
        parse(
            "multi-recipient message: parse and slice for 1000 recipients",
            1000,
        ),
    ]
}

fn profiles() -> Vec<Operation> {
    let (file, mut rng) = ("zk_profile.json", rng());
    let (vector, params) = (first(file, "issue"), server(file));
    let bytes = vector.hex("request");
    let request = profile::Request::parse(&bytes).expect("a request");
    let commitment = profile::Commitment::parse(&vector.hex("commitment")).expect("a commitment");
    let (aci, expiration) = (
        vector.text("aci").parse().expect("an account"),
        day(&vector, "expiration"),
    );
    vec![
        operation(
            "profile key credential: read and verify a request",
            move || {
                profile::Request::parse(&bytes)
                    .expect("a request")
                    .verify(&commitment)
            },
        ),
        operation(
            "profile key credential: issue (request verified)",
            move || profile::issue(&params, &request, aci, &commitment, expiration, &mut rng),
        ),
    ]
}

fn auth() -> Vec<Operation> {
    let (file, mut rng) = ("zk_auth.json", rng());
    let params = server(file);
    let vector = first(file, "presentation");
    let group =
        auth::GroupPublicParams::parse(&vector.hex("group_public_params")).expect("a group");
    let (shown, now) = (vector.hex("presentation"), at(vector.number("now")));
    let (pni, today, verifier) = (Pni::from_random([6; 16]), Day::of(now), params.clone());
    vec![
        operation("auth credential: issue for one day", move || {
            auth::issue(&params, somebody(), pni, today, &mut rng)
        }),
        operation(
            "auth credential: read and verify a presentation (group server)",
            move || {
                auth::Presentation::parse(&shown)
                    .expect("a presentation")
                    .verify(&verifier, &group, now)
            },
        ),
    ]
}

fn calls() -> Vec<Operation> {
    let file = "zk_call_links.json";
    let vector = first(file, "create-issue");
    let request = call_link::CreateRequest::parse(&vector.hex("request")).expect("a request");
    let (params, today) = (generic(file), day(&vector, "timestamp"));
    let (create, mut one_rng, mut other_rng) = (params.clone(), rng(), rng());
    vec![
        operation(
            "call link: issue an auth credential for one day",
            move || call_link::issue_auth(&params, somebody(), today, &mut one_rng),
        ),
        operation("call link: issue a credential to create one", move || {
            call_link::issue_create(&create, &request, somebody(), today, &mut other_rng)
        }),
    ]
}

fn backups() -> Vec<Operation> {
    let (file, mut rng) = ("zk_backups.json", rng());
    let (vector, params) = (first(file, "issue"), generic(file));
    let request = backup::Request::parse(&vector.hex("request")).expect("a request");
    let (today, shown, verifier) = (
        day(&vector, "redemption_time"),
        vector.hex("presentation"),
        params.clone(),
    );
    vec![
        operation("backup credential: issue for one day", move || {
            backup::issue(
                &params,
                &request,
                today,
                backup::Level::Free,
                backup::Kind::Messages,
                &mut rng,
            )
        }),
        operation(
            "backup credential: read and verify a presentation",
            move || {
                backup::Presentation::parse(&shown)
                    .expect("a presentation")
                    .verify(&verifier, at(today.seconds()))
            },
        ),
    ]
}

fn receipts() -> Vec<Operation> {
    let (file, mut rng) = ("zk_receipts.json", rng());
    let (vector, params) = (first(file, "issue"), server(file));
    let request = receipt::Request::parse(&vector.hex("request")).expect("a request");
    let (expiration, shown) = (
        day(&vector, "receipt_expiration"),
        vector.hex("presentation"),
    );
    let verifier = params.clone();
    vec![
        operation("receipt: issue", move || {
            receipt::issue(&params, &request, expiration, 5, &mut rng)
        }),
        operation("receipt: read and verify a presentation", move || {
            receipt::Presentation::parse(&shown)
                .expect("a presentation")
                .verify(&verifier)
        }),
    ]
}

fn donations() -> Vec<Operation> {
    let (file, mut rng) = ("zk_donation_permits.json", rng());
    let (vector, params) = (first(file, "issue"), server(file));
    let request = donation::Request::parse(&vector.hex("request")).expect("a request");
    let (expiration, verifier) = (day(&vector, "expiration"), params.clone());
    let permit = first(file, "permit");
    let (now, permit) = (at(permit.number("now")), permit.hex("permit"));
    vec![
        operation("donation permits: issue three", move || {
            donation::issue(&params, &request, expiration, &mut rng)
        }),
        operation("donation permit: verify", move || {
            donation::Permit::parse(&permit)
                .expect("a permit")
                .verify(&verifier, now)
        }),
    ]
}

fn avatars() -> Vec<Operation> {
    let (file, mut rng) = ("zk_avatars.json", rng());
    let (vector, params) = (first(file, "issue"), generic(file));
    let request = avatar::Request::parse(&vector.hex("request")).expect("a request");
    let key =
        avatar::CredentialPublicKey::parse(&vector.hex("zk_credential_public_key")).expect("a key");
    let aci = vector.text("aci").parse().expect("an account");
    let rotation_id = vector.text("rotation_id").parse().expect("a number");
    let (today, shown, verifier) = (
        day(&vector, "redemption_time"),
        vector.hex("presentation"),
        params.clone(),
    );
    vec![
        operation("avatar credential: issue (request verified)", move || {
            avatar::issue(&params, &request, (aci, rotation_id, &key), today, &mut rng)
        }),
        operation(
            "avatar credential: read and verify a presentation",
            move || {
                avatar::Presentation::parse(&shown)
                    .expect("a presentation")
                    .verify(&verifier, at(today.seconds()))
            },
        ),
    ]
}

fn group_sends() -> Vec<Operation> {
    let file = "zk_group_send.json";
    let (params, vector) = (server(file), first(file, "issue"));
    let token = first(file, "token");
    let (now, token) = (
        at(token.number("now")),
        group_send::Token::parse(&token.hex("token")).expect("a token"),
    );
    let members: Vec<_> = vector
        .list("member_ciphertexts")
        .iter()
        .map(Part::bytes)
        .collect();
    let members = members
        .iter()
        .map(|member| group_send::MemberCiphertext::parse(member).expect("a member"));
    let (members, expiration): (Vec<_>, _) = (members.collect(), day(&vector, "expiration"));
    let verify = |name, recipients: u8| {
        let (params, token) = (params.clone(), token.clone());
        let recipients: Vec<ServiceId> = (0..recipients)
            .map(|i| Aci::from_random([i; 16]).into())
            .collect();
        operation(name, move || {
            token.verify(&params, recipients.iter().copied(), now)
        })
    };
    let (one, hundred) = (
        verify("group send token: verify for one recipient", 1),
        verify("group send token: verify for 100 recipients", 100),
    );
    let mut rng = rng();
    let issue = operation(
        "group send endorsements: issue for six members (group server)",
        move || group_send::issue(&params, &members, expiration, &mut rng),
    );
    vec![one, hundred, issue]
}
