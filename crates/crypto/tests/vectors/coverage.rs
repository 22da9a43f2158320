//! No vector is left out: each kind of each file has its test, and a new one wants another.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Part, load};

const TESTED: [(&str, &[&str]); 18] = [
    ("access_keys.json", &["combined", "derive"]),
    (
        "constants.json",
        &[
            "points",
            "sho-hmac-sha256",
            "single-elligator",
            "statement",
            "uid-points",
        ],
    ),
    ("hpke.json", &["device-created-at", "generic"]),
    (
        "keys_and_ids.json",
        &[
            "check-keys-digest",
            "ec-public",
            "kyber-public",
            "service-id-binary",
            "service-id-string",
        ],
    ),
    (
        "sender_certificates.json",
        &[
            "expiry",
            "library-made",
            "parse",
            "reference",
            "roots",
            "server-certificate",
            "server-id",
            "server-style",
            "signature",
        ],
    ),
    (
        "server_tokens.json",
        &[
            "backup-id-hash",
            "derived-username",
            "external-credentials",
            "identity-fingerprint",
            "issued-receipt-tag",
            "link-device-token",
            "salted-token",
            "svr2-auth-check",
        ],
    ),
    (
        "ssv2.json",
        &[
            "hand-made",
            "hand-made-varint",
            "library-made",
            "malformed",
            "quirk",
            "truncation-sweep",
        ],
    ),
    ("usernames.json", &["hash-only", "link", "proof", "syntax"]),
    ("xeddsa.json", XEDDSA),
    (
        "zk_auth.json",
        &[
            "client-receives",
            "issue",
            "issue-without-pni",
            "presentation",
        ],
    ),
    ("zk_avatars.json", &["issue", "presentation"]),
    (
        "zk_backups.json",
        &["issue", "presentation", "presentation-signature"],
    ),
    (
        "zk_call_links.json",
        &["auth-issue", "create-issue", "create-request-parse"],
    ),
    (
        "zk_donation_permits.json",
        &["default-expiration", "derived-key", "issue", "permit"],
    ),
    (
        "zk_group_send.json",
        &["client-receives", "derived-key", "issue", "token"],
    ),
    ("zk_profile.json", &["client-receives", "issue"]),
    ("zk_receipts.json", &["issue", "presentation"]),
    (
        "zk_server_params.json",
        &[
            "generic-params",
            "notary-signature",
            "server-params",
            "server-params-parse",
        ],
    ),
];

/// All vectors of that file are tested alike, whatever their category.
const XEDDSA: &[&str] = &[];

#[test]
fn every_kind_of_vector_is_tested() {
    for (file, tested) in TESTED.iter().filter(|(_, tested)| *tested != XEDDSA) {
        let (vectors, _) = load(file);
        let kinds: BTreeSet<_> = vectors.iter().map(Part::kind).collect();
        assert_eq!(kinds, tested.iter().copied().collect(), "{file}");
    }
}

#[test]
fn every_file_of_vectors_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> = files.filter(|file| file != "README.md").collect();
    assert_eq!(
        files,
        TESTED.iter().map(|(file, _)| (*file).to_owned()).collect()
    );
}
