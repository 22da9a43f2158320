//! Keeps the directions between crates that `docs` promises: what each may name, and what it must never name.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Of our crates, what each may depend on. Tests and benchmarks may use `testkit` besides.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("crypto", &["events"]),
    ("commands", &["events", "crypto"]),
    ("live", &["events", "locks"]),
    ("locks", &[]),
    ("loadgen", &["api", "crypto", "events"]),
    ("store-contract", &["events"]),
    ("store-eventstore", &["events"]),
    ("archive", &["events", "tree"]),
    ("store-postgres", &["archive", "events"]),
    ("subscription", &["events", "locks"]),
    ("projections", &["events", "subscription"]),
    ("api", &["events", "commands", "projections", "crypto"]),
    ("objects", &["api", "crypto", "events"]),
    ("doors-postgres", &["api", "events"]),
    (
        "replay",
        &[
            "archive",
            "events",
            "locks",
            "projections",
            "subscription",
            "store-postgres",
            "tree",
        ],
    ),
    (
        "reactors",
        &[
            "commands",
            "events",
            "live",
            "locks",
            "projections",
            "subscription",
        ],
    ),
    ("testkit", &["events", "store-contract", "store-postgres"]),
    ("tree", &["events", "locks"]),
    (
        "server",
        &[
            "api",
            "commands",
            "crypto",
            "doors-postgres",
            "events",
            "live",
            "objects",
            "projections",
            "reactors",
            "replay",
            "store-contract",
            "store-eventstore",
            "store-postgres",
            "subscription",
            "tree",
        ],
    ),
];

/// Of other people's crates, what each of ours must not depend on, because it would make the layer leak.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    ("events", &["tokio", "sqlx", "axum", "tonic"]),
    ("crypto", &["tokio", "sqlx", "axum", "chrono"]),
    ("commands", &["sqlx", "axum", "tonic"]),
    ("projections", &["axum", "tonic", "reqwest"]),
    ("subscription", &["axum", "tonic", "reqwest"]),
    ("api", &["sqlx", "object_store"]),
    ("objects", &["sqlx", "reqwest"]),
    ("replay", &["axum", "tonic", "reqwest"]),
    ("reactors", &["axum", "tonic"]),
];

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(MANIFEST)
        .no_deps()
        .exec()
        .expect("cargo metadata runs in the workspace")
}

/// What each crate names outside of its tests and benchmarks.
fn dependencies(
    metadata: &Metadata,
    kinds: &[DependencyKind],
) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata.packages.iter();
    packages
        .map(|package| {
            let named = package
                .dependencies
                .iter()
                .filter(|d| kinds.contains(&d.kind))
                .map(|d| d.name.clone());
            (package.name.to_string(), named.collect())
        })
        .collect()
}

#[test]
fn every_crate_names_only_what_its_layer_allows() {
    let metadata = metadata();
    let ours: BTreeSet<_> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let allowed: BTreeMap<_, _> = MAY_NAME.iter().copied().collect();
    for (name, dependencies) in
        dependencies(&metadata, &[DependencyKind::Normal, DependencyKind::Build])
    {
        let allowed = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("crate {name} has no row in MAY_NAME"));
        for dependency in dependencies.intersection(&ours) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn no_layer_reaches_for_what_belongs_to_another() {
    let dependencies = dependencies(
        &metadata(),
        &[DependencyKind::Normal, DependencyKind::Build],
    );
    for (name, forbidden) in MUST_NOT_NAME {
        for foreign in *forbidden {
            assert!(
                !dependencies[*name].contains(*foreign),
                "{name} must not depend on {foreign}"
            );
        }
    }
}

#[test]
fn the_test_kit_stays_out_of_what_ships() {
    for (name, dependencies) in dependencies(&metadata(), &[DependencyKind::Normal]) {
        assert!(
            !dependencies.contains("testkit"),
            "{name} names testkit outside of dev-dependencies"
        );
    }
}

#[test]
fn every_crate_has_a_front_page_and_the_licence() {
    for package in metadata().packages {
        let readme = package.manifest_path.with_file_name("README.md");
        assert!(readme.exists(), "{} has no README.md", package.name);
        assert_eq!(
            package.license.as_deref(),
            Some("MIT OR Apache-2.0"),
            "{}",
            package.name
        );
    }
}

/// What `deny.toml` allows, without `cargo deny`, so that the one test command says it, too.
#[test]
fn every_dependency_has_a_licence_that_may_enter_the_tree() {
    let rules: toml::Table = include_str!("../../../deny.toml")
        .parse()
        .expect("deny.toml is TOML");
    let allowed: BTreeSet<_> = rules["licenses"]["allow"]
        .as_array()
        .expect("licenses.allow is a list")
        .iter()
        .map(|name| name.as_str().expect("of names"))
        .collect();
    let everything = MetadataCommand::new()
        .manifest_path(MANIFEST)
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata runs in the workspace");
    assert!(everything.packages.len() > 100);
    for package in everything.packages {
        let (name, licence) = (&package.name, package.license.unwrap_or_default());
        let expression = spdx::Expression::parse_mode(&licence, spdx::ParseMode::LAX)
            .unwrap_or_else(|e| panic!("{name} has no licence that can be read, {licence:?}: {e}"));
        assert!(
            expression.evaluate(|asked| allowed.contains(asked.to_string().as_str())),
            "{name} is under {licence}, which deny.toml does not allow"
        );
    }
}
