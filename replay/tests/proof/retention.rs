//! What has moved to the archive is part of the log still: every reader, fold and proof says what it said before.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use events::operator::OperatorEvent;
use events::{AnyEvent, EventStore, Family, Position, ReadError, Recorded, Revision, StreamId};
use futures::StreamExt as _;
use projections::{MODELS, Model};
use proptest::prelude::*;
use replay::ReplayError;
use replay::audit::as_of::{as_of, json};
use replay::audit::search::{Filter, Moment, search};
use replay::audit::tamper::{Proof, check, prove};
use replay::export::{Format, line};
use replay::rebuild::rebuild;
use replay::retention::{self, Moved, Policy, move_through, run};
use replay::verify::verify;
use store_postgres::PgEventStore;
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::History;
use testkit::history::samples::{self, Address};
use testkit::memory::MemoryStore;

use crate::support::{World, random_history};
use crate::tamper::{edit, key, sign};

const DAY: Duration = Duration::from_hours(24);

fn place(folder: &tempfile::TempDir) -> String {
    format!("file://{}", folder.path().display())
}

fn objects(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder.join("mailbox")) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn in_table(world: &World) -> i64 {
    let sql = "SELECT count(*) FROM log.events WHERE family = (SELECT DISTINCT family FROM log.event_types WHERE family_name = 'mailbox')";
    sqlx::query_scalar(sql)
        .fetch_one(&world.database.pool)
        .await
        .unwrap()
}

/// The log as every way of reading it gives it.
#[derive(Debug, PartialEq)]
struct Read {
    whole: Vec<Recorded>,
    pages: Vec<Recorded>,
    scanned: Vec<Recorded>,
    mailboxes: Vec<Recorded>,
    accounts: Vec<Recorded>,
    followed: Vec<Recorded>,
    streams: Vec<Vec<Recorded>>,
}

async fn paged(
    store: &PgEventStore,
    families: &[Family],
    limit: usize,
    through: Position,
) -> Vec<Recorded> {
    let (mut events, mut position) = (Vec::new(), Position::START);
    while position < through {
        let batch = store.read_all(position, families, limit).await.unwrap();
        assert!(batch.events.len() <= limit && batch.through > position);
        events.extend(batch.events);
        position = batch.through;
    }
    events.retain(|event| event.position <= through);
    events
}

/// By a node that remembers nothing.
async fn read(world: &World, through: Position, limit: usize) -> Read {
    let store = world.database.event_store().await;
    let mut scanned = Vec::new();
    let mut batches = store.scan(Position(3), through, &Family::ALL, limit);
    while let Some(batch) = batches.next().await {
        scanned.extend(batch.unwrap().events);
    }
    let mut followed = Vec::new();
    let mut following = store.follow(Position::START, &[Family::Mailbox, Family::Keys]);
    let mut position = Position::START;
    while position < through {
        let batch = following.next().await.unwrap().unwrap();
        position = batch.through;
        followed.extend(batch.events);
    }
    followed.retain(|event| event.position <= through);
    let mut streams = Vec::new();
    for account in 0..3 {
        for (device, generation) in [(1, 0), (2, 1), (3, 2)] {
            let stream = StreamId::mailbox(Address(account, device, generation).into());
            for from in [0, 1, 3] {
                let some = store.read(&stream, Revision(from), limit).await.unwrap();
                let some = some.into_iter().filter(|it| it.position <= through);
                streams.push(some.collect());
            }
        }
    }
    Read {
        whole: paged(&store, &Family::ALL, 10_000, through).await,
        pages: paged(&store, &Family::ALL, limit, through).await,
        mailboxes: paged(&store, &[Family::Mailbox], limit, through).await,
        accounts: paged(&store, &[Family::Account], limit, through).await,
        scanned,
        followed,
        streams,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn wherever_the_horizon_was_every_reader_and_every_fold_gives_the_same(
        choices in prop::collection::vec(any::<u64>(), 20..200),
        more in prop::collection::vec(any::<u64>(), 1..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
        limit in 1_usize..50,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let world = World::new().await;
            let mut history = History::from_choices(&choices);
            world.append(&history).await;
            let head = sign(&world).await;
            world.workers().await.stop().await;
            let before = read(&world, Position(head), limit).await;
            let mut cuts: Vec<u64> = cuts.iter().map(|cut| cut.index(choices.len()) as u64 + 1).collect();
            cuts.sort_unstable();
            for cut in cuts {
                move_through(&world.environment, &place(&folder), Position(cut), Some(&key().public())).await.unwrap();
                prop_assert_eq!(&read(&world, Position(head), limit).await, &before);
            }
            for model in [Model::Inbox, Model::AccountActivity, Model::Devices] {
                prop_assert!(verify(&world.environment, model).await.unwrap().is_clean());
            }
            let checked = check(&world.environment, &key().public(), Vec::new()).await.unwrap();
            prop_assert!(checked.is_clean(), "{:?}", checked.complaints);
            // Streams go on where they were.
            let known = history.facts().len();
            history.random(&more);
            let node = world.database.event_store().await;
            history.append_from(known, &node, &*world.keys).await;
            let whole = paged(&node, &Family::ALL, 1_000, node.head().await.unwrap()).await;
            for fact in &history.facts()[known..] {
                let event = whole.iter().find(|event| event.id == fact.id).unwrap();
                prop_assert_eq!(event.revision, fact.revision, "{}", fact.stream);
            }
            Ok(())
        })?;
    }
}

async fn exported(world: &World, through: Position) -> Vec<String> {
    let mut lines = Vec::new();
    let filter = Filter {
        to: Some(Moment::At(through)),
        ..Filter::default()
    };
    search(&world.environment, &filter, async |batch| {
        for event in &batch.events {
            lines.push(line(event, Format::Jsonl)?);
        }
        Ok(())
    })
    .await
    .unwrap();
    lines
}

#[tokio::test]
async fn read_models_rebuilt_from_the_archive_are_equal_row_by_row_and_all_that_audits_say_stays() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new().await;
    world.append(&random_history(900)).await;
    let head = Position(sign(&world).await);
    world.workers().await.stop().await;
    let public = key().public();
    let mut before = Vec::new();
    for model in MODELS {
        before.push(world.rows(*model).await);
    }
    let lines = exported(&world, head).await;
    let then = as_of(
        &world.environment,
        samples::aci(1),
        Moment::At(Position(400)),
    );
    let then = json(&then.await.unwrap());
    let there = in_table(&world).await;

    let to = place(&folder);
    let moved = move_through(&world.environment, &to, Position(600), Some(&public))
        .await
        .unwrap();
    assert_eq!(moved.segments, 1);
    assert_eq!(
        in_table(&world).await,
        there - i64::try_from(moved.events).unwrap()
    );
    assert!(moved.events > 100, "{moved:?}");
    assert_eq!(objects(folder.path()).len(), 1);

    for (model, before) in MODELS.iter().zip(&before) {
        rebuild(&world.environment, *model).await.unwrap();
        assert!(verify(&world.environment, *model).await.unwrap().is_clean());
        assert_eq!(&world.rows(*model).await, before, "{model}");
    }
    assert_eq!(exported(&world, head).await, lines);
    let now = as_of(
        &world.environment,
        samples::aci(1),
        Moment::At(Position(400)),
    );
    assert_eq!(json(&now.await.unwrap()), then);
    let checked = check(&world.environment, &public, Vec::new())
        .await
        .unwrap();
    assert!(checked.is_clean(), "{:?}", checked.complaints);
    for position in (1..=900).step_by(7) {
        let proof = prove(&world.environment, Position(position)).await.unwrap();
        Proof::Inclusion(Box::new(proof)).verify(&public).unwrap();
    }
    let checked = retention::check(&world.environment, &public).await.unwrap();
    assert_eq!((checked.segments, checked.events), (1, moved.events));
    assert!(checked.complaints.is_empty(), "{:?}", checked.complaints);
}

fn policy(folder: &tempfile::TempDir, days: u32) -> Policy {
    Policy {
        place: place(folder),
        horizon: DAY * days,
    }
}

#[tokio::test]
async fn nothing_moves_that_is_young_or_waits_in_an_inbox_and_the_log_says_what_moved() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new().await;
    let mut history = History::default();
    let account = StreamId::account(samples::aci(1));
    history.then(account, samples::registered(1, 1));
    let (one, two) = (Address(1, 1, 1), Address(1, 1, 1));
    history.message(one, 1, b"delivered");
    history.message(two, 2, b"waits");
    history.then(StreamId::mailbox(one.into()), samples::delivered(&[1]));
    world.append(&history).await;
    sign(&world).await;

    let none = run(&world.environment, &policy(&folder, 30), None).await;
    assert_eq!(none.unwrap(), Moved::default(), "all is young");
    let later = FrozenClock::default();
    later.advance(DAY * 31);
    world.environment.clock = Arc::new(later);
    let none = run(&world.environment, &policy(&folder, 30), None).await;
    assert_eq!(
        none.unwrap(),
        Moved::default(),
        "nobody has read the inboxes"
    );

    world.workers().await.stop().await;
    let first = run(&world.environment, &policy(&folder, 30), None)
        .await
        .unwrap();
    assert_eq!(
        (first.segments, first.events),
        (1, 1),
        "one waits, and what follows it stays"
    );
    let status = retention::status(&world.environment, DAY * 30)
        .await
        .unwrap();
    assert_eq!((status.bounds.inbox, status.in_database), (Position(2), 2));

    let known = history.facts().len();
    history.then(StreamId::mailbox(two.into()), samples::expired(&[2]));
    history
        .append_from(known, &*world.store, &*world.keys)
        .await;
    sign(&world).await;
    world.workers().await.stop().await;
    let second = run(&world.environment, &policy(&folder, 30), None)
        .await
        .unwrap();
    assert_eq!((second.segments, second.events), (1, 3));
    assert_eq!(in_table(&world).await, 0);

    let told = told(&world).await;
    let ends: Vec<_> = told
        .iter()
        .map(|event| (event.after, event.events))
        .collect();
    assert_eq!(ends, [(Position(1), 1), (Position(2), 3)]);
    assert!(
        verify(&world.environment, Model::Inbox)
            .await
            .unwrap()
            .is_clean()
    );
}

/// What the log says has moved.
async fn told(world: &World) -> Vec<events::operator::HistoryArchived> {
    let store = &world.environment.store;
    let batch = store
        .read_all(Position::START, &[Family::Operator], 100)
        .await;
    let events = batch.unwrap().events;
    let told =
        events.iter().filter_map(
            |event| match events::codec::Fact::decode(event).unwrap().event {
                AnyEvent::Operator(OperatorEvent::HistoryArchived(it)) => Some(it),
                _ => None,
            },
        );
    told.collect()
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_and_what_moved_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new().await;
    world.append(&random_history(300)).await;
    sign(&world).await;
    let left = folder.path().join("mailbox/left.jsonl.gz");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::write(&left, "half an object").unwrap();
    sqlx::query("INSERT INTO log.uploads VALUES ($1, 'mailbox/left.jsonl.gz'), ($1, 'mailbox/never.jsonl.gz')")
        .bind(place(&folder))
        .execute(&world.database.pool)
        .await
        .unwrap();
    let moved = move_through(&world.environment, &place(&folder), Position(200), None).await;
    assert_eq!(moved.unwrap().cleared, 1);
    assert!(!left.exists());
    assert_eq!(objects(folder.path()).len(), 1);
    assert_eq!(told(&world).await.len(), 1);
    // As if it had been killed before it could tell, and after.
    world.execute("UPDATE log.segments SET told = false").await;
    let again = move_through(&world.environment, &place(&folder), Position(200), None).await;
    assert_eq!(again.unwrap(), Moved::default());
    assert_eq!(told(&world).await.len(), 1);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM log.uploads")
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_somebody_edited_does_not_move_and_an_edited_object_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new().await;
    world.append(&random_history(400)).await;
    sign(&world).await;
    let public = key().public();
    edit(
        &world,
        "UPDATE log.events SET recorded_at = recorded_at + 1 WHERE position = 150",
    )
    .await;
    let refused = move_through(&world.environment, &place(&folder), Position(200), None).await;
    assert!(
        matches!(refused, Err(ReplayError::NotAsSigned(..))),
        "{refused:?}"
    );
    assert!(objects(folder.path()).is_empty());
    edit(
        &world,
        "UPDATE log.events SET recorded_at = recorded_at - 1 WHERE position = 150",
    )
    .await;
    let (to, other) = (place(&folder), tree::HeadKey::new(&[8; 32]).public());
    let wrong = move_through(&world.environment, &to, Position(200), Some(&other)).await;
    assert!(matches!(wrong, Err(ReplayError::NotAsSigned(..))));
    move_through(
        &world.environment,
        &place(&folder),
        Position(200),
        Some(&public),
    )
    .await
    .unwrap();

    let object = objects(folder.path()).remove(0);
    let bytes = std::fs::read(&object).unwrap();
    std::fs::write(&object, &bytes[..bytes.len() - 1]).unwrap();
    let node = world.database.event_store().await;
    let damaged = node.read_all(Position(100), &Family::ALL, 1_000).await;
    assert!(
        matches!(damaged, Err(ReadError::Damaged { .. })),
        "{damaged:?}"
    );
    let checked = retention::check(&world.environment, &public).await.unwrap();
    assert!(
        checked.complaints[0].contains("digest"),
        "{:?}",
        checked.complaints
    );
    std::fs::remove_file(&object).unwrap();
    let checked = retention::check(&world.environment, &public).await.unwrap();
    assert!(
        checked.complaints[0].contains("is not at"),
        "{:?}",
        checked.complaints
    );
    // What others hold needs no object.
    let accounts = node
        .read_all(Position::START, &[Family::Account], 1_000)
        .await;
    assert!(!accounts.unwrap().events.is_empty());
}

#[tokio::test]
async fn the_database_lets_nothing_go_but_what_a_segment_holds() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new().await;
    world.append(&random_history(300)).await;
    sign(&world).await;
    move_through(&world.environment, &place(&folder), Position(100), None)
        .await
        .unwrap();
    let refused = async |sql: &'static str| {
        let outcome = sqlx::raw_sql(sql).execute(&world.database.pool).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    };
    refused("DELETE FROM log.events WHERE position = 150").await;
    refused("DELETE FROM log.segments").await;
    refused("TRUNCATE log.segment_streams").await;
    // Also not to somebody who registers a segment of something else.
    refused(
        "BEGIN;
         INSERT INTO log.segments VALUES (160, 150, 1, 1, sha256(''), 'x', 'x', '\\x0100'::bytea, 0);
         DELETE FROM log.events WHERE position = 152;
         COMMIT",
    )
    .await;
}

#[tokio::test]
async fn a_log_that_cannot_read_an_archive_says_so() {
    let mut world = World::new().await;
    world.environment.store = Arc::new(MemoryStore::new(
        Arc::new(FrozenClock::default()),
        Arc::new(SeededEntropy::default()),
    ));
    let folder = tempfile::tempdir().unwrap();
    let refused = run(&world.environment, &policy(&folder, 30), None).await;
    assert!(
        matches!(refused, Err(ReplayError::NoArchive)),
        "{refused:?}"
    );
}
