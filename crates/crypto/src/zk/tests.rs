//! The building blocks against the published constants. What they build is tested in `tests/vectors`.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use events::{Aci, Pni, ServiceId};
use proptest::prelude::*;

use super::credential::{Attributes, BlindMac, Blinded, Mac};
use super::encoding::Reader;
use super::key::{OLD, ZKCREDENTIAL};
use super::poksho::{Points, Relation};
use super::presentation::{Presentation, Shown, UID_ENCRYPTION};
use super::sho::Sho;
use super::{
    Day, ServerSecretParams, VerificationFailed, auth, avatar, donation, group_send, profile,
    receipt, uid,
};
use crate::vectors::{Part, Prescribed, load, of_kind};

fn points_of(id: &str) -> Vec<RistrettoPoint> {
    match id {
        "avatar_H1..H4" => avatar::COMMITMENT.to_vec(),
        "profile_key_commitment_G_j1-G_j2-G_j3" => profile::COMMITMENT.to_vec(),
        "uid_encryption_G_a1-G_a2" => UID_ENCRYPTION.to_vec(),
        "username_G1_G2_G3" => crate::username::GENERATORS.to_vec(),
        "zk_credential_key_G_a1-G_a2" => avatar::CREDENTIAL_KEY.to_vec(),
        "zkcredential_G_w-G_wprime-G_x0-G_x1-G_V-G_z" => {
            let system = &*ZKCREDENTIAL;
            vec![
                system.w,
                system.w_prime,
                system.x0,
                system.x1,
                system.v,
                system.z,
            ]
        }
        "zkcredential_G_y0..G_y6" => ZKCREDENTIAL.y.to_vec(),
        "zkgroup_credentials_G_V-G_z" => vec![OLD.v, OLD.z],
        "zkgroup_credentials_G_m1..G_m5" => OLD.m[1..].to_vec(),
        "zkgroup_credentials_G_w-G_wprime-G_x0-G_x1" => vec![OLD.w, OLD.w_prime, OLD.x0, OLD.x1],
        "zkgroup_credentials_G_y1..G_y6" => OLD.y[1..].to_vec(),
        // Profile keys are decrypted by group members; no server has a use for these.
        "profile_key_encryption_G_b1-G_b2" => {
            let label =
                b"Signal_ZKGroup_20200424_Constant_ProfileKeyEncryption_SystemParams_Generate";
            let mut sho = Sho::with(label, b"");
            vec![sho.point(), sho.point()]
        }
        other => panic!("unknown constants {other}"),
    }
}

#[test]
fn generators_are_the_published_ones() {
    for vector in of_kind("constants.json", "points") {
        let expected: Vec<_> = vector.list("points").iter().map(Part::bytes).collect();
        let points = points_of(vector.id());
        assert_eq!(
            points
                .iter()
                .map(|p| p.compress().to_bytes().to_vec())
                .collect::<Vec<_>>(),
            expected,
            "{}",
            vector.id()
        );
    }
}

#[test]
fn hash_objects_give_the_published_output() {
    for vector in of_kind("constants.json", "sho-hmac-sha256") {
        let mut sho = Sho::new(&vector.hex("label"));
        for step in vector.list("steps") {
            match step.text("op") {
                "absorb" => _ = sho.absorb(&step.hex("data")),
                "ratchet" => sho.ratchet(),
                "absorb_and_ratchet" => sho.absorb(&step.hex("data")).ratchet(),
                "squeeze_and_ratchet" => {
                    let output = sho.bytes(usize::try_from(step.number("length")).unwrap());
                    assert_eq!(output, step.hex("output"), "{}", vector.id());
                }
                other => panic!("unknown step {other}"),
            }
        }
    }
}

#[test]
fn service_ids_map_to_the_published_points() {
    for vector in of_kind("constants.json", "uid-points") {
        let id: ServiceId = vector.text("service_id").parse().unwrap();
        assert_eq!(
            uid::m1(id).compress().as_bytes().as_slice(),
            vector.hex("M1"),
            "{}",
            vector.id()
        );
        assert_eq!(
            uid::m2(id).compress().as_bytes().as_slice(),
            vector.hex("M2"),
            "{}",
            vector.id()
        );
    }
    for vector in of_kind("constants.json", "single-elligator") {
        let point = RistrettoPoint::map_to_curve(vector.array("input"));
        assert_eq!(
            point.compress().as_bytes().as_slice(),
            vector.hex("point"),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn keys_of_a_day_are_those_of_the_official_library() {
    for (file, time) in [
        ("zk_group_send.json", "expiration"),
        ("zk_donation_permits.json", "default_expiration"),
    ] {
        let (_, whole) = load(file);
        let params =
            ServerSecretParams::from_seed(&Part(whole["servers"]["A"].clone()).array("seed"));
        for vector in of_kind(file, "derived-key") {
            let expiration = vector.number(time);
            let key = match file {
                "zk_group_send.json" => group_send::key(&params, expiration),
                _ => donation::key(&params, expiration),
            };
            assert_eq!(
                key.to_bytes(expiration),
                vector.hex("derived_key_pair"),
                "{}",
                vector.id()
            );
        }
    }
}

/// The statements, with the neutral element for every point: only their form matters here.
fn relation_of(id: &str) -> Relation {
    let params = ServerSecretParams::from_seed(&[0; 32]);
    let none = RistrettoPoint::default();
    let blinded = Blinded {
        d1: none,
        d2: none,
        y: none,
    };
    let mac = || Mac {
        t: Scalar::ZERO,
        u: none,
        v: none,
    };
    let attributes = |ids: usize| {
        let somebody = Aci::from_random([0; 16]);
        (0..ids).fold(Attributes::new(b"", &[]), |attributes, _| {
            attributes.service_id(somebody)
        })
    };
    let issue = |ids| mac().relation(params.credential.of_arity(1 + 2 * ids), &attributes(ids));
    let blind_issue = |ids| {
        let issued = BlindMac {
            mac: mac(),
            s1: none,
            s2: none,
        };
        issued.relation(
            params.credential.of_arity(2 + 2 * ids),
            &attributes(ids),
            &blinded,
        )
    };
    let shown = |shown: &[Shown], arity: usize, encryption| {
        let bytes = [
            vec![0; 96],
            (arity as u64).to_le_bytes().to_vec(),
            vec![0; 32 * arity + 8],
        ]
        .concat();
        let presentation = Presentation::read(&mut Reader::new(&bytes, "")).unwrap();
        presentation.relation(params.credential.of_arity(arity), none, shown, encryption)
    };
    let (hidden, revealed) = (|| Shown::Hidden([none; 2]), || Shown::Revealed(none));
    match id {
        "statement-schnorr-signature" => params.signing.relation(),
        "statement-username" => crate::username::relation(none),
        "statement-endorsements" => group_send::key(&params, 0).relation(none, none),
        "statement-avatar-request" => {
            let request = avatar::Request::parse(&[0; 105]).unwrap();
            let key = avatar::CredentialPublicKey::parse(&[0; 33]).unwrap();
            request.relation(Aci::from_random([0; 16]), 0, &key)
        }
        "statement-zkc-issue-3" => issue(1),
        "statement-zkc-issue-5" => issue(2),
        "statement-zkc-blind-1+1" => blind_issue(0),
        "statement-zkc-blind-3+1" => blind_issue(1),
        "statement-receipt-issue" => {
            let request = receipt::Request::parse(&[0; 97]).unwrap();
            let key = &params.receipt.key;
            receipt::Issuance::draw(&mut Sho::new(b""), key, &request, 0, 0).relation(key, &request)
        }
        "statement-receipt-presentation" => receipt::Presentation::parse(&[0; 329])
            .unwrap()
            .relation(&params.receipt.key),
        "statement-profile-key-request" => {
            let commitment = profile::Commitment::parse(&[0; 97]).unwrap();
            profile::Request::parse(&[0; 329])
                .unwrap()
                .relation(&commitment)
        }
        "statement-profile-key-issue" => {
            let (request, owner) = (
                profile::Request::parse(&[0; 329]).unwrap(),
                Aci::from_random([0; 16]),
            );
            let (key, day) = (
                &params.expiring_profile_key.key,
                Day::from_seconds(0).unwrap(),
            );
            profile::Issuance::draw(&mut Sho::new(b""), key, &request, owner, day)
                .relation(key, &request)
        }
        "statement-zkc-pres-revealed" => shown(&[revealed()], 2, None),
        "statement-call-link-auth-pres" => shown(&[hidden()], 3, Some(none)),
        "statement-create-call-link-pres" => shown(&[hidden(), revealed()], 4, Some(none)),
        "statement-auth-pres" => shown(&[hidden(), hidden()], 5, Some(none)),
        other => panic!("unknown statement {other}"),
    }
}

#[test]
fn statements_are_the_published_ones() {
    for vector in of_kind("constants.json", "statement") {
        let relation = relation_of(vector.id());
        assert_eq!(
            relation.description(),
            vector.hex("description_bytes"),
            "{}",
            vector.id()
        );
    }
}

/// What a client checks when it receives an auth credential.
fn receive(
    params: &ServerSecretParams,
    aci: Aci,
    pni: Pni,
    redemption: u64,
    response: &[u8],
) -> Result<(), VerificationFailed> {
    let mut reader = Reader::exact(response, 425, "").map_err(|_| VerificationFailed)?;
    let mut read = || {
        reader.tag(3)?;
        let (t, [u, v]) = (reader.scalar()?, reader.points()?);
        Ok((Mac { t, u, v }, reader.counted_bytes()?))
    };
    let (mac, proof) = read().map_err(|_: super::Malformed| VerificationFailed)?;
    Day::from_seconds(redemption).map_err(|_| VerificationFailed)?;
    let attributes = Attributes::new(b"20240222_Signal_AuthCredentialZkc", &[redemption])
        .service_id(aci)
        .service_id(pni);
    mac.relation(params.credential.of_arity(5), &attributes)
        .verify(proof, b"", Points::Public)
}

#[test]
fn clients_take_auth_credentials_for_themselves_and_the_day_only() {
    let (vectors, whole) = load("zk_auth.json");
    let params = ServerSecretParams::from_seed(&Part(whole["servers"]["A"].clone()).array("seed"));
    let by_id = |id: &str| vectors.iter().find(|vector| vector.id() == id).unwrap();
    let pni = |vector: &Part| match vector.text("pni").parse() {
        Ok(ServiceId::Pni(pni)) => pni,
        _ => panic!("{}", vector.id()),
    };
    let (issued, other) = (by_id("with-pni-0"), by_id("with-pni-1"));
    for vector in vectors
        .iter()
        .filter(|vector| vector.kind() == "client-receives")
    {
        // The file does not say which other PNI it was.
        let pni = pni(if vector.id() == "client-other-pni" {
            other
        } else {
            issued
        });
        let (aci, day) = (
            vector.text("aci_used").parse().unwrap(),
            vector.number("redemption_time_used"),
        );
        let verdict = receive(&params, aci, pni, day, &vector.hex("response"));
        assert_eq!(verdict.is_ok(), vector.is_valid(), "{}", vector.id());
    }
    let (aci, own) = (issued.text("aci").parse().unwrap(), pni(issued));
    assert_eq!(
        receive(
            &params,
            aci,
            own,
            issued.number("redemption_time"),
            &issued.hex("response")
        ),
        Ok(())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_issued_credential_is_taken_and_a_changed_one_is_not(random: [u8; 32], aci: [u8; 16], day in 0_u32..100_000, bit in 0_usize..425 * 8) {
        let params = ServerSecretParams::from_seed(&[1; 32]);
        let (aci, pni) = (Aci::from_random(aci), Pni::from_random(random[..16].try_into().unwrap()));
        let day = Day::from_seconds(u64::from(day) * 86_400).unwrap();
        let mut response = auth::issue(&params, aci, pni, day, &mut Prescribed::new(random));
        prop_assert_eq!(receive(&params, aci, pni, day.seconds(), &response), Ok(()));
        response[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(receive(&params, aci, pni, day.seconds(), &response), Err(VerificationFailed));
    }
}
