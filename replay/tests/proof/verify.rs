use events::StreamId;
use locks::Task;
use projections::{MODELS, Model};
use replay::verify::verify;
use replay::{Kind, ReplayError};
use testkit::history::samples;

use crate::support::{World, random_history};

#[tokio::test]
async fn read_models_that_follow_from_the_log_are_clean() {
    let world = World::new().await;
    let mut history = random_history(800);
    for account in 1..=2 {
        let stream = StreamId::account(samples::aci(account));
        history.then(stream, samples::registered(account, 9));
    }
    world.append(&history).await;
    let workers = world.workers().await;
    for model in MODELS {
        let verified = verify(&world.environment, *model).await.unwrap();
        assert!(verified.is_clean(), "{verified:?}");
        assert!(verified.rows > 1, "{model}");
    }
    assert!(world.residue().await.is_empty());
    workers.stop().await;
}

#[tokio::test]
async fn a_row_that_was_edited_added_or_removed_by_hand_is_found() {
    let world = World::new().await;
    world.append(&random_history(800)).await;
    world.workers().await.stop().await;
    let tamper = "UPDATE read_models.inbox_v1 SET urgent = NOT urgent, guid = gen_random_uuid()
                  WHERE position = (SELECT min(position) FROM read_models.inbox_v1)";
    assert_eq!(world.execute(tamper).await, 1);
    let verified = verify(&world.environment, Model::Inbox).await.unwrap();
    assert_eq!(verified.different, 1);
    assert_eq!(
        verified.first[0].kind,
        Kind::Columns(vec!["guid".to_owned(), "urgent".to_owned()])
    );

    let remove = "DELETE FROM read_models.devices_v1 WHERE ctid = (SELECT min(ctid) FROM read_models.devices_v1)";
    assert_eq!(world.execute(remove).await, 1);
    let verified = verify(&world.environment, Model::Devices).await.unwrap();
    assert_eq!(
        (verified.different, &verified.first[0].kind),
        (1, &Kind::Missing)
    );

    let add = "INSERT INTO read_models.pre_keys_v1 VALUES (gen_random_uuid(), 1, 0, 1, 0, 0, 0, 0)";
    assert_eq!(world.execute(add).await, 1);
    let verified = verify(&world.environment, Model::PreKeys).await.unwrap();
    assert_eq!(
        (verified.different, &verified.first[0].kind),
        (1, &Kind::Extra)
    );
    assert!(world.residue().await.is_empty());
}

#[tokio::test]
async fn differences_do_not_show_personal_values() {
    let world = World::new().await;
    world.append(&random_history(300)).await;
    world.workers().await.stop().await;
    assert!(
        world
            .execute("UPDATE read_models.accounts_v1 SET number = '+14155550123'")
            .await
            > 0
    );
    let verified = verify(&world.environment, Model::Accounts).await.unwrap();
    assert!(verified.different > 0);
    for difference in verified.first {
        assert!(difference.to_string().contains("number"), "{difference}");
        assert!(!difference.to_string().contains("1415555"), "{difference}");
    }
}

#[tokio::test]
async fn two_cannot_verify_the_same_read_model_at_once() {
    let world = World::new().await;
    world.append(&random_history(50)).await;
    world.workers().await.stop().await;
    let mut lock = world.database.pool.acquire().await.unwrap();
    let copies = Task::Copy("verify_inbox_v1");
    assert!(locks::try_take(&mut lock, copies).await.unwrap());
    let refused = verify(&world.environment, Model::Inbox).await;
    assert!(matches!(refused, Err(ReplayError::Busy(_))), "{refused:?}");
}
