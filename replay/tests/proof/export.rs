//! A log that is written out and read in again is the same log.

use std::process::ExitCode;

use events::{Family, Position, StreamId};
use projections::MODELS;
use replay::ReplayError;
use replay::audit::cli::AuditCommand;
use replay::cli::{Outcome, ReplayCommand};
use replay::rebuild::rebuild;
use replay::verify::verify;
use testkit::history::History;
use testkit::history::samples::{self, Address};

use crate::support::{World, random_history};

#[derive(clap::Parser)]
struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(clap::Parser)]
struct Replay {
    #[command(subcommand)]
    command: ReplayCommand,
}

async fn audit(world: &World, arguments: &[&str]) -> (Outcome, String) {
    let arguments = ["audit"].iter().chain(arguments);
    let parsed = <Audit as clap::Parser>::try_parse_from(arguments).unwrap();
    let mut out = Vec::new();
    let outcome = parsed
        .command
        .run(&world.environment, None, &mut out)
        .await
        .unwrap();
    (outcome, String::from_utf8(out).unwrap())
}

async fn import(world: &World, file: &str) -> Result<String, ReplayError> {
    let parsed = <Replay as clap::Parser>::try_parse_from(["replay", "import", file]).unwrap();
    let mut out = Vec::new();
    parsed.command.run(&world.environment, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

async fn events(world: &World) -> Vec<events::Recorded> {
    let store = &world.environment.store;
    let all = store.read_all(Position::START, &Family::ALL, 10_000).await;
    all.unwrap().events
}

async fn comes_back(format: &str) {
    let original = World::new().await;
    original.append(&random_history(600)).await;
    let workers = original.workers().await;
    workers.stop().await;
    let before = events(&original).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let file = file.to_str().unwrap();
    let whole = [
        "export",
        "--with-secrets",
        "--format",
        format,
        "--out",
        file,
    ];
    let (outcome, _) = audit(&original, &whole).await;
    assert_eq!(ExitCode::from(outcome), ExitCode::SUCCESS);
    assert_eq!(
        events(&original).await.len(),
        before.len() + 1,
        "the export is recorded"
    );

    let copy = World::new().await;
    let said = import(&copy, file).await.unwrap();
    assert!(said.starts_with("imported 600 events"), "{said}");
    assert_eq!(events(&copy).await, before);
    for model in MODELS {
        rebuild(&copy.environment, *model).await.unwrap();
        assert!(verify(&copy.environment, *model).await.unwrap().is_clean());
        assert_eq!(
            copy.rows(*model).await,
            original.rows(*model).await,
            "{model}"
        );
    }
    let again = import(&copy, file).await;
    assert!(matches!(again, Err(ReplayError::NotEmpty(_))));
}

#[tokio::test]
async fn an_import_of_an_export_has_the_same_events_and_every_read_model_byte_for_byte() {
    comes_back("jsonl").await;
}

#[tokio::test]
async fn an_export_as_cloud_events_comes_back_the_same() {
    comes_back("cloudevents").await;
}

#[tokio::test]
async fn what_other_systems_read_as_cloud_events_does_not_change_by_accident() {
    let world = World::new().await;
    let mut history = History::default();
    let phone = Address(1, 1, 1);
    history.message(phone, 2, b"ciphertext");
    history.then(StreamId::mailbox(phone.into()), samples::delivered(&[2]));
    world.append(&history).await;
    let (_, text) = audit(&world, &["export", "--format", "cloudevents"]).await;
    assert_eq!(text, include_str!("cloudevents.jsonl"));
}

#[tokio::test]
async fn a_part_of_a_log_cannot_be_imported_and_nothing_is_left_of_the_attempt() {
    let original = World::new().await;
    original.append(&random_history(50)).await;
    let (_, text) = audit(&original, &["export", "--from", "10"]).await;
    assert_eq!(text.lines().count(), 41);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part");
    for (lines, complaint) in [
        (text.clone(), "position 10, and 1 is due"),
        ("{\"position\": 1}".to_owned(), "neither an event"),
    ] {
        std::fs::write(&file, lines).unwrap();
        let copy = World::new().await;
        let refused = import(&copy, file.to_str().unwrap()).await.unwrap_err();
        assert!(refused.to_string().contains(complaint), "{refused}");
        assert!(events(&copy).await.is_empty());
    }
}

#[tokio::test]
async fn events_are_found_by_what_is_known_of_them() {
    let world = World::new().await;
    world.append(&random_history(200)).await;
    let all = events(&world).await;
    let (_, text) = audit(&world, &["search", "--json", "--event", "MessageQueued"]).await;
    let queued = all
        .iter()
        .filter(|event| event.type_name == "MessageQueued");
    assert_eq!(text.lines().count(), queued.count());
    let (_, text) = audit(&world, &["search", "--json", "--from", "5", "--to", "9"]).await;
    assert_eq!(text.lines().count(), 5);
    let (_, text) = audit(&world, &["search", "--family", "keys", "--json"]).await;
    assert!(text.lines().all(|line| line.contains("\"keys-")), "{text}");
    let request = "00000000-0000-0000-0000-00000000f003";
    let (_, text) = audit(&world, &["search", "--request", request, "--json"]).await;
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("\"position\":4"), "{text}");
    let (_, text) = audit(&world, &["search", "--correlation", request, "--json"]).await;
    assert_eq!(text.lines().count(), 1);
    let (outcome, _) = audit(&world, &["search", "--actor", "operator:eve"]).await;
    assert_eq!(outcome, Outcome::Different);
    let anonymous = audit(&world, &["search", "--actor", "anonymous", "--json"]).await;
    assert_eq!(anonymous.1.lines().count(), 200);
    let line: serde_json::Value =
        serde_json::from_str(anonymous.1.lines().next().unwrap()).unwrap();
    for name in ["actor", "request", "correlation"] {
        assert!(line[name].is_string(), "{line}");
    }
    let account = testkit::history::samples::aci(1).to_string();
    let (_, whole) = audit(&world, &["show", "--account", &account, "--json"]).await;
    let (_, text) = audit(&world, &["search", "--account", &account, "--json"]).await;
    assert_eq!(text, whole);
    let narrow = [
        "show",
        "--account",
        &account,
        "--from",
        "50",
        "--family",
        "mailbox",
        "--json",
    ];
    let (_, text) = audit(&world, &narrow).await;
    let expected = whole.lines().filter(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["position"].as_u64() >= Some(50)
            && line["stream"].as_str().unwrap().starts_with("mailbox-")
    });
    assert!(text.lines().eq(expected) && !text.is_empty(), "{text}");
    // All were stored at the same moment, as the clock stands still.
    let (_, text) = audit(
        &world,
        &[
            "export",
            "--from",
            "2026-01-01T00:00:00Z",
            "--event",
            "MessageQueued",
        ],
    )
    .await;
    let queued = all
        .iter()
        .filter(|event| event.type_name == "MessageQueued");
    assert_eq!(text.lines().count(), queued.count());
    let (_, text) = audit(&world, &["export", "--to", "2025-12-31T23:59:59Z"]).await;
    assert_eq!(text, "");
    let (_, text) = audit(&world, &["search", "--limit", "3", "--json"]).await;
    assert_eq!(text.lines().count(), 3);
}
