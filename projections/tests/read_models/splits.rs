//! However the log is cut into batches, and whether or not a batch comes twice: the rows are the same.

use events::codec::Fact;
use projections::{MODELS, Model};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::{Connection as _, PgConnection};
use testkit::history::{History, samples};

use crate::support::{World, apply, rows};

/// The rows after batches of these lengths (the last takes the rest), each `times` over.
async fn rows_after(
    connection: &mut PgConnection,
    model: Model,
    facts: &[Fact],
    lengths: &[usize],
    times: usize,
) -> Vec<String> {
    let mut transaction = connection.begin().await.unwrap();
    let mut rest = facts;
    for length in lengths.iter().copied().chain([usize::MAX]) {
        let (batch, later) = rest.split_at(length.min(rest.len()));
        for _ in 0..times {
            apply(&mut transaction, model, batch).await;
        }
        rest = later;
    }
    let rows = rows(&mut transaction, model).await;
    transaction.rollback().await.unwrap();
    rows
}

fn splits_do_not_matter(model: Model) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_world, connection) = runtime.block_on(async {
        let world = World::new().await;
        let connection = world.connection().await;
        (world, tokio::sync::Mutex::new(connection))
    });
    let histories = (
        proptest::collection::vec(any::<u64>(), 0..120),
        proptest::collection::vec(1..30_usize, 0..20),
    );
    let config = Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&histories, |(choices, lengths)| {
        let history = History::from_choices(&choices);
        runtime.block_on(async {
            let mut connection = connection.lock().await;
            let whole = rows_after(&mut connection, model, history.facts(), &[], 1).await;
            let cut = rows_after(&mut connection, model, history.facts(), &lengths, 2).await;
            let single = vec![1; history.facts().len()];
            let single = rows_after(&mut connection, model, history.facts(), &single, 1).await;
            prop_assert_eq!(&whole, &cut, "cut at {:?}, each batch twice", lengths);
            prop_assert_eq!(&whole, &single, "event by event");
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{model}: {failure}");
    }
}

/// Each on a thread of its own.
#[test]
fn no_read_model_depends_on_batches() {
    std::thread::scope(|scope| {
        for model in MODELS {
            scope.spawn(|| splits_do_not_matter(*model));
        }
    });
}

/// A random history that leaves no rows would prove nothing.
#[tokio::test]
async fn random_histories_fill_every_read_model() {
    let world = World::new().await;
    let choices: Vec<u64> = (0..400_u64)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3)
        .collect();
    let history = History::from_choices(&choices);
    let mut connection = world.connection().await;
    for model in MODELS {
        apply(&mut connection, *model, history.facts()).await;
        assert!(rows(&mut connection, *model).await.len() > 1, "{model}");
    }
}

/// Everything that could name the deleted account, its number or its messages.
#[tokio::test]
async fn deletion_leaves_no_row_of_an_account_in_any_read_model() {
    let choices: Vec<u64> = (0..600_u64)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 5)
        .collect();
    let mut history = History::from_choices(&choices);
    history.then(
        events::StreamId::account(samples::aci(1)),
        samples::deleted(1),
    );
    let world = World::new().await;
    let mut connection = world.connection().await;
    for model in MODELS {
        apply(&mut connection, *model, history.facts()).await;
        let rows = rows(&mut connection, *model).await;
        assert!(!rows.is_empty(), "{model}: other accounts have rows");
        for row in rows {
            for trace in [
                samples::aci(1).to_string(),
                samples::pni(1).to_string(),
                samples::number(1).as_str().to_owned(),
            ] {
                assert!(!row.contains(&trace), "{model}: {row} still names {trace}");
            }
        }
    }
}
