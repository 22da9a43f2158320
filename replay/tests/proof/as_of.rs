//! What was true then is what a model rebuilt up to then says.

use events::codec::Fact;
use events::mailbox::{MailboxEvent, MessageSource};
use events::{Aci, DeviceId, Family, Pni, Position, StreamId};
use projections::MODELS;
use proptest::prelude::*;
use replay::audit::as_of::{as_of, json};
use replay::audit::search::Moment;
use serde_json::Value;
use subscription::Reader;
use testkit::history::History;
use testkit::history::samples::{self, Address};

use crate::support::World;

/// Each account is registered and has had every device of every generation, so that whatever comes concerns devices that
/// there were.
fn peopled() -> History {
    let mut history = History::default();
    for account in 0..3 {
        let stream = StreamId::account(samples::aci(account));
        history.then(stream.clone(), samples::registered(account, 0));
        for device in 1..4 {
            for generation in 0..4 {
                history.then(stream.clone(), samples::linked(device, generation));
            }
        }
    }
    history
}

/// Everybody writes to everybody, and is reported for it.
fn converse(history: &mut History) {
    for (from, to) in (0..3).flat_map(|from| (0..3).map(move |to| (from, to))) {
        let mailbox = StreamId::mailbox(Address(to, 1, 0).into());
        let (event, _) = samples::message(Address(to, 1, 0), 1_000 + 3 * from + to, b"sent");
        let MailboxEvent::MessageQueued(mut queued) = event else {
            unreachable!("a message is queued");
        };
        queued.content = None;
        queued.source = Some(MessageSource {
            service_id: samples::aci(from).into(),
            device: DeviceId::PRIMARY,
        });
        history.then(mailbox.clone(), MailboxEvent::from(queued));
        history.then(mailbox, samples::reported(1_000 + 3 * from + to, from));
    }
}

fn concerns(row: &Value, account: Aci, [first, second]: [Pni; 2]) -> bool {
    let ids = [account.to_string(), first.to_string(), second.to_string()];
    ["aci", "identity", "pni"].iter().any(|column| {
        row[column]
            .as_str()
            .is_some_and(|id| ids.iter().any(|it| it == id))
    })
}

/// Every row about the account, of models that were folded from the whole log up to `cut`.
async fn rebuilt(
    world: &World,
    cut: Position,
    account: Aci,
    pnis: [Pni; 2],
) -> Vec<(String, Vec<Value>)> {
    let reader = Reader::new(world.store.clone(), world.keys.clone());
    let stretch = reader
        .read(
            Position::START,
            &Family::ALL,
            usize::try_from(cut.0).unwrap(),
        )
        .await
        .unwrap();
    let mut tables = Vec::new();
    for model in MODELS {
        let projection = model.projection();
        let facts: Vec<&Fact> = stretch
            .facts
            .iter()
            .map(AsRef::as_ref)
            .filter(|fact| projection.families().contains(&fact.stream.family()))
            .collect();
        let mut transaction = world.database.pool.begin().await.unwrap();
        sqlx::query("SET LOCAL search_path = read_models")
            .execute(&mut *transaction)
            .await
            .unwrap();
        projection.apply(&mut transaction, &facts).await.unwrap();
        for table in projection.tables() {
            let sql = format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1");
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut *transaction)
                .await
                .unwrap();
            let rows = rows.iter().map(|row| serde_json::from_str(row).unwrap());
            let rows = rows.filter(|row| concerns(row, account, pnis)).collect();
            tables.push(((*table).to_owned(), rows));
        }
        transaction.rollback().await.unwrap();
    }
    tables
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn an_account_as_of_a_position_is_what_a_rebuild_up_to_it_says(
        choices in prop::collection::vec(any::<u64>(), 1..80),
        cut: prop::sample::Index,
        account in 0_u32..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let mut history = peopled();
            let (some, others) = choices.split_at(choices.len() / 2);
            history.random(some);
            converse(&mut history);
            history.random(others);
            world.append(&history).await;
            let cut = Position(cut.index(history.facts().len()) as u64 + 1);
            let aci = samples::aci(account);
            let pnis = [samples::pni(account), samples::second_number(account).1];
            let answer = as_of(&world.environment, aci, Moment::At(cut)).await.unwrap();
            prop_assert_eq!(answer.position, cut);
            let expected = rebuilt(&world, cut, aci, pnis).await;
            let found: Vec<_> = answer
                .tables
                .iter()
                .map(|(table, rows)| {
                    let rows = rows.iter().filter(|row| concerns(row, aci, pnis));
                    ((*table).to_owned(), rows.cloned().collect::<Vec<_>>())
                })
                .collect();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_time_means_everything_that_was_stored_by_then_and_secrets_are_not_shown() {
    let world = World::new().await;
    world.append(&peopled()).await;
    let aci = samples::aci(1);
    let stored: i64 = sqlx::query_scalar("SELECT max(recorded_at) FROM log.events")
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    let all = u64::try_from(stored).unwrap();
    let all = Moment::When(events::Timestamp::from_epoch_millis(all).unwrap());
    let now = as_of(&world.environment, aci, all).await.unwrap();
    assert_eq!(now.position, peopled().head());
    let long_ago: Moment = "2000-01-01T00:00:00Z".parse().unwrap();
    let then = as_of(&world.environment, aci, long_ago).await.unwrap();
    assert_eq!(then.position, Position::START);
    assert!(then.tables.iter().all(|(_, rows)| rows.is_empty()));
    let shown = json(&now).to_string();
    let secret = samples::new_device(1, 1).credential;
    for secret in [&*secret.hash, &*secret.salt, "push-1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("+14155550101"), "{shown}");
    assert!("yesterday".parse::<Moment>().is_err());
}
