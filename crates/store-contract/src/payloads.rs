//! Payloads: in with their events, out by slices, gone when erased.

use bytes::Bytes;
use events::payload::Payload;
use events::store::{Append, AppendError, Expected, NewEvent, PayloadSlice};

use super::StoreUnderTest;
use super::events::{append_of, append_one, new_event, new_payload, new_stream, whole};

fn all_of(payload: &Payload) -> PayloadSlice {
    let length = u32::try_from(payload.bytes.len()).expect("test payloads are small");
    PayloadSlice {
        id: payload.id,
        offset: 0,
        length,
    }
}

/// An append of one event that carries `payloads`.
fn carrying(payloads: &[Payload], expected: Expected) -> Append {
    let stream = new_stream();
    let event = NewEvent {
        payloads: payloads.to_vec(),
        ..new_event(&stream)
    };
    Append::one(stream, expected, vec![event])
}

/// From nothing to a megabyte, all values of a byte.
pub async fn payloads_of_every_size_read_back(subject: &impl StoreUnderTest) {
    let sizes = [
        0,
        1,
        2,
        100,
        255,
        256,
        1_999,
        2_000,
        2_048,
        8_192,
        65_536,
        262_144,
        1 << 20,
    ];
    let payloads = sizes.map(new_payload);
    subject
        .store()
        .append(carrying(&payloads, Expected::NoStream))
        .await
        .expect("stored");
    let found = subject
        .payloads()
        .fetch(&payloads.each_ref().map(all_of))
        .await
        .expect("readable");
    let expected: Vec<_> = payloads
        .iter()
        .map(|payload| Some(payload.bytes.clone()))
        .collect();
    assert_eq!(found, expected);
    let mut backwards = payloads.each_ref().map(all_of);
    backwards.reverse();
    let found = subject
        .payloads()
        .fetch(&backwards)
        .await
        .expect("readable");
    assert_eq!(found, expected.into_iter().rev().collect::<Vec<_>>());
}

/// Any part; nothing for a part that is not all there.
pub async fn a_slice_is_read_without_the_rest(subject: &impl StoreUnderTest) {
    let payload = new_payload(10_000);
    subject
        .store()
        .append(carrying(std::slice::from_ref(&payload), Expected::NoStream))
        .await
        .expect("stored");
    let slice = |offset, length| PayloadSlice {
        id: payload.id,
        offset,
        length,
    };
    let slices = [
        slice(0, 1),
        slice(9_999, 1),
        slice(2_000, 3_000),
        slice(10_000, 0),
        slice(9_999, 2),
        slice(20_000, 1),
    ];
    let found = subject.payloads().fetch(&slices).await.expect("readable");
    let part = |range: std::ops::Range<usize>| Some(payload.bytes.slice(range));
    let expected = [
        part(0..1),
        part(9_999..10_000),
        part(2_000..5_000),
        Some(Bytes::new()),
        None,
        None,
    ];
    assert_eq!(found, expected);
}

/// Erasing is for good, and leaves history as it was.
pub async fn an_erased_payload_is_gone_and_its_event_stays(subject: &impl StoreUnderTest) {
    let payloads = [10, 5_000].map(new_payload);
    let append = carrying(&payloads, Expected::NoStream);
    let stream = append.writes[0].stream.clone();
    subject
        .store()
        .append(append.clone())
        .await
        .expect("stored");
    let ids = [payloads[0].id, new_payload(1).id];
    assert_eq!(subject.payloads().erase(&ids).await.expect("erased"), 1);
    assert_eq!(
        subject
            .payloads()
            .erase(&ids)
            .await
            .expect("erasing again does nothing"),
        0
    );
    let found = subject
        .payloads()
        .fetch(&payloads.each_ref().map(all_of))
        .await
        .expect("readable");
    assert_eq!(found, [None, Some(payloads[1].bytes.clone())]);
    assert_eq!(whole(&*subject.store(), &stream).await.len(), 1);
    // A repeat does not bring the bytes back, unless payloads are written on their own, and swept again.
    subject
        .store()
        .append(append)
        .await
        .expect("a repeat succeeds");
    if !subject.is_transactional() {
        return;
    }
    assert_eq!(
        subject
            .payloads()
            .fetch(&[all_of(&payloads[0])])
            .await
            .expect("readable"),
        [None]
    );
}

/// Bytes come with their event or not at all; or are left for a sweep, where they are written on their own.
pub async fn a_refused_append_leaves_no_payload(subject: &impl StoreUnderTest) {
    let payload = new_payload(100);
    let mut append = carrying(std::slice::from_ref(&payload), Expected::NoStream);
    append_one(&*subject.store(), &append.writes[0].stream).await;
    let outcome = subject.store().append(append.clone()).await;
    assert!(
        matches!(outcome, Err(AppendError::WrongRevision { .. })),
        "{outcome:?}"
    );
    let left = (!subject.is_transactional()).then(|| payload.bytes.clone());
    assert_eq!(
        subject
            .payloads()
            .fetch(&[all_of(&payload)])
            .await
            .expect("readable"),
        [left]
    );
    append.writes[0].expected = Expected::Any;
    subject.store().append(append).await.expect("stored");
    let found = subject
        .payloads()
        .fetch(&[all_of(&payload)])
        .await
        .expect("readable");
    assert_eq!(found, [Some(payload.bytes)]);
}

/// For stores that have a limit.
pub async fn an_append_up_to_the_limit_is_stored_and_one_over_it_refused(
    subject: &impl StoreUnderTest,
) {
    let Some((events, bytes)) = subject.limits() else {
        return;
    };
    let store = subject.store();
    let overhead = carrying(&[], Expected::NoStream).size();
    for (over, size) in [(false, bytes - overhead), (true, bytes - overhead + 1)] {
        let payload = new_payload(size);
        let outcome = store
            .append(carrying(std::slice::from_ref(&payload), Expected::NoStream))
            .await;
        assert_eq!(
            matches!(outcome, Err(AppendError::TooLarge { .. })),
            over,
            "{outcome:?}"
        );
        let found = subject
            .payloads()
            .fetch(&[all_of(&payload)])
            .await
            .expect("readable");
        assert_eq!(found, [(!over).then_some(payload.bytes)]);
    }
    for (over, count) in [(false, events), (true, events + 1)] {
        let outcome = store
            .append(append_of(&new_stream(), Expected::NoStream, count))
            .await;
        assert_eq!(
            matches!(outcome, Err(AppendError::TooLarge { .. })),
            over,
            "{outcome:?}"
        );
    }
}
