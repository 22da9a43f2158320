//! The messages of a session that are on their way: sent and not answered, answered and not stored.
//!
//! The reader of the socket and the delivery share it. Neither ever waits for the other here, so that a client that
//! writes before it reads cannot bring the session to a stand.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use commands::message::acknowledge::Delivered;
use tokio::sync::Notify;

use crate::limits::socket as limits;

/// Messages for which an idle session keeps room.
const IDLE_ROOM: usize = 4;

/// Messages on their way.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<State>,
    /// Told whenever an answer came in.
    pub(crate) answered: Notify,
}

#[derive(Default)]
struct State {
    in_flight: HashMap<u64, Sent>,
    bytes: usize,
    acknowledged: Vec<Acknowledged>,
    /// Messages of the backlog whose fate is not settled: sent or acknowledged, but not stored as such.
    backlog: usize,
}

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// What its acknowledgement will say; of ephemeral messages the log knows nothing.
    pub(crate) message: Option<Delivered>,
    /// The bytes that it keeps in flight.
    pub(crate) bytes: usize,
    /// Whether it was waiting when the session began.
    pub(crate) backlog: bool,
}

/// A message that the device has.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    message: Delivered,
    backlog: bool,
}

/// Acknowledgements on their way into the log.
#[derive(Debug)]
pub(crate) struct Flush {
    /// Which messages.
    pub(crate) messages: Vec<Delivered>,
    /// How many of them are of the backlog.
    backlog: usize,
}

impl Desk {
    /// Notes that a message goes out under the number `id`.
    pub(crate) fn send(&self, id: u64, sent: Sent) {
        let mut state = self.state();
        state.bytes += sent.bytes;
        state.backlog += usize::from(sent.backlog);
        state.in_flight.insert(id, sent);
    }

    /// Notes that a message of the inbox counts as delivered without being sent.
    pub(crate) fn pass_over(&self, message: Delivered, backlog: bool) {
        let mut state = self.state();
        state.backlog += usize::from(backlog);
        state.acknowledged.push(Acknowledged { message, backlog });
    }

    /// Notes the client's answer. Only a 2xx takes the message out of the queue; numbers that nobody gave mean nothing.
    pub(crate) fn answer(&self, id: u64, status: u32) {
        let mut state = self.state();
        let Some(sent) = state.in_flight.remove(&id) else {
            return;
        };
        if state.in_flight.is_empty() {
            state.in_flight.shrink_to(IDLE_ROOM);
        }
        state.bytes -= sent.bytes;
        match sent.message {
            Some(message) if (200..300).contains(&status) => {
                state.acknowledged.push(Acknowledged {
                    message,
                    backlog: sent.backlog,
                });
            }
            _ => state.backlog -= usize::from(sent.backlog),
        }
        drop(state);
        self.answered.notify_one();
    }

    /// How many more messages, and how many more bytes of them, may go out. Messages that are answered and not stored
    /// count as messages, not as bytes. On an empty desk one message may go whatever its size.
    pub(crate) fn room(&self) -> Room {
        let state = self.state();
        let messages = state.in_flight.len() + state.acknowledged.len();
        Room {
            messages: limits::ENVELOPES.saturating_sub(messages),
            bytes: limits::ENVELOPE_BYTES.saturating_sub(state.bytes),
            empty: messages == 0,
        }
    }

    /// Whether acknowledgements wait.
    pub(crate) fn has_acknowledged(&self) -> bool {
        !self.state().acknowledged.is_empty()
    }

    /// Takes acknowledgements that wait, if any do.
    pub(crate) fn take_acknowledged(&self) -> Option<Flush> {
        let mut state = self.state();
        let count = state.acknowledged.len().min(limits::ACKNOWLEDGEMENTS);
        let taken: Vec<_> = state.acknowledged.drain(..count).collect();
        if state.acknowledged.is_empty() {
            state.acknowledged.shrink_to(IDLE_ROOM);
        }
        (!taken.is_empty()).then(|| Flush {
            backlog: taken.iter().filter(|one| one.backlog).count(),
            messages: taken.into_iter().map(|one| one.message).collect(),
        })
    }

    /// Notes that acknowledgements are stored.
    pub(crate) fn stored(&self, flush: &Flush) {
        self.state().backlog -= flush.backlog;
    }

    /// Whether the fate of every message of the backlog that was sent is settled.
    pub(crate) fn backlog_is_settled(&self) -> bool {
        self.state().backlog == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the desk")
    }
}

/// See [`Desk::room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) empty: bool,
}

impl Room {
    /// Whether a message of this size may go out.
    pub(crate) fn admits(self, bytes: usize) -> bool {
        self.empty || (self.messages > 0 && bytes <= self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::mailbox::EnvelopeKind;
    use events::{Aci, MessageGuid, Timestamp};

    fn message(n: u8) -> Delivered {
        Delivered {
            guid: MessageGuid::from_random([n; 16]),
            kind: EnvelopeKind::Ciphertext,
            source: None,
            destination: Aci::from_random([1; 16]).into(),
            client_timestamp: Timestamp::default(),
        }
    }

    fn sent(n: u8, bytes: usize) -> Sent {
        Sent {
            message: Some(message(n)),
            bytes,
            backlog: true,
        }
    }

    #[test]
    fn only_a_2xx_takes_a_message_out_of_the_queue() {
        let desk = Desk::default();
        for n in 1..=3 {
            desk.send(n.into(), sent(n, 1));
        }
        desk.answer(1, 200);
        desk.answer(2, 500);
        desk.answer(3, 299);
        desk.answer(3, 200); // once more
        desk.answer(77, 200); // never sent
        let flush = desk.take_acknowledged().unwrap();
        assert_eq!(flush.messages, [message(1), message(3)]);
        assert!(!desk.backlog_is_settled());
        desk.stored(&flush);
        assert!(desk.backlog_is_settled() && desk.take_acknowledged().is_none());
    }

    #[test]
    fn room_is_bounded_in_messages_and_in_bytes() {
        let desk = Desk::default();
        assert!(desk.room().admits(usize::MAX), "one message always goes");
        desk.send(0, sent(1, limits::ENVELOPE_BYTES - 5));
        assert!(desk.room().admits(5) && !desk.room().admits(6));
        desk.answer(0, 200);
        for id in 1..limits::ENVELOPES {
            assert!(desk.room().admits(1));
            desk.send(id as u64, sent(1, 1));
        }
        assert!(
            !desk.room().admits(0),
            "what is answered and not stored counts, too"
        );
        desk.take_acknowledged().unwrap();
        assert!(desk.room().admits(1));
    }
}
