//! Deciding a batch: what each append is answered, and which rows that takes. Pure.

use std::collections::HashMap;

use events::ids::EventId;
use events::store::{Append, AppendError, Appended, NewEvent, Position, Revision, StreamWrite};
use events::stream::StreamId;

/// Where an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) stream: StreamId,
    pub(crate) revision: Revision,
}

/// Where streams stood before the batch.
pub(crate) type Starts<'a> = HashMap<&'a StreamId, Option<Revision>>;

/// Events that the log is known to have already.
pub(crate) type Stored = HashMap<EventId, Place>;

/// An append with what is known of its event ids.
pub(crate) struct Candidate<'a> {
    pub(crate) append: &'a Append,
    /// Whether those of its ids that the log has are among [`Stored`].
    pub(crate) looked_up: bool,
}

/// A row to insert.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) stream: &'a StreamId,
    pub(crate) revision: Revision,
    pub(crate) event: &'a NewEvent,
}

/// What becomes of one append.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Its rows are in the plan.
    Store(Appended),
    /// The log has it already.
    Repeat(Appended),
    /// Not as it is.
    Refuse(AppendError),
    /// Its streams are elsewhere: refused unless its ids turn out to be stored. Look them up and plan again.
    Unsure,
}

/// What becomes of a batch. Holds only if exactly `rows` follow the position that it was planned on.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// To be stored from the next position on, in this order.
    pub(crate) rows: Vec<Row<'a>>,
    /// One for each append, in order.
    pub(crate) verdicts: Vec<Verdict>,
}

impl Plan<'_> {
    /// Whether ids must be looked up before the verdicts hold.
    pub(crate) fn is_unsure(&self) -> bool {
        self.verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Unsure))
    }
}

/// Decides `candidates` in order, each on what the ones before it will have changed.
pub(crate) fn plan<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    head: Position,
    starts: Starts<'a>,
    stored: &Stored,
) -> Plan<'a> {
    let mut planner = Planner {
        head,
        stands: starts,
        stored,
        planned: HashMap::new(),
        rows: Vec::new(),
    };
    let verdicts = candidates
        .into_iter()
        .map(|candidate| planner.judge(&candidate))
        .collect();
    Plan {
        rows: planner.rows,
        verdicts,
    }
}

struct Planner<'a, 'b> {
    head: Position,
    stands: Starts<'a>,
    stored: &'b Stored,
    /// Rows of events that an earlier append of the batch stores.
    planned: HashMap<EventId, usize>,
    rows: Vec<Row<'a>>,
}

impl<'a> Planner<'a, '_> {
    fn judge(&mut self, candidate: &Candidate<'a>) -> Verdict {
        let append = candidate.append;
        let places: Vec<Option<Place>> = events_of(append)
            .map(|(_, event)| self.place(event.id))
            .collect();
        if places.iter().any(Option::is_some) {
            return repeat(append, &places);
        }
        for write in &append.writes {
            let actual = self.stands.get(&write.stream).copied().flatten();
            if write.expected.admits(actual) {
                continue;
            }
            if !candidate.looked_up {
                return Verdict::Unsure;
            }
            return Verdict::Refuse(AppendError::WrongRevision {
                stream: write.stream.clone(),
                expected: write.expected,
                actual,
            });
        }
        Verdict::Store(self.store(append))
    }

    fn store(&mut self, append: &'a Append) -> Appended {
        let mut revisions = Vec::with_capacity(append.writes.len());
        for write in &append.writes {
            let stands = self.stands.entry(&write.stream).or_default();
            for event in &write.events {
                let revision = stands.map_or(Revision::FIRST, Revision::next);
                *stands = Some(revision);
                self.planned.insert(event.id, self.rows.len());
                self.rows.push(Row {
                    stream: &write.stream,
                    revision,
                    event,
                });
            }
            revisions.extend(*stands);
        }
        Appended {
            position: self.position(self.rows.len()),
            revisions,
            repeated: false,
        }
    }

    /// The position of the `nth` row, from 1.
    fn position(&self, nth: usize) -> Position {
        Position(self.head.0 + nth as u64)
    }

    fn place(&self, id: EventId) -> Option<Place> {
        let planned = || {
            let index = *self.planned.get(&id)?;
            let row = &self.rows[index];
            Some(Place {
                position: self.position(index + 1),
                stream: row.stream.clone(),
                revision: row.revision,
            })
        };
        self.stored.get(&id).cloned().or_else(planned)
    }
}

fn events_of(append: &Append) -> impl Iterator<Item = (&StreamId, &NewEvent)> {
    append
        .writes
        .iter()
        .flat_map(|write| write.events.iter().map(|event| (&write.stream, event)))
}

/// The answer to an append of which some event is stored: the first answer again if all of it is.
fn repeat(append: &Append, places: &[Option<Place>]) -> Verdict {
    let mut last: Option<&Place> = None;
    for ((stream, event), place) in events_of(append).zip(places) {
        match place {
            Some(place) if place.stream == *stream => last = Some(place),
            Some(_) | None => {
                let stored = events_of(append)
                    .zip(places)
                    .find(|(_, place)| place.is_some());
                let id = stored.map_or(event.id, |((_, event), _)| event.id);
                return Verdict::Refuse(AppendError::IdReused { id });
            }
        }
    }
    let mut end = 0;
    let revision_of = |write: &StreamWrite| {
        end += write.events.len();
        places[end - 1].as_ref().map(|place| place.revision)
    };
    let revisions = append.writes.iter().filter_map(revision_of).collect();
    let position = last.map_or(Position::START, |place| place.position);
    Verdict::Repeat(Appended {
        position,
        revisions,
        repeated: true,
    })
}
