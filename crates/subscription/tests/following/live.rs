use events::Family;
use futures::StreamExt as _;

use crate::support::{LONG, Tally, World};

#[tokio::test]
async fn what_is_appended_from_now_on_is_handed_out_once_and_in_order() {
    let mut world = World::new().await;
    world.append(20).await;
    let node = world.node("one", &[Tally::of("tally", &Family::ALL)]);
    let mut live = node.handle.live(&[Family::Mailbox]).await.unwrap();
    world.append(2).await;
    world.append_account(1).await;
    world.append(2).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let facts = tokio::time::timeout(LONG, live.next())
            .await
            .unwrap()
            .unwrap();
        assert!(!facts.is_empty());
        seen.extend(facts.iter().map(|fact| fact.position.0));
    }
    assert_eq!(seen, [21, 22, 24, 25]);
    node.stop().await;
}

#[tokio::test]
async fn one_who_does_not_listen_for_long_still_gets_everything() {
    let mut world = World::new().await;
    let node = world.node("one", &[]);
    let mut live = node.handle.live(&[Family::Mailbox]).await.unwrap();
    for _ in 0..300 {
        world.append(1).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 300 {
        let facts = tokio::time::timeout(LONG, live.next())
            .await
            .unwrap()
            .unwrap();
        seen.extend(facts.iter().map(|fact| fact.position.0));
    }
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
    node.stop().await;
}
