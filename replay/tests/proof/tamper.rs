//! Whoever edits the database by hand is found out, and proofs outlive erasure.

use std::sync::Arc;
use std::time::Duration;

use events::Position;
use events::personal::{Subject, SubjectKeys as _};
use replay::ReplayError;
use replay::audit::tamper::{Proof, check, heads, prove, prove_consistency};
use sqlx::raw_sql;
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::history::samples::{self, Address};
use tree::{HeadKey, Keeper, KeeperOptions};

use crate::support::{World, random_history};

const EVENTS: u64 = 897;

pub(crate) fn key() -> HeadKey {
    HeadKey::new(&[7; 32])
}

pub(crate) async fn sign(world: &World) -> u64 {
    let keeper = Keeper::new(KeeperOptions {
        store: world.store.clone(),
        database: world.database.pool.clone(),
        clock: Arc::new(FrozenClock::default()),
        entropy: Arc::new(SeededEntropy::new(
            world.environment.store.head().await.unwrap().0,
        )),
        key: key(),
        every: Duration::from_secs(1),
    });
    keeper.once().await.unwrap().expect("nobody else keeps it")
}

/// A log of 897 events, and the head over them as the 898th.
async fn signed() -> World {
    let world = World::new().await;
    world.append(&random_history(EVENTS)).await;
    assert_eq!(sign(&world).await, EVENTS);
    world
}

#[tokio::test]
async fn an_untouched_log_is_clean_and_each_event_can_be_proved() {
    let world = signed().await;
    let public = key().public();
    let checked = check(&world.environment, &public, Vec::new())
        .await
        .unwrap();
    assert!(checked.is_clean(), "{:?}", checked.complaints);
    assert_eq!(
        (checked.events, checked.covered, checked.heads),
        (898, 897, 1)
    );
    for position in [1, 2, 255, 256, 257, 512, 768, 769, 896, 897] {
        let proof = prove(&world.environment, Position(position)).await.unwrap();
        let text = serde_json::to_string(&Proof::Inclusion(Box::new(proof))).unwrap();
        let read: Proof = serde_json::from_str(&text).unwrap();
        let shown = read.verify(&public).unwrap();
        assert!(shown.contains(&format!("position {position} ")), "{shown}");
        let wrong = HeadKey::new(&[8; 32]).public();
        assert!(read.verify(&wrong).unwrap_err().contains("not signed"));
        let forged = text.replace("\"path\":[\"", "\"path\":[\"AAAA");
        assert!(
            serde_json::from_str::<Proof>(&forged).map_or(true, |it| it.verify(&public).is_err())
        );
    }
    let uncovered = prove(&world.environment, Position(898)).await;
    assert!(matches!(uncovered, Err(ReplayError::NotCovered(_))));
}

#[tokio::test]
async fn the_log_of_an_older_head_is_proved_to_be_the_beginning_of_a_newer_one() {
    let world = signed().await;
    let public = key().public();
    let mut longer = random_history(EVENTS);
    longer.message(Address(1, 1, 1), 999, b"one more");
    let known = usize::try_from(EVENTS).unwrap();
    longer.append_from(known, &*world.store, &*world.keys).await;
    assert_eq!(sign(&world).await, 899);
    let proof = prove_consistency(&world.environment, 897, 899)
        .await
        .unwrap();
    let mut forged = proof.clone();
    Proof::Consistency(Box::new(proof)).verify(&public).unwrap();
    forged.consistency.swap(0, 1);
    assert!(
        Proof::Consistency(Box::new(forged))
            .verify(&public)
            .is_err()
    );
    let known = heads(&world.environment).await.unwrap();
    let sizes: Vec<_> = known.iter().map(|head| head.size).collect();
    assert_eq!(sizes, [897, 899]);
    // A head alone is no news: heads do not breed heads.
    sign(&world).await;
    let known = heads(&world.environment).await.unwrap();
    assert_eq!(known.len(), 2);
}

/// What a superuser does who wants history to be another.
pub(crate) async fn edit(world: &World, sql: &'static str) {
    let script = format!(
        "ALTER TABLE log.events DISABLE TRIGGER append_only; {sql}; ALTER TABLE log.events ENABLE TRIGGER append_only"
    );
    raw_sql(sqlx::AssertSqlSafe(script))
        .execute(&world.database.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_row_that_was_edited_by_hand_is_named_by_its_position() {
    let world = signed().await;
    let public = key().public();
    edit(
        &world,
        "UPDATE log.events SET metadata = convert_to(replace(convert_from(metadata, 'UTF8'), 'anonymous', 'operator:eve'), 'UTF8')
         WHERE position = 417",
    )
    .await;
    let checked = check(&world.environment, &public, Vec::new())
        .await
        .unwrap();
    assert_eq!(checked.first_different, Some(Position(417)));
    assert!(
        checked.complaints[0].contains("position 417 "),
        "{:?}",
        checked.complaints
    );
    assert!(
        checked.complaints[1].contains("first 897 events"),
        "{:?}",
        checked.complaints
    );
    assert!(matches!(
        prove(&world.environment, Position(417)).await,
        Err(ReplayError::Edited(Position(417)))
    ));
    // Others can be proved still: the signed root has not changed.
    prove(&world.environment, Position(418)).await.unwrap();
}

#[tokio::test]
async fn who_edits_the_tree_as_well_cannot_sign_it_and_who_takes_events_away_leaves_a_hole() {
    let world = signed().await;
    let public = key().public();
    let kept = heads(&world.environment).await.unwrap();
    edit(
        &world,
        "UPDATE log.events SET recorded_at = recorded_at + 1 WHERE position = 800",
    )
    .await;
    raw_sql("DELETE FROM log.tree_tiles")
        .execute(&world.database.pool)
        .await
        .unwrap();
    let checked = check(&world.environment, &public, Vec::new())
        .await
        .unwrap();
    assert_eq!(checked.first_different, None);
    assert!(
        checked.complaints[0].contains("first 897 events"),
        "{:?}",
        checked.complaints
    );

    edit(&world, "DELETE FROM log.events WHERE position > 700").await;
    raw_sql("UPDATE log.head SET position = 700")
        .execute(&world.database.pool)
        .await
        .unwrap();
    let checked = check(&world.environment, &public, Vec::new())
        .await
        .unwrap();
    assert!(
        checked.is_clean(),
        "the log was cut with its heads, and nothing in it tells"
    );
    let checked = check(&world.environment, &public, kept).await.unwrap();
    assert!(
        checked.complaints[0].contains("missing at the end"),
        "{:?}",
        checked.complaints
    );
}

#[tokio::test]
async fn proofs_verify_after_erasure() {
    let world = signed().await;
    let public = key().public();
    for n in 0..3 {
        let subject = Subject::Account(samples::aci(n));
        world.keys.destroy(subject).await.unwrap();
    }
    world.execute("DELETE FROM log.payloads").await;
    world.execute("DELETE FROM log.subject_keys").await;
    let checked = check(&world.environment, &public, Vec::new())
        .await
        .unwrap();
    assert!(checked.is_clean(), "{:?}", checked.complaints);
    for position in 1..=60 {
        let proof = prove(&world.environment, Position(position)).await.unwrap();
        Proof::Inclusion(Box::new(proof)).verify(&public).unwrap();
    }
}
