#![doc = include_str!("../README.md")]

pub mod cut;
pub mod events;
pub mod following;
pub mod idempotency;
pub mod keys;
pub mod payloads;
pub mod revisions;

mod check;

pub use check::{Checked, check_all};

use std::sync::Arc;

use ::events::personal::SubjectKeys;
use ::events::store::{EventStore, PayloadStore};

/// A store that can be put to the test.
pub trait StoreUnderTest: Send + Sync + Sized + 'static {
    /// The log.
    fn store(&self) -> Arc<dyn EventStore>;

    /// The payloads beside it.
    fn payloads(&self) -> Arc<dyn PayloadStore>;

    /// The keys beside it.
    fn keys(&self) -> Arc<dyn SubjectKeys>;

    /// The most events and bytes that one append may have, if there is a limit.
    fn limits(&self) -> Option<(usize, usize)> {
        None
    }

    /// Whether the streams of an append and its payloads are written in one transaction. Another store writes one after
    /// the other, payloads first, and leaves those behind if the append is then refused.
    fn is_transactional(&self) -> bool {
        true
    }

    /// Whether the id of an event is known again wherever it stands. Another store looks for it only where a repeat
    /// would have put it.
    fn knows_ids_everywhere(&self) -> bool {
        true
    }

    /// Whether nobody but the test writes to the log, so that it is empty in the beginning.
    fn has_a_log_of_its_own(&self) -> bool {
        true
    }

    /// Makes the next append end after some of its streams, as if the writer had died there. `false` from a store that
    /// writes several streams in one transaction, and so cannot.
    fn cut_after(&self, _streams: usize) -> bool {
        false
    }
}

/// Makes a test of each promise, for a type that is a [`StoreUnderTest`] and has a function `set_up` that makes one, with
/// an empty log unless it says otherwise.
#[macro_export]
macro_rules! store_contract {
    (@promises $form:ident $what:ident) => {
        $crate::store_contract! {
            @$form $what;
            revisions: every_expectation_meets_every_stream;
            revisions: a_stream_holds_what_was_appended_in_order;
            revisions: a_stream_is_read_in_pages;
            revisions: a_conflict_in_one_stream_leaves_the_others_untouched;
            revisions: of_sixty_four_writers_each_revision_has_one;
            revisions: an_append_is_bound_to_its_guards;
            revisions: of_two_that_depend_on_each_other_one_is_stored;
            idempotency: a_repeat_answers_like_the_first_time;
            idempotency: a_half_repeated_append_is_refused;
            idempotency: an_id_of_another_stream_is_refused;
            idempotency: of_many_repeats_at_once_one_is_stored;
            following: positions_rise_in_the_order_of_revisions;
            following: followers_miss_nothing_and_see_nothing_twice;
            following: following_resumes_from_every_checkpoint;
            following: a_filter_advances_the_checkpoint;
            following: the_log_is_read_in_pages;
            following: a_scan_is_page_after_page;
            following: the_head_is_the_last_position;
            payloads: payloads_of_every_size_read_back;
            payloads: a_slice_is_read_without_the_rest;
            payloads: an_erased_payload_is_gone_and_its_event_stays;
            payloads: a_refused_append_leaves_no_payload;
            payloads: an_append_up_to_the_limit_is_stored_and_one_over_it_refused;
            keys: a_subject_has_one_key_however_many_ask_at_once;
            keys: a_destroyed_key_is_gone_and_the_next_one_is_another;
            cut: an_append_that_was_cut_short_is_a_prefix_and_its_repeat_completes_it;
        }
    };
    (@tests $store:ident; $($area:ident: $promise:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let store = <$store>::set_up().await;
                $crate::$area::$promise(&store).await;
            }
        )+
    };
    (@checks $store:ident; $($area:ident: $promise:ident;)+) => {
        [$($crate::check::Check::<$store> {
            area: stringify!($area),
            promise: stringify!($promise),
            run: |store| ::futures::FutureExt::boxed_local($crate::$area::$promise(store)),
        }),+]
    };
    ($store:ident) => {
        $crate::store_contract! { @promises tests $store }
    };
}
