use clap::Parser;
use events::Position;
use projections::MODELS;
use replay::cli::{AuditCommand, Outcome, ReplayCommand};

use crate::support::{World, random_history};

#[derive(Parser)]
enum Cli {
    #[command(subcommand)]
    Replay(ReplayCommand),
    #[command(subcommand)]
    Audit(AuditCommand),
}

async fn run(world: &World, line: &str) -> (Outcome, String) {
    let mut out = Vec::new();
    let outcome =
        match Cli::try_parse_from(std::iter::once("heliograph").chain(line.split(' '))).unwrap() {
            Cli::Replay(command) => command.run(&world.environment, &mut out).await.unwrap(),
            Cli::Audit(command) => command
                .run(&world.environment, None, &mut out)
                .await
                .unwrap(),
        };
    (outcome, String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn status_tells_where_each_read_model_stands() {
    let world = World::new().await;
    world.append(&random_history(100)).await;
    let (_, new) = run(&world, "replay status").await;
    assert_eq!(new.matches("nobody").count(), MODELS.len(), "{new}");
    assert_eq!(new.matches(" new ").count(), MODELS.len(), "{new}");
    let workers = world.workers().await;
    let (_, running) = run(&world, "replay status").await;
    assert_eq!(running.matches("worker").count(), MODELS.len(), "{running}");
    let (_, json) = run(&world, "replay status --json").await;
    for model in MODELS {
        assert!(json.contains(&format!("\"model\":\"{model}\"")), "{json}");
    }
    assert_eq!(
        json.matches("\"state\":\"running\"").count(),
        MODELS.len(),
        "{json}"
    );
    workers.stop().await;
}

#[tokio::test]
async fn verify_fails_the_command_if_a_row_differs_and_rebuild_mends_it() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    world.workers().await.stop().await;
    let (outcome, said) = run(&world, "replay verify --all").await;
    assert_eq!(
        (outcome, said.matches("clean").count()),
        (Outcome::Fine, MODELS.len()),
        "{said}"
    );
    world
        .execute("UPDATE read_models.inbox_v1 SET urgent = NOT urgent")
        .await;
    let (outcome, said) = run(&world, "replay verify inbox devices").await;
    assert_eq!(outcome, Outcome::Different);
    assert!(
        said.contains("differs in urgent") && said.contains("devices: clean"),
        "{said}"
    );
    let (outcome, said) = run(&world, "replay rebuild inbox").await;
    assert!(
        outcome == Outcome::Fine && said.contains("inbox: rebuilt from"),
        "{said}"
    );
    let (outcome, _) = run(&world, "replay verify inbox").await;
    assert_eq!(outcome, Outcome::Fine);
}

#[test]
fn the_command_line_asks_for_what_it_needs() {
    for wrong in [
        "replay rebuild",
        "replay rebuild nonsense",
        "replay park inbox 3",
        "replay park inbox 0 --reason x",
        "audit show --account 7",
        "replay rebuild inbox --all",
    ] {
        let line = std::iter::once("heliograph").chain(wrong.split(' '));
        assert!(Cli::try_parse_from(line).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn parking_through_the_command_line_is_recorded_and_can_be_taken_back() {
    let world = World::new().await;
    world.append(&random_history(20)).await;
    world.workers().await.stop().await;
    let (outcome, said) = run(&world, "replay park inbox 3 --reason cursed").await;
    assert!(
        outcome == Outcome::Fine && said.contains("recorded at position 21"),
        "{said}"
    );
    let (outcome, said) = run(&world, "replay unpark inbox 3 --reason mended").await;
    assert!(
        outcome == Outcome::Fine && said.contains("recorded at position 22"),
        "{said}"
    );
    let (outcome, _) = run(&world, "replay unpark inbox 3 --reason mended").await;
    assert_eq!(outcome, Outcome::Different);
}

#[tokio::test]
async fn parking_that_is_cut_short_is_in_the_log_and_can_be_repeated() {
    let world = World::new().await;
    world.append(&random_history(20)).await;
    world.workers().await.stop().await;
    let park = || replay::parking::park(&world.environment, "inbox", Position(3), "cursed");
    let ahead = replay::parking::park(&world.environment, "inbox", Position(30), "cursed").await;
    assert!(ahead.is_err(), "it has not come so far");
    assert_eq!(
        world.environment.store.head().await.unwrap(),
        Position(20),
        "what is refused is not recorded"
    );
    // As if it had been killed before the row.
    world
        .execute("ALTER TABLE projection.parked_events ADD CONSTRAINT cut CHECK (position < 0)")
        .await;
    assert!(park().await.is_err());
    let (_, said) = run(&world, "audit search --event EventParked").await;
    assert!(
        said.contains("operator:eve") && said.contains("cursed"),
        "{said}"
    );
    world
        .execute("ALTER TABLE projection.parked_events DROP CONSTRAINT cut")
        .await;
    assert_eq!(park().await.unwrap(), Position(22));
    let (_, said) = run(&world, "replay status --json").await;
    assert!(said.contains("\"parked\":1"), "{said}");
}

#[tokio::test]
async fn reactors_are_parked_like_read_models() {
    let world = World::new().await;
    world.append(&random_history(20)).await;
    world
        .execute("INSERT INTO projection.checkpoints (model, version, position, reactor) VALUES ('erasure', 1, 6, true)")
        .await;
    world
        .execute("INSERT INTO projection.status (model, version, state, node, stopped_at, error) VALUES ('erasure', 1, 'stopped', 'one', 7, 'no')")
        .await;
    let (_, said) = run(&world, "replay status").await;
    assert!(
        said.contains("erasure v1") && said.contains("erasure is stopped at position 7: no"),
        "{said}"
    );
    let (outcome, said) = run(&world, "replay park erasure 7 --reason cursed").await;
    assert!(
        outcome == Outcome::Fine && said.contains("recorded at position 21"),
        "{said}"
    );
    let (_, said) = run(&world, "replay status --json").await;
    let standings: serde_json::Value = serde_json::from_str(&said).unwrap();
    let standings = standings.as_array().unwrap();
    let reactor = standings.iter().find(|it| it["model"] == "erasure");
    assert_eq!(reactor.unwrap()["parked"], 1);
    let (_, said) = run(&world, "audit search --event EventParked").await;
    assert!(
        said.contains("operator:eve") && said.contains("erasure"),
        "{said}"
    );
    let (outcome, said) = run(&world, "replay unpark erasure 7 --reason mended").await;
    assert!(
        outcome == Outcome::Fine && said.contains("does not go back"),
        "{said}"
    );
    let unknown = replay::parking::park(&world.environment, "nobody", Position(7), "x").await;
    let said = unknown.unwrap_err().to_string();
    assert!(said.contains("inbox") && said.contains("erasure"), "{said}");
}
