//! Subject keys: one a subject, until destroyed.

use events::ids::Aci;
use events::personal::Subject;
use futures::future::join_all;

use super::StoreUnderTest;
use super::events::unique_bytes;

fn new_subject() -> Subject {
    Subject::Account(Aci::from_random(unique_bytes()))
}

/// Whoever comes first makes it, the others get the same.
pub async fn a_subject_has_one_key_however_many_ask_at_once(subject: &impl StoreUnderTest) {
    let keys = subject.keys();
    let one = new_subject();
    let asked = join_all((0..16).map(|_| keys.obtain(one))).await;
    let obtained: Vec<_> = asked
        .into_iter()
        .map(|key| key.expect("obtained"))
        .collect();
    assert!(
        obtained
            .iter()
            .all(|key| key.id == obtained[0].id && key.secret() == obtained[0].secret())
    );
    let other = keys.obtain(new_subject()).await.expect("obtained");
    assert_ne!(other.id, obtained[0].id);
    assert_ne!(other.secret(), obtained[0].secret());
    let found = keys
        .find(&[other.id, obtained[0].id])
        .await
        .expect("readable");
    assert_eq!(found.len(), 2);
    assert_eq!(found[&other.id].secret(), other.secret());
}

/// What it sealed stays sealed.
pub async fn a_destroyed_key_is_gone_and_the_next_one_is_another(subject: &impl StoreUnderTest) {
    let keys = subject.keys();
    let one = new_subject();
    let first = keys.obtain(one).await.expect("obtained");
    assert_eq!(keys.find(&[first.id]).await.expect("readable").len(), 1);
    assert!(keys.destroy(one).await.expect("destroyed"));
    assert!(
        !keys
            .destroy(one)
            .await
            .expect("destroying again does nothing")
    );
    assert_eq!(keys.find(&[first.id]).await.expect("readable").len(), 0);
    let second = keys.obtain(one).await.expect("obtained");
    assert_ne!(first.id, second.id);
    assert_ne!(first.secret(), second.secret());
}
