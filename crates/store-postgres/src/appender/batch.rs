//! The requests of one batch, from the queue to their answers.

use std::sync::Arc;

use events::store::{AppendError, Expected};
use events::stream::StreamId;
use sqlx::Error;
use uuid::Uuid;

use super::plan::{Candidate, Plan, Stored, Verdict};
use super::queue::Request;

/// Requests that are committed together.
pub(super) struct Batch(Vec<Request>);

/// What has been learnt for a batch while committing it.
pub(super) struct Notes {
    /// One for each request.
    requests: Vec<Note>,
    /// Events of the batch that the log has.
    pub(super) stored: Stored,
    /// Whether streams that are said to be new are taken for new, and the unique index is to object if they are not.
    pub(super) trusting: bool,
}

#[derive(Clone, Copy)]
struct Note {
    ids: Ids,
    /// Whether the last statement was to store it.
    sent: bool,
    /// Whether a statement that was to store it got no answer: if it is found stored, it is no repeat.
    answer_lost: bool,
}

/// What is known of a request's event ids.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// They are taken for new, and the unique index is to object if they are not.
    Trusted,
    /// They may be stored.
    Suspect,
    /// Those that are stored are in [`Notes::stored`].
    LookedUp,
}

impl Batch {
    pub(super) fn new(requests: Vec<Request>) -> Self {
        Self(requests)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn candidates<'a>(&'a self, notes: &Notes) -> impl Iterator<Item = Candidate<'a>> {
        self.0
            .iter()
            .zip(&notes.requests)
            .map(|(request, note)| Candidate {
                append: &request.append,
                looked_up: note.ids == Ids::LookedUp,
            })
    }

    /// Every stream that is written to or depended on, and whether an index objects if it is wrongly taken for new.
    pub(super) fn streams(&self) -> impl Iterator<Item = (&StreamId, bool)> {
        let appends = || self.0.iter().map(|request| &request.append);
        // What somebody depends on comes first: where it is written to as well, it has to be looked up all the same.
        let guards = appends().flat_map(|append| &append.guards);
        let writes = appends().flat_map(|append| &append.writes);
        let writes = writes.map(|write| (&write.stream, write.expected == Expected::NoStream));
        guards.map(|guard| (&guard.stream, false)).chain(writes)
    }

    /// The event ids to look up.
    pub(super) fn suspects(&self, notes: &Notes) -> Vec<Uuid> {
        let requests = self.0.iter().zip(&notes.requests);
        requests
            .filter(|(_, note)| note.ids == Ids::Suspect)
            .flat_map(|(request, _)| &request.append.writes)
            .flat_map(|write| &write.events)
            .map(|event| event.id.uuid())
            .collect()
    }

    /// Tells every caller what became of its append.
    pub(super) fn answer(self, notes: &Notes, verdicts: Vec<Verdict>) {
        for ((request, note), verdict) in self.0.into_iter().zip(&notes.requests).zip(verdicts) {
            let outcome = match verdict {
                Verdict::Store(appended) => Ok(appended),
                Verdict::Repeat(mut appended) => {
                    appended.repeated = !note.answer_lost;
                    Ok(appended)
                }
                Verdict::Refuse(error) => Err(error),
                Verdict::Unsure => unreachable!("a plan with an unsure verdict is made again"),
            };
            // A caller that has gone away does not want to know.
            drop(request.answer.send(outcome));
        }
    }

    /// Tells every caller that the store failed.
    pub(super) fn fail(self, error: Error) {
        let error = Arc::new(error);
        for request in self.0 {
            let failure = AppendError::Unavailable(Box::new(error.clone()));
            drop(request.answer.send(Err(failure)));
        }
    }

    /// A batch for each request.
    pub(super) fn split(self) -> impl Iterator<Item = Self> {
        self.0.into_iter().map(|request| Self(vec![request]))
    }
}

impl Notes {
    pub(super) fn on(batch: &Batch) -> Self {
        let note = Note {
            ids: Ids::Trusted,
            sent: false,
            answer_lost: false,
        };
        Self {
            requests: vec![note; batch.len()],
            stored: Stored::new(),
            trusting: true,
        }
    }

    /// Any id may be stored.
    pub(super) fn suspect_all(&mut self) {
        self.requests
            .iter_mut()
            .for_each(|note| note.ids = Ids::Suspect);
    }

    /// The ids of requests without a sure verdict may be stored.
    pub(super) fn suspect_unsure(&mut self, plan: &Plan<'_>) {
        for (note, verdict) in self.requests.iter_mut().zip(&plan.verdicts) {
            if matches!(verdict, Verdict::Unsure) {
                note.ids = Ids::Suspect;
            }
        }
    }

    /// The suspects were looked up; these are in the log.
    pub(super) fn found(&mut self, stored: Stored) {
        self.stored.extend(stored);
        self.change_ids(Ids::Suspect, Ids::LookedUp);
    }

    /// The log has moved: what was not there may be there now.
    pub(super) fn doubt(&mut self) {
        self.change_ids(Ids::LookedUp, Ids::Suspect);
    }

    fn change_ids(&mut self, from: Ids, to: Ids) {
        for note in &mut self.requests {
            if note.ids == from {
                note.ids = to;
            }
        }
    }

    /// The statement that stores a plan leaves now.
    pub(super) fn sending(&mut self, plan: &Plan<'_>) {
        for (note, verdict) in self.requests.iter_mut().zip(&plan.verdicts) {
            note.sent = matches!(verdict, Verdict::Store(_));
        }
    }

    /// The answer to the last statement is lost.
    pub(super) fn answer_lost(&mut self) {
        for note in &mut self.requests {
            note.answer_lost |= note.sent;
        }
        self.suspect_all();
    }

    /// The last statement certainly stored nothing.
    pub(super) fn not_stored(&mut self) {
        self.requests.iter_mut().for_each(|note| note.sent = false);
    }
}
