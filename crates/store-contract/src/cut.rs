//! Appends over several streams, cut short by the death of the writer.

use events::store::{Append, AppendError, Expected};

use super::StoreUnderTest;
use super::events::{append_one, new_stream, whole, write};

/// A prefix of the streams is written, each whole or not at all; the same append again writes the rest and answers as if
/// nothing had happened. For stores that write stream after stream.
pub async fn an_append_that_was_cut_short_is_a_prefix_and_its_repeat_completes_it(
    subject: &impl StoreUnderTest,
) {
    let store = subject.store();
    for cut in 0..=3 {
        if !subject.cut_after(cut) {
            return;
        }
        let streams = [new_stream(), new_stream(), new_stream()];
        let append = Append::to(
            streams
                .iter()
                .map(|stream| write(stream, Expected::NoStream, 2))
                .collect(),
        );
        let outcome = store.append(append.clone()).await;
        assert!(
            matches!(outcome, Err(AppendError::Unavailable(_))),
            "{outcome:?}"
        );
        for (number, stream) in streams.iter().enumerate() {
            let expected = if number < cut { 2 } else { 0 };
            assert_eq!(whole(&*store, stream).await.len(), expected);
        }
        // Others go on meanwhile.
        append_one(&*store, &new_stream()).await;
        let appended = store
            .append(append.clone())
            .await
            .expect("the repeat completes it");
        assert_eq!(appended.revisions.len(), 3);
        let again = store.append(append).await.expect("a repeat succeeds");
        assert!(again.repeated);
        assert_eq!(again.revisions, appended.revisions);
        for stream in &streams {
            assert_eq!(whole(&*store, stream).await.len(), 2);
        }
    }
}
