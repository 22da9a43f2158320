//! The document of the contract: that it is checked in, that it covers what is routed, and that the seed is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::body::Body;
use http::Request;
use projections::MODELS;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::support::Door;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a file with what it is generated from; writes it with `WRITE_DOCS=1`.
fn is_checked_in(path: &str, generated: &str) {
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(root().join(path), generated).unwrap();
    }
    assert!(
        read(path) == generated,
        "{path} is out of date: WRITE_DOCS=1 cargo test --test doors contract"
    );
}

#[test]
fn the_document_and_the_table_are_checked_in() {
    is_checked_in("docs/openapi.json", &api::openapi::json());
    is_checked_in("docs/endpoints.md", &api::openapi::table());
    is_checked_in("docs/rate-limits.md", &api::limits::rates::table());
}

/// What the router routes, from its source: verb and path, with parameters unnamed.
fn routed() -> BTreeSet<(String, String)> {
    let source = read("api/src/http/router.rs");
    let constants: BTreeMap<&str, &str> = source
        .lines()
        .filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("let ")?.split_once(" = \"")?;
            Some((name, value.strip_suffix("\";")?))
        })
        .collect();
    let mut routed = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let (path, handlers) = route.split_once(',').unwrap();
        let path = path.trim();
        let path = path
            .strip_prefix('"')
            .map_or_else(|| constants[path], |path| path.trim_end_matches('"'));
        let end = handlers.find(".route(").unwrap_or(handlers.len());
        for verb in ["get", "head", "put", "post", "patch", "delete"] {
            let call = format!("{verb}(");
            let called = handlers[..end].match_indices(&call).any(|(at, _)| {
                let before = handlers[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            });
            if called {
                routed.insert((verb.to_uppercase(), unnamed(path)));
            }
        }
    }
    routed
}

fn unnamed(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            "{}"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_documented_and_every_document_routed() {
    let documented: BTreeSet<_> = api::openapi::endpoints()
        .iter()
        .map(|endpoint| (endpoint.verb().to_owned(), unnamed(endpoint.path())))
        .collect();
    let routed = routed();
    assert!(routed.len() > 20, "the router's source was understood");
    let missing: Vec<_> = routed.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&routed).collect();
    assert!(
        missing.is_empty(),
        "add rows in api/src/openapi for {missing:?}"
    );
    assert!(invented.is_empty(), "nothing routes {invented:?}");
}

#[tokio::test]
async fn the_doors_beside_the_endpoints_are_there() {
    let door = Door::open().await;
    let doors = door.router.clone().merge(door.objects.router());
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        doors.clone().oneshot(request).await.unwrap().status()
    };
    for (_, path, _) in api::openapi::BESIDE {
        // Nobody takes this method, and only what is not there at all has no opinion of it.
        let path = path.replace(['{', '}'], "");
        assert_ne!(ask("LINK", &path).await, 404, "{path}");
    }
    assert_eq!(ask("LINK", "/v1/elsewhere").await, 404);
}

/// All Rust sources of a folder, with the names that they define and use.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                text += &std::fs::read_to_string(path).unwrap();
                text.push('\0');
            }
        }
    }
    text
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

#[test]
fn the_table_names_commands_and_read_models_that_there_are() {
    let (commands, doors) = (sources("commands/src"), sources("api/src/http"));
    let models: BTreeSet<_> = MODELS.iter().map(|model| model.name()).collect();
    let mut named = BTreeSet::new();
    for endpoint in api::openapi::endpoints() {
        let place = format!("{} {}", endpoint.verb(), endpoint.path());
        for command in endpoint.commands() {
            let definition = format!("const NAME: &'static str = \"{command}\"");
            assert!(
                commands.contains(&definition),
                "{place}: no command {command}"
            );
            assert!(has_word(&doors, command), "{place}: no door runs {command}");
            named.insert(*command);
        }
        for model in endpoint.models() {
            assert!(
                models.contains(model),
                "{place}: no read model {model} of {models:?}"
            );
        }
    }
    // A command that a door runs is in the table. Being seen happens with any request.
    for name in commands.split("const NAME: &'static str = \"").skip(1) {
        let name = name.split('"').next().unwrap();
        if has_word(&doors, name) && name != "MarkSeen" {
            assert!(
                named.contains(name),
                "no row in api/src/openapi names {name}"
            );
        }
    }
}

/// All files of a folder, each without its tests.
fn rules() -> Vec<String> {
    let text = sources("commands/src");
    let files = text.split('\u{0}');
    files
        .map(|file| file.split("#[cfg(test)]").next().unwrap().to_owned())
        .collect()
}

#[test]
fn commands_append_the_events_that_the_table_says() {
    let events = sources("events/src");
    let families = events.split("event_family! {").skip(1);
    let variants = families.flat_map(|family| {
        let family = family.split("\n}").next().unwrap();
        family.lines().filter_map(|line| {
            let (number, rest) = line.trim().split_once(' ')?;
            number.parse::<u16>().ok()?;
            rest.split(' ').next()
        })
    });
    let variants: BTreeSet<&str> = variants.collect();
    assert!(
        variants.len() > 30,
        "the families were understood: {variants:?}"
    );
    let mut found = BTreeMap::new();
    for file in rules() {
        let own: Vec<&str> = variants
            .iter()
            .copied()
            .filter(|event| has_word(&file, event))
            .collect();
        for name in file.split("const NAME: &'static str = \"").skip(1) {
            found.insert(name.split('"').next().unwrap().to_owned(), own.clone());
        }
    }
    for (command, events) in api::openapi::commands::EVENTS {
        let own = found.remove(*command);
        let own = own.unwrap_or_else(|| panic!("there is no command {command}"));
        assert_eq!(own, *events, "api/src/openapi/commands.rs: {command}");
    }
    assert!(
        found.is_empty(),
        "api/src/openapi/commands.rs lacks {found:?}"
    );
}

/// The schema that a document refers to, with everything that is flattened into it.
fn properties(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return properties(document, &document["components"]["schemas"][name]);
    }
    let parts = schema["allOf"].as_array().into_iter().flatten();
    let mut all: BTreeSet<String> = parts.flat_map(|part| properties(document, part)).collect();
    let own = schema["properties"].as_object();
    all.extend(own.into_iter().flat_map(|own| own.keys().cloned()));
    all
}

fn document() -> Value {
    serde_json::from_str(&api::openapi::json()).unwrap()
}

/// Facts of the seed: `operation VERB path id status…` and `schema name property…`, one a line.
pub(crate) const SEED: &str = include_str!("seed.txt");

#[test]
fn every_operation_and_schema_of_the_seed_is_in_the_document() {
    let document = document();
    for line in SEED.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["operation", verb, path, id, statuses @ ..] => {
                let paths = document["paths"].as_object().unwrap();
                let own = paths.iter().find(|(own, _)| unnamed(own) == unnamed(path));
                let (_, item) = own.unwrap_or_else(|| panic!("{path} is missing"));
                let operation = &item[verb.to_lowercase()];
                assert_eq!(operation["operationId"], *id, "{verb} {path}");
                for status in statuses {
                    assert!(
                        operation["responses"].get(status).is_some(),
                        "{verb} {path} misses {status}"
                    );
                }
            }
            ["schema", name, wanted @ ..] => {
                let schema = &document["components"]["schemas"][name];
                assert!(schema.is_object(), "{name} is missing");
                let own = properties(&document, schema);
                for property in wanted {
                    assert!(own.contains(*property), "{name} misses {property}");
                }
            }
            _ => panic!("not a fact: {line}"),
        }
    }
}

#[tokio::test]
async fn the_document_is_served_with_a_page_that_needs_nothing_else() {
    let door = Door::open().await;
    let served = door.client().get("/openapi.json").await.expect(200);
    assert_eq!(served, document());
    assert_eq!(served["openapi"], "3.1.0");
    let page = door.client().get("/docs").await;
    assert_eq!(page.status, 200);
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    for elsewhere in ["http://", "https://", "src=", "@import", "<link"] {
        assert!(!text.contains(elsewhere), "{elsewhere}");
    }
}

/// Where the seed itself is at hand, its facts are those that are checked in.
#[test]
fn the_facts_of_the_seed_are_those_of_the_seed() {
    let shared = std::env::var("HELIOGRAPH_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let seed = root().join(shared).join("contract/seed-openapi.yml");
    let Ok(seed) = std::fs::read_to_string(&seed) else {
        println!("SKIPPED: there is no {}", seed.display());
        return;
    };
    let operations = seed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("operationId: "));
    let operations: BTreeSet<_> = operations.collect();
    let (_, schemas) = seed.split_once("\n  schemas:\n").unwrap();
    let schemas = schemas.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.strip_suffix(':')?;
        (!name.starts_with([' ', '#'])).then_some(name)
    });
    let schemas: BTreeSet<_> = schemas.collect();
    let fact = |kind: &str, word: usize| -> BTreeSet<&str> {
        let lines = SEED.lines().filter(|line| line.starts_with(kind));
        lines
            .map(|line| line.split(' ').nth(word).unwrap())
            .collect()
    };
    assert_eq!(fact("operation", 3), operations);
    assert_eq!(fact("schema", 1), schemas);
}
