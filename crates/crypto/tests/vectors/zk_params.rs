use crypto::zk::{GenericSecretParams, GenericVersion, ServerSecretParams};

use crate::support::{Prescribed, load, of_kind};
use crate::zk::server;

const FILE: &str = "zk_server_params.json";

#[test]
fn a_seed_gives_the_parameters_of_the_official_library() {
    for vector in of_kind(FILE, "server-params") {
        let params = ServerSecretParams::from_seed(&vector.array("seed"));
        assert_eq!(
            *params.to_bytes(),
            vector.hex("secret_params"),
            "{}",
            vector.id()
        );
        assert_eq!(
            params.public_bytes(),
            vector.hex("public_params"),
            "{}",
            vector.id()
        );
        let endorsement = &params.public_bytes()[641..];
        assert_eq!(
            endorsement,
            &vector.hex("endorsement_public_key")[1..],
            "{}",
            vector.id()
        );
    }
    for vector in of_kind(FILE, "generic-params") {
        let version = [GenericVersion::Legacy, GenericVersion::Standard]
            [usize::from(vector.number("version") == 1)];
        let params = GenericSecretParams::from_seed(&vector.array("seed"), version);
        assert_eq!(
            *params.to_bytes(),
            vector.hex("secret_params"),
            "{}",
            vector.id()
        );
        assert_eq!(
            params.public_bytes(),
            vector.hex("public_params"),
            "{}",
            vector.id()
        );
        let read = GenericSecretParams::parse(&params.to_bytes()).unwrap();
        assert_eq!(read.to_bytes(), params.to_bytes(), "{}", vector.id());
    }
}

#[test]
fn parameters_are_read_whole() {
    let read_back =
        |bytes: &[u8]| ServerSecretParams::parse(bytes).map(|params| params.to_bytes().to_vec());
    for vector in of_kind(FILE, "server-params") {
        assert_eq!(
            read_back(&vector.hex("secret_params")),
            Ok(vector.hex("secret_params")),
            "{}",
            vector.id()
        );
    }
    for vector in of_kind(FILE, "server-params-parse") {
        assert_eq!(
            read_back(&vector.hex("secret_params")).is_ok(),
            vector.is_valid(),
            "{}",
            vector.id()
        );
    }
}

#[test]
fn the_servers_signature_is_that_of_the_official_library() {
    for vector in of_kind(FILE, "notary-signature") {
        let (all, _) = load(FILE);
        let named = format!("server-{}", vector.text("server"));
        let seed = all
            .iter()
            .find(|other| other.id() == named)
            .unwrap()
            .array("seed");
        let mut rng = Prescribed::new(vector.hex("random"));
        let signature = ServerSecretParams::from_seed(&seed).sign(&vector.hex("message"), &mut rng);
        assert_eq!(signature, vector.hex("signature"), "{}", vector.id());
    }
}

#[test]
fn every_file_names_its_server() {
    for file in [
        "zk_profile.json",
        "zk_auth.json",
        "zk_receipts.json",
        "zk_group_send.json",
        "zk_donation_permits.json",
    ] {
        server(file, &load(file).0[0]);
    }
}
