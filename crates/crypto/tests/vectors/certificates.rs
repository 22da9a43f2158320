use crypto::certificate::{
    CertificateInvalid, CertificateIssuer, Sender, SenderCertificate, ServerCertificate, Signer,
};
use crypto::keys::EcPrivateKey;
use events::Timestamp;
use events::values::keys::EcPublicKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::support::{Part, load, of_kind};

const FILE: &str = "sender_certificates.json";

fn keys() -> Part {
    Part(load(FILE).1["keys"].clone())
}

fn private(name: &str) -> EcPrivateKey {
    EcPrivateKey::from_bytes(keys().array(name))
}

fn roots(vector: &Part) -> Vec<EcPublicKey> {
    vector
        .list("trust_roots")
        .iter()
        .map(|root| root.bytes().try_into().unwrap())
        .collect()
}

/// The one certificate that clients know by its id and whose private keys are public.
fn known() -> ServerCertificate {
    let (root, server) = (
        EcPrivateKey::from_bytes([0; 32]),
        EcPrivateKey::from_bytes([0xff; 32]),
    );
    ServerCertificate::issue(
        0x7357_C357,
        server.public_key(),
        &root,
        &mut ChaCha20Rng::from_seed([1; 32]),
    )
}

fn sender_vectors() -> impl Iterator<Item = Part> {
    load(FILE)
        .0
        .into_iter()
        .filter(|vector| vector.kind() != "server-certificate")
}

#[test]
fn certificates_are_judged_as_by_the_official_library() {
    for vector in sender_vectors() {
        let now = Timestamp::from_epoch_millis(vector.number("validation_time_ms")).unwrap();
        let certificate = SenderCertificate::parse(&vector.hex("sender_certificate"));
        let verdict = certificate
            .as_ref()
            .map_err(|error| *error)
            .and_then(|c| c.verify(&roots(&vector), &[known()], now));
        assert_eq!(
            verdict.is_ok(),
            vector.is_valid(),
            "{}: {verdict:?}",
            vector.id()
        );
        // A missing device id or another required field is found here when parsing, in the library as late as in use.
        if vector.text("outcome") == "does-not-parse" {
            assert_eq!(
                certificate,
                Err(CertificateInvalid::Malformed),
                "{}",
                vector.id()
            );
        }
        if vector.is_valid() && vector.get("device_id").is_some() {
            let certificate = certificate.unwrap();
            assert_eq!(certificate.sender(), vector.text("aci"), "{}", vector.id());
            assert_eq!(
                u64::from(certificate.device().get()),
                vector.number("device_id"),
                "{}",
                vector.id()
            );
            assert_eq!(
                certificate.expires(),
                vector.number("expires_ms"),
                "{}",
                vector.id()
            );
            assert_eq!(
                certificate.identity().as_ref(),
                vector.hex("identity_key"),
                "{}",
                vector.id()
            );
            assert_eq!(
                certificate.e164(),
                vector["e164"].as_str(),
                "{}",
                vector.id()
            );
        }
    }
}

#[test]
fn server_certificates_are_judged_as_by_the_official_library() {
    for vector in of_kind(FILE, "server-certificate") {
        let certificate = ServerCertificate::parse(&vector.hex("server_certificate")).unwrap();
        assert_eq!(
            certificate.verify(&roots(&vector)).is_ok(),
            vector.is_valid(),
            "{}",
            vector.id()
        );
        assert_eq!(
            certificate.to_bytes(),
            vector.hex("server_certificate"),
            "{}",
            vector.id()
        );
        if vector.is_valid() {
            assert_eq!(u64::from(certificate.id()), vector.number("key_id"));
            assert_eq!(certificate.key().as_ref(), vector.hex("server_public_key"));
            assert_eq!(certificate.signed(), vector.hex("inner_certificate"));
            let mut rng = ChaCha20Rng::from_seed([2; 32]);
            let issued = ServerCertificate::issue(
                certificate.id(),
                certificate.key().clone(),
                &private("trust_root_private_key"),
                &mut rng,
            );
            assert_eq!(
                issued.signed(),
                certificate.signed(),
                "what is signed follows from what is said"
            );
            assert_eq!(issued.verify(&roots(&vector)), Ok(()));
        }
    }
}

#[test]
fn what_is_signed_about_a_sender_is_what_the_reference_server_signs() {
    for vector in sender_vectors().filter(|vector| {
        ["server-style", "reference"].contains(&vector.kind()) && vector.is_valid()
    }) {
        let (certificate, key, signer) = match vector.kind() {
            "server-style" => {
                let certificate =
                    ServerCertificate::parse(&keys().hex("server_certificate")).unwrap();
                (certificate, private("server_private_key"), Signer::Embedded)
            }
            _ => (known(), EcPrivateKey::from_bytes([0xff; 32]), Signer::ById),
        };
        let issuer = CertificateIssuer::new(certificate, key, signer).unwrap();
        let e164 = vector
            .get("e164")
            .map(|number| number.0.as_str().unwrap().parse().unwrap());
        let identity = vector.hex("identity_key").try_into().unwrap();
        let sender = Sender {
            aci: vector.text("aci").parse().unwrap(),
            e164: e164.as_ref(),
            device: u32::try_from(vector.number("device_id"))
                .unwrap()
                .try_into()
                .unwrap(),
            identity: &identity,
        };
        let expires = Timestamp::from_epoch_millis(vector.number("expires_ms")).unwrap();
        let bytes = issuer.issue(&sender, expires, &mut ChaCha20Rng::from_seed([3; 32]));
        assert_eq!(
            bytes.len(),
            vector.hex("sender_certificate").len(),
            "{}",
            vector.id()
        );
        let certificate = SenderCertificate::parse(&bytes).unwrap();
        assert_eq!(
            certificate.signed(),
            vector.hex("inner_certificate"),
            "{}",
            vector.id()
        );
        assert_eq!(
            certificate.verify(&roots(&vector), &[known()], expires),
            Ok(()),
            "{}",
            vector.id()
        );
    }
}
