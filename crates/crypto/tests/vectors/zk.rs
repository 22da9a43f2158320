//! What the files about zkgroup share.

use crypto::zk::{
    GenericSecretParams, GenericVersion, Malformed, ServerSecretParams, VerificationFailed,
};
use events::Timestamp;

use crate::support::{Part, load};

/// The group parameters that a vector names, or those of server A.
pub(crate) fn server(file: &str, vector: &Part) -> ServerSecretParams {
    let name = vector
        .get("server")
        .map_or("A".to_owned(), |name| name.0.as_str().unwrap().to_owned());
    let server = Part(load(file).1["servers"][&name].clone());
    let params = ServerSecretParams::from_seed(&server.array("seed"));
    if server.get("public_params").is_some() {
        assert_eq!(params.public_bytes(), server.hex("public_params"), "{name}");
    }
    params
}

/// The generic parameters that a vector names.
pub(crate) fn generic(file: &str, vector: &Part) -> GenericSecretParams {
    let server = Part(load(file).1["servers"][vector.text("params")].clone());
    let version = match server.number("version") {
        0 => GenericVersion::Legacy,
        _ => GenericVersion::Standard,
    };
    let params = GenericSecretParams::from_seed(&server.array("seed"), version);
    assert_eq!(*params.to_bytes(), server.hex("secret_params"));
    assert_eq!(params.public_bytes(), server.hex("public_params"));
    GenericSecretParams::parse(&server.hex("secret_params")).unwrap()
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_epoch_millis(seconds * 1000 + 999).unwrap()
}

/// The verdict of reading and checking, in the words of the vectors.
pub(crate) fn verdict<T, U>(
    read: Result<T, Malformed>,
    check: impl FnOnce(T) -> Result<U, VerificationFailed>,
) -> &'static str {
    match read.map(check) {
        Ok(Ok(_)) => "ok",
        Ok(Err(VerificationFailed)) => "verification_failed",
        Err(_) => "malformed",
    }
}
