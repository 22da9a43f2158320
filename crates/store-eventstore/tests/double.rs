//! The server double, as the official client sees it, in what the adapter does not use. Two faults of that client are
//! pinned here as well, since the adapter is built around them.

#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod support;

use bytes::Bytes;
use eventstore::{
    AppendToStreamOptions, BatchAppendOptions, Client, DeleteStreamOptions, Error, EventData,
    ExpectedRevision, ReadStreamOptions, StreamPosition, SubscribeToStreamOptions,
    TombstoneStreamOptions,
};
use support::{double, numbers};
use testkit::eventstore::Double;
use uuid::Uuid;

fn client(double: &Double) -> Client {
    store_eventstore::install_crypto_provider().unwrap();
    Client::new(double.url().parse().unwrap()).unwrap()
}

fn event(number: u128) -> EventData {
    EventData::binary("NumberReleased", Bytes::new()).id(Uuid::from_u128(number))
}

async fn append(
    client: &Client,
    expected: ExpectedRevision,
    number: u128,
) -> eventstore::Result<u64> {
    let options = AppendToStreamOptions::default().expected_revision(expected);
    let appending = client.append_to_stream(numbers(1).to_string(), &options, event(number));
    appending.await.map(|result| result.next_expected_version)
}

async fn revisions(client: &Client, options: &ReadStreamOptions) -> eventstore::Result<Vec<u64>> {
    let mut reading = client.read_stream(numbers(1).to_string(), options).await?;
    let mut revisions = Vec::new();
    while let Some(event) = reading.next().await? {
        revisions.push(event.get_original_event().revision);
    }
    Ok(revisions)
}

#[tokio::test]
async fn a_session_takes_appends_until_the_first_conflict_ends_it() {
    let (double, memory) = double().await;
    let client = client(&double);
    let session = client
        .batch_append(&BatchAppendOptions::default())
        .await
        .unwrap();
    let name = numbers(1).to_string();
    let append =
        |number| session.append_to_stream(&name, ExpectedRevision::NoStream, vec![event(number)]);
    let stored = append(1).await.unwrap();
    assert_eq!(stored.current_revision(), Some(0));
    assert_eq!(
        append(1).await.unwrap().current_position(),
        stored.current_position()
    );
    assert!(append(2).await.is_err(), "a conflict");
    // The client's fault, not the server's: the session is gone for everybody.
    let other = session.append_to_stream(
        numbers(2).to_string(),
        ExpectedRevision::Any,
        vec![event(3)],
    );
    assert!(matches!(other.await, Err(Error::ServerError(_))));
    assert_eq!(memory.events().len(), 1);
    assert_eq!(double.faults().seen().sessions, 1);
}

#[tokio::test]
async fn a_client_that_cannot_connect_never_recovers() {
    let (double, _) = double().await;
    let client = client(&double);
    double.faults().refuse_connections(true);
    assert!(matches!(
        client.server_info().await,
        Err(Error::GrpcConnectionError(_))
    ));
    double.faults().refuse_connections(false);
    assert!(matches!(
        client.server_info().await,
        Err(Error::ConnectionClosed)
    ));
}

#[tokio::test]
async fn a_stream_must_exist_for_those_who_say_so() {
    let (double, _) = double().await;
    let client = client(&double);
    let missing = append(&client, ExpectedRevision::StreamExists, 1).await;
    assert!(
        matches!(missing, Err(Error::WrongExpectedVersion { .. })),
        "{missing:?}"
    );
    append(&client, ExpectedRevision::NoStream, 1)
        .await
        .unwrap();
    assert_eq!(
        append(&client, ExpectedRevision::StreamExists, 2)
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn a_deleted_stream_begins_again_and_a_tombstoned_one_does_not() {
    let (double, _) = double().await;
    let client = client(&double);
    let (name, all) = (numbers(1).to_string(), ReadStreamOptions::default());
    append(&client, ExpectedRevision::NoStream, 1)
        .await
        .unwrap();
    let wrong = DeleteStreamOptions::default().expected_revision(ExpectedRevision::Exact(7));
    assert!(client.delete_stream(name.clone(), &wrong).await.is_err());
    client
        .delete_stream(name.clone(), &DeleteStreamOptions::default())
        .await
        .unwrap();
    assert!(matches!(
        revisions(&client, &all).await,
        Err(Error::ResourceNotFound)
    ));
    assert_eq!(
        append(&client, ExpectedRevision::NoStream, 2)
            .await
            .unwrap(),
        1
    );
    assert_eq!(revisions(&client, &all).await.unwrap(), [1]);
    client
        .tombstone_stream(name, &TombstoneStreamOptions::default())
        .await
        .unwrap();
    assert!(matches!(
        revisions(&client, &all).await,
        Err(Error::ResourceDeleted)
    ));
    let refused = append(&client, ExpectedRevision::Any, 3).await;
    assert!(
        matches!(refused, Err(Error::ResourceDeleted)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn streams_are_read_in_both_directions_from_anywhere() {
    let (double, _) = double().await;
    let client = client(&double);
    let (options, events) = (AppendToStreamOptions::default(), (0..600).map(event));
    let events: Vec<_> = events.collect();
    client
        .append_to_stream(numbers(1).to_string(), &options, events)
        .await
        .unwrap();
    let from = |position| {
        ReadStreamOptions::default()
            .position(position)
            .max_count(usize::MAX)
    };
    let backwards = |position| from(position).backwards();
    let at = StreamPosition::Position;
    let up = |range: std::ops::Range<u64>| range.collect::<Vec<_>>();
    let down = |range: std::ops::Range<u64>| range.rev().collect::<Vec<_>>();
    assert_eq!(
        revisions(&client, &from(StreamPosition::Start))
            .await
            .unwrap(),
        up(0..600)
    );
    assert_eq!(
        revisions(&client, &from(at(300))).await.unwrap(),
        up(300..600)
    );
    assert_eq!(revisions(&client, &from(at(700))).await.unwrap(), up(0..0));
    assert_eq!(
        revisions(&client, &backwards(StreamPosition::End))
            .await
            .unwrap(),
        down(0..600)
    );
    assert_eq!(
        revisions(&client, &backwards(at(300))).await.unwrap(),
        down(0..301)
    );
    let last = backwards(StreamPosition::End).max_count(1);
    assert_eq!(revisions(&client, &last).await.unwrap(), [599]);
}

#[tokio::test]
async fn one_stream_can_be_followed_from_a_revision() {
    let (double, _) = double().await;
    let client = client(&double);
    for number in 0..5 {
        append(&client, ExpectedRevision::Any, number)
            .await
            .unwrap();
    }
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Position(2));
    let mut subscription = client
        .subscribe_to_stream(numbers(1).to_string(), &options)
        .await;
    for revision in [3, 4] {
        let event = subscription.next().await.unwrap();
        assert_eq!(event.get_original_event().revision, revision);
    }
    append(&client, ExpectedRevision::Any, 5).await.unwrap();
    assert_eq!(
        subscription
            .next()
            .await
            .unwrap()
            .get_original_event()
            .revision,
        5
    );
}

#[tokio::test]
async fn a_name_that_the_store_cannot_keep_is_refused() {
    let (double, _) = double().await;
    let client = client(&double);
    let options = AppendToStreamOptions::default();
    let refused = client
        .append_to_stream("elsewhere", &options, event(1))
        .await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
}
