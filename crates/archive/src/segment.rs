//! Segments: what an object of the archive holds. Lines of JSON, compressed with gzip: a header, then a line for each position
//! of the range, which is the event as an export writes it, or, if that stays in the database, the hash of its leaf.
//!
//! So a segment is proved by itself: the leaves of the whole range and the few nodes that the header has lead to the root of a
//! signed head.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use bytes::Bytes;
use events::line::{EventLine, NotALine};
use events::tree::TreeHash;
use events::{Family, Position, Recorded};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tree::{PublicKey, SignedHead, leaf, range};

/// The form that this version writes.
const FORM: u32 = 1;

/// A segment that grows beyond this when it is opened is not one of ours.
const LARGEST: u64 = 4 << 30;

/// Where a range stands in a signed tree.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Merkle {
    /// The head that covers it.
    pub head: SignedHead,
    /// The nodes left of the range.
    pub before: Vec<TreeHash>,
    /// The nodes between the range and the end that the head knows.
    pub behind: Vec<TreeHash>,
}

/// Some positions of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// They follow this one.
    pub after: Position,
    /// The last.
    pub through: Position,
    /// The events that have moved, in order.
    pub events: Vec<Recorded>,
    /// The leaves of those that have not, in order.
    others: Vec<(Position, TreeHash)>,
    /// Where the range stands in the tree.
    pub merkle: Merkle,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    heliograph_segment: u32,
    after: Position,
    through: Position,
    events: u64,
    merkle: Merkle,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LeafLine {
    position: Position,
    leaf: TreeHash,
}

impl Segment {
    /// Of all events of the range after `after`, one at least, those of `moves` move.
    pub fn of(after: Position, all: Vec<Recorded>, moves: &[Family], merkle: Merkle) -> Self {
        let through = all.last().map_or(after, |last| last.position);
        let (events, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|event| moves.contains(&event.stream.family()));
        let others = others
            .iter()
            .map(|event| (event.position, leaf::hash(event)))
            .collect();
        Self {
            after,
            through,
            events,
            others,
            merkle,
        }
    }

    /// The hashes of all leaves of the range, in order.
    fn leaves(&self) -> impl Iterator<Item = TreeHash> {
        let mut others = self.others.iter().peekable();
        let mut events = self.events.iter().peekable();
        std::iter::from_fn(move || {
            let next_event = events.peek().map(|event| event.position);
            let other = others.next_if(|(position, _)| next_event.is_none_or(|it| *position < it));
            match other {
                Some((_, leaf)) => Some(*leaf),
                None => events.next().map(leaf::hash),
            }
        })
    }

    /// Whether the range stands in the tree of its head, as far as hashes tell.
    pub fn has_root(&self) -> bool {
        let Merkle {
            head,
            before,
            behind,
        } = &self.merkle;
        let root = range::root_from(self.after.0, before, self.leaves(), behind, head.size);
        root == Some(head.root)
    }

    /// What the segment proves to somebody who has the server's public key; otherwise, why it does not.
    pub fn verify(&self, key: &PublicKey) -> Result<(), String> {
        if !key.has_signed(&self.merkle.head) {
            return Err(format!(
                "the head over {} events is not signed by this key",
                self.merkle.head.size
            ));
        }
        if !self.has_root() {
            return Err("its events are not those that were signed".to_owned());
        }
        Ok(())
    }

    /// The bytes of the object: the same for the same segment.
    pub fn encode(&self) -> Result<Bytes, NotALine> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        let header = Header {
            heliograph_segment: FORM,
            after: self.after,
            through: self.through,
            events: self.events.len() as u64,
            merkle: self.merkle.clone(),
        };
        write_line(&mut out, &header);
        let mut others = self.others.iter().peekable();
        for event in &self.events {
            while let Some(other) = others.next_if(|(position, _)| *position < event.position) {
                write_leaf(&mut out, other);
            }
            write_line(&mut out, &EventLine::try_from(event)?);
        }
        for other in others {
            write_leaf(&mut out, other);
        }
        let bytes = out.finish().expect("writing to memory works");
        Ok(bytes.into())
    }

    /// Reads what [`Self::encode`] wrote; says what is wrong with it otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut lines = BufReader::new(GzDecoder::new(bytes).take(LARGEST)).lines();
        let mut next = || lines.next().transpose().map_err(|error| error.to_string());
        let header = next()?.ok_or("it is empty")?;
        let header: Header = serde_json::from_str(&header).map_err(|error| error.to_string())?;
        if header.heliograph_segment != FORM {
            return Err(format!(
                "it has form {}, which a newer version wrote",
                header.heliograph_segment
            ));
        }
        let mut segment = Self {
            after: header.after,
            through: header.through,
            events: Vec::new(),
            others: Vec::new(),
            merkle: header.merkle,
        };
        let mut reached = header.after;
        while let Some(line) = next()? {
            let position = segment.take(&line)?;
            if position.0 != reached.0 + 1 {
                return Err(format!("position {} is missing", reached.0 + 1));
            }
            reached = position;
        }
        if reached != header.through || segment.events.len() as u64 != header.events {
            return Err(format!("it ends with position {reached}"));
        }
        Ok(segment)
    }

    fn take(&mut self, line: &str) -> Result<Position, String> {
        if let Ok(LeafLine { position, leaf }) = serde_json::from_str(line) {
            self.others.push((position, leaf));
            return Ok(position);
        }
        let event: EventLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let event = event.recorded()?;
        let position = event.position;
        self.events.push(event);
        Ok(position)
    }
}

/// The digest by which an object is known.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn write_leaf(out: &mut GzEncoder<Vec<u8>>, (position, leaf): &(Position, TreeHash)) {
    write_line(
        out,
        &LeafLine {
            position: *position,
            leaf: *leaf,
        },
    );
}

fn write_line(out: &mut GzEncoder<Vec<u8>>, line: &impl Serialize) {
    serde_json::to_writer(&mut *out, line).expect("lines can be written as JSON");
    out.write_all(b"\n").expect("writing to memory works");
}
