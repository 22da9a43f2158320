use events::mailbox::{MailboxEvent, Share};
use events::{Position, StreamId};
use projections::Model;
use projections::inbox::{Content, InboxCursor, InboxPage, PageLimits};
use testkit::history::History;
use testkit::history::samples::{self, Address};

use crate::support::World;

const TO: Address = Address(1, 1, 1);
const PLENTY: PageLimits = PageLimits {
    rows: 100,
    bytes: 1 << 20,
};

fn mailbox(to: Address) -> StreamId {
    StreamId::mailbox(to.into())
}

async fn apply(world: &World, history: &History) {
    world.apply(Model::Inbox, history).await;
}

fn guids(page: &InboxPage) -> Vec<events::MessageGuid> {
    page.messages
        .iter()
        .map(|message| message.entry.guid)
        .collect()
}

#[tokio::test]
async fn messages_wait_in_the_order_of_acceptance_with_all_that_was_said_of_them() {
    let world = World::new().await;
    let mut history = History::default();
    for n in [14, 3, 9] {
        history.message(TO, n, b"hello");
    }
    history.message(Address(2, 1, 1), 4, b"for another");
    apply(&world, &history).await;
    let page = world
        .queries
        .inbox()
        .page(TO.into(), None, PLENTY)
        .await
        .unwrap();
    assert_eq!(guids(&page), [14, 3, 9].map(samples::guid));
    assert!(!page.more);
    assert_eq!(page.reached(), Some(InboxCursor(Position(3))));
    let first = &page.messages[0];
    let (queued, payload) = samples::message(TO, 14, b"hello");
    assert_eq!(first.content, Some(Content::of(payload.reference())));
    assert_eq!(first.share, None);
    let events::mailbox::MailboxEvent::MessageQueued(queued) = queued else {
        unreachable!()
    };
    assert_eq!(first.entry.kind, queued.kind);
    assert_eq!(first.entry.client_timestamp, queued.client_timestamp);
    assert_eq!(first.entry.server_timestamp, history.facts()[0].metadata.at);
    assert_eq!(first.entry.source, queued.source);
    assert_eq!(first.entry.destination, queued.destination);
    assert_eq!(first.entry.urgent, queued.urgent);
    assert_eq!(first.entry.story, queued.story);
    assert_eq!(first.entry.updated_pni, queued.updated_pni);
    let by_guid = world
        .queries
        .inbox()
        .by_guid(TO.into(), samples::guid(14))
        .await
        .unwrap();
    assert_eq!(by_guid.as_ref(), Some(&first.entry));
    assert_eq!(
        world
            .queries
            .inbox()
            .by_guid(TO.into(), samples::guid(4))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn pages_are_bounded_in_rows_and_in_bytes_and_continue_at_the_cursor() {
    let world = World::new().await;
    let mut history = History::default();
    let content = [7_u8; 100];
    for n in 0..10 {
        history.message(TO, n, &content);
    }
    apply(&world, &history).await;
    let inbox = world.queries.inbox();
    let page = async |after, rows, bytes| {
        inbox
            .page(TO.into(), after, PageLimits { rows, bytes })
            .await
            .unwrap()
    };
    let by_rows = page(None, 4, 1 << 20).await;
    assert_eq!((by_rows.messages.len(), by_rows.more), (4, true));
    let by_bytes = page(by_rows.reached(), 100, 250).await;
    assert_eq!(guids(&by_bytes), [4, 5].map(samples::guid));
    assert!(by_bytes.more);
    let one_at_least = page(by_bytes.reached(), 100, 1).await;
    assert_eq!(guids(&one_at_least), [samples::guid(6)]);
    let rest = page(one_at_least.reached(), 3, 300).await;
    assert_eq!((rest.messages.len(), rest.more), (3, false));
    let end = page(rest.reached(), 3, 300).await;
    assert_eq!(
        (end.messages.len(), end.reached(), end.more),
        (0, None, false)
    );
}

#[tokio::test]
async fn acknowledged_and_expired_messages_are_gone_from_their_own_mailbox_only() {
    let world = World::new().await;
    let other = Address(1, 2, 2);
    let mut history = History::default();
    for n in 1..=4 {
        history.message(TO, n, b"hello");
        history.message(other, n, b"hello");
    }
    history.then(mailbox(TO), samples::delivered(&[1, 3]));
    history.then(mailbox(TO), samples::expired(&[2, 77]));
    apply(&world, &history).await;
    let inbox = world.queries.inbox();
    assert_eq!(inbox.count(TO.into()).await.unwrap(), 1);
    assert_eq!(inbox.count(other.into()).await.unwrap(), 4);
    assert!(inbox.has_any(TO.into()).await.unwrap());
    assert_eq!(
        inbox.newest(TO.into()).await.unwrap(),
        Some(InboxCursor(Position(7)))
    );
    assert_eq!(inbox.newest(Address(3, 1, 1).into()).await.unwrap(), None);
    assert!(!inbox.has_any(Address(3, 1, 1).into()).await.unwrap());
}

#[tokio::test]
async fn what_waits_goes_with_its_device() {
    let world = World::new().await;
    let account = StreamId::account(samples::aci(1));
    let mut history = History::default();
    for (n, to) in [
        (1, Address(1, 1, 1)),
        (2, Address(1, 2, 2)),
        (3, Address(1, 2, 3)),
        (4, Address(1, 1, 4)),
    ] {
        history.message(to, n, b"hello");
    }
    let inbox = world.queries.inbox();
    let waiting = async |history: &History| {
        apply(&world, history).await;
        let mut counts = Vec::new();
        for to in [
            Address(1, 1, 1),
            Address(1, 2, 2),
            Address(1, 2, 3),
            Address(1, 1, 4),
        ] {
            counts.push(inbox.count(to.into()).await.unwrap());
        }
        counts
    };
    history.then(account.clone(), samples::removed(2, 2));
    assert_eq!(waiting(&history).await, [1, 0, 1, 1]);
    history.then(account.clone(), samples::reregistered(1, 4));
    assert_eq!(waiting(&history).await, [0, 0, 0, 1]);
    history.then(account, samples::deleted(1));
    assert_eq!(waiting(&history).await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_share_in_a_message_to_many_says_which_parts_are_the_devices() {
    let world = World::new().await;
    let body: Vec<u8> = (0..=199).collect();
    let (MailboxEvent::MessageQueued(mut queued), payload) = samples::message(TO, 1, &body) else {
        unreachable!("it was queued")
    };
    queued.share = Some(Share {
        key_material: 20,
        common: 150,
    });
    let mut history = History::default();
    history.then(mailbox(TO), MailboxEvent::from(queued.clone()));
    world.apply(Model::Inbox, &history).await;
    let inbox = world.queries.inbox();
    let page = inbox.page(TO.into(), None, PLENTY).await.unwrap();
    let message = &page.messages[0];
    assert_eq!(
        (message.content, message.share),
        (Some(Content::of(payload.reference())), queued.share)
    );
    let at = history.facts()[0].metadata.at;
    assert!(inbox.has_from_before(TO.into(), at).await.unwrap());
    let earlier = events::Timestamp::from_epoch_millis(at.epoch_millis() - 1).unwrap();
    assert!(!inbox.has_from_before(TO.into(), earlier).await.unwrap());
}
