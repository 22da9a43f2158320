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
        let writes = append.writes.iter().map(|it| (&it.stream, it.expected));
        let guards = append.guards.iter().map(|it| (&it.stream, it.expected));
        for (stream, expected) in writes.chain(guards) {
            let actual = self.stands.get(stream).copied().flatten();
            if expected.admits(actual) {
                continue;
            }
            if !candidate.looked_up {
                return Verdict::Unsure;
            }
            return Verdict::Refuse(AppendError::WrongRevision {
                stream: stream.clone(),
                expected,
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use events::store::Expected;
    use proptest::prelude::*;

    fn stream(number: u8) -> StreamId {
        StreamId::operator(&number.to_string())
    }

    fn event(id: u8) -> NewEvent {
        NewEvent {
            id: EventId::from_random([id; 16]),
            type_name: "ProjectionRebuilt",
            data: Bytes::new(),
            metadata: Bytes::new(),
            payloads: vec![],
        }
    }

    fn append(number: u8, expected: Expected, ids: &[u8]) -> Append {
        Append::one(
            stream(number),
            expected,
            ids.iter().copied().map(event).collect(),
        )
    }

    /// The verdicts of a batch on an empty log, as text.
    fn verdicts(appends: &[Append], looked_up: bool) -> Vec<String> {
        let candidates = appends.iter().map(|append| Candidate { append, looked_up });
        let plan = plan(candidates, Position::START, Starts::new(), &Stored::new());
        plan.verdicts
            .iter()
            .map(|verdict| format!("{verdict:?}"))
            .collect()
    }

    #[test]
    fn an_append_sees_what_the_ones_before_it_will_have_done() {
        let appends = [
            append(1, Expected::NoStream, &[1, 2]),
            append(1, Expected::NoStream, &[3]),
            append(1, Expected::Exact(Revision(1)), &[4]),
            append(1, Expected::NoStream, &[1, 2]),
            append(1, Expected::Any, &[2, 5]),
        ];
        let texts = verdicts(&appends, true);
        assert!(
            texts[0]
                .starts_with("Store(Appended { position: Position(2), revisions: [Revision(1)]")
        );
        assert!(texts[1].starts_with("Refuse(WrongRevision"));
        assert!(
            texts[2]
                .starts_with("Store(Appended { position: Position(3), revisions: [Revision(2)]")
        );
        assert!(
            texts[3]
                .starts_with("Repeat(Appended { position: Position(2), revisions: [Revision(1)]")
        );
        assert!(texts[4].starts_with("Refuse(IdReused"));
    }

    #[test]
    fn nothing_is_refused_for_its_revision_before_its_ids_were_looked_up() {
        let texts = verdicts(&[append(1, Expected::Exact(Revision(4)), &[1])], false);
        assert_eq!(texts, ["Unsure"]);
    }

    fn any_append() -> impl Strategy<Value = Append> {
        let expected = prop_oneof![
            Just(Expected::Any),
            Just(Expected::NoStream),
            (0..4u64).prop_map(|revision| Expected::Exact(Revision(revision))),
        ];
        let write = (0..3u8, expected, prop::collection::btree_set(0..12u8, 1..3));
        prop::collection::vec(write, 1..3).prop_map(|writes| {
            let mut append = Append::default();
            let mut used = std::collections::HashSet::new();
            for (number, expected, ids) in writes {
                let ids: Vec<u8> = ids.into_iter().filter(|id| used.insert(*id)).collect();
                if !ids.is_empty()
                    && append
                        .writes
                        .iter()
                        .all(|write| write.stream != stream(number))
                {
                    append
                        .writes
                        .extend(self::append(number, expected, &ids).writes);
                }
            }
            append
        })
    }

    proptest! {
        #[test]
        fn a_batch_is_decided_like_its_appends_one_after_the_other(appends in prop::collection::vec(any_append(), 1..12)) {
            let together = verdicts(&appends, true);
            let mut stored = Stored::new();
            let mut heads: HashMap<StreamId, Option<Revision>> = HashMap::new();
            let mut head = Position::START;
            for (append, expected) in appends.iter().zip(together) {
                let starts = heads.iter().map(|(stream, revision)| (stream, *revision)).collect();
                let alone = plan([Candidate { append, looked_up: true }], head, starts, &stored);
                prop_assert_eq!(format!("{:?}", alone.verdicts[0]), expected);
                let rows: Vec<_> = alone.rows.iter().map(|row| (row.stream.clone(), row.revision, row.event.id)).collect();
                for (stream, revision, id) in rows {
                    head = Position(head.0 + 1);
                    heads.insert(stream.clone(), Some(revision));
                    stored.insert(id, Place { position: head, stream, revision });
                }
            }
        }
    }
}
