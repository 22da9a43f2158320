//! What a model says that it does not need has no part in its rows.

use events::codec::Fact;
use events::personal::SubjectKey;
use events::{DeviceId, Family, Generation, StreamId};
use projections::MODELS;
use sqlx::{Connection as _, PgConnection};
use subscription::Need;
use testkit::environment::SeededEntropy;
use testkit::history::History;
use testkit::history::samples::{self, Address};

use crate::every_kind;
use crate::support::{World, apply, rows};

/// Whose streams they are in.
const WHO: u32 = 90;

fn stream(family: Family) -> StreamId {
    let (aci, address) = (samples::aci(WHO), Address(WHO, 1, 1));
    match family {
        Family::Account => StreamId::account(aci),
        Family::Mailbox => StreamId::mailbox(address.into()),
        Family::Keys => StreamId::keys(aci.into(), DeviceId::PRIMARY, Generation(1)),
        Family::Profile => StreamId::profile(aci),
        Family::Verification => StreamId::verification(samples::session(WHO)),
        other => panic!("no read model follows {other}"),
    }
}

/// The same without its personal values.
fn without_personal_values(mut fact: Fact) -> Fact {
    let key = SubjectKey::generate(&SeededEntropy::default());
    fact.event.visit_personal(&mut |field| {
        field.seal(&key, &SeededEntropy::default());
        field.give_up();
    });
    fact
}

async fn rows_after(
    connection: &mut PgConnection,
    model: projections::Model,
    facts: &[Fact],
) -> Vec<String> {
    let mut transaction = connection.begin().await.unwrap();
    apply(&mut transaction, model, facts).await;
    let rows = rows(&mut transaction, model).await;
    transaction.rollback().await.unwrap();
    rows
}

/// An account with a device and a message that waits.
fn before() -> History {
    let mut history = History::default();
    history.then(stream(Family::Account), samples::registered(WHO, 1));
    let (message, _) = samples::message(Address(WHO, 1, 1), 1, b"hello");
    history.then(stream(Family::Mailbox), message);
    history
}

#[tokio::test]
async fn what_a_model_does_not_need_changes_none_of_its_rows() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    for model in MODELS {
        let projection = model.projection();
        let (mut spared, mut sealed) = (0, 0);
        for (family, event) in every_kind::all() {
            if !projection.families().contains(&family) {
                continue;
            }
            let (need, kind) = (
                projection.needs(family, event.type_name()),
                event.type_name(),
            );
            let mut history = before();
            history.then(stream(family), event);
            let (last, earlier) = history.facts().split_last().unwrap();
            let as_needed = match need {
                Need::Nothing => earlier.to_vec(),
                Need::Sealed => [earlier, &[without_personal_values(last.clone())]].concat(),
                Need::Clear => continue,
            };
            spared += usize::from(need == Need::Nothing);
            sealed += usize::from(need == Need::Sealed);
            let rows = rows_after(&mut connection, *model, history.facts()).await;
            let fewer = rows_after(&mut connection, *model, &as_needed).await;
            assert_eq!(rows, fewer, "{model} needs more of {kind} than it says");
        }
        assert!(spared + sealed > 0, "{model}");
    }
}
