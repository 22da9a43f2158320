//! Whether somebody has changed the log: the whole log against all signed heads, and proofs for single events that anybody
//! can check who has the public key.

use std::io::{self, Write};

use events::codec::{AnyEvent, Fact};
use events::tree::{TreeEvent, TreeHash};
use events::{Family, Position, Recorded};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tree::frontier::Frontier;
use tree::proof::{consistency, inclusion, is_consistent, root_from};
use tree::{PublicKey, SignedHead, leaf, tiles};

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::export;

/// How many events are read at once.
const AT_ONCE: usize = 5_000;

/// What the comparison of the log with its tree came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many events there are.
    pub events: u64,
    /// How many of them the last good head covers.
    pub covered: u64,
    /// How many heads are signed, and agree with the log.
    pub heads: u64,
    /// The first event that is not what the tree has.
    pub first_different: Option<Position>,
    /// What is wrong, one sentence each.
    pub complaints: Vec<String>,
}

impl Checked {
    /// Whether nobody has changed anything.
    pub const fn is_clean(&self) -> bool {
        self.complaints.is_empty()
    }
}

/// The proof that an event stands in the log that a head covers. Holds all that checking takes, but the key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct InclusionProof {
    /// The event, as a line of an export.
    pub event: serde_json::Value,
    /// The same, byte for byte: what the leaf is made from.
    pub line: String,
    /// How many events stand before it.
    pub index: u64,
    /// The head that covers it.
    pub head: SignedHead,
    /// From the leaf to the root, lowest sibling first.
    pub path: Vec<TreeHash>,
}

/// The proof that the log of an older head is the beginning of the log of a newer one.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ConsistencyProof {
    /// The older head.
    pub old: SignedHead,
    /// The newer head.
    pub new: SignedHead,
    /// The nodes between.
    pub consistency: Vec<TreeHash>,
}

/// Either proof, as it stands in a file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Proof {
    /// Of one event.
    Inclusion(Box<InclusionProof>),
    /// Of two heads.
    Consistency(Box<ConsistencyProof>),
}

/// Every head that the log holds, in order.
pub async fn heads(environment: &Environment) -> Result<Vec<SignedHead>, ReplayError> {
    let mut heads = Vec::new();
    let end = environment.store.head().await?;
    let mut position = Position::START;
    while position < end {
        let families = [Family::Tree];
        let batch = environment
            .store
            .read_all(position, &families, AT_ONCE)
            .await?;
        position = batch.through;
        for recorded in &batch.events {
            let fact = Fact::decode(recorded).map_err(|error| ReplayError::Illegible {
                position: recorded.position,
                what: error.to_string(),
            })?;
            if let AnyEvent::Tree(TreeEvent::TreeHeadSigned(head)) = fact.event {
                heads.push(head);
            }
        }
    }
    Ok(heads)
}

/// Reads the whole log and compares it with the tree's leaves and with every signed head: those in the log, and those that
/// somebody kept elsewhere.
pub async fn check(
    environment: &Environment,
    key: &PublicKey,
    kept: Vec<SignedHead>,
) -> Result<Checked, ReplayError> {
    let mut heads = heads(environment).await?;
    heads.extend(kept);
    heads.sort_by_key(|head| head.size);
    let mut checked = Checked::default();
    let mut frontier = Frontier::default();
    let mut waiting = heads.into_iter().peekable();
    let mut leaves: Vec<TreeHash> = Vec::new();
    let mut connection = environment.database.acquire().await?;
    let end = environment.store.head().await?;
    let mut position = Position::START;
    while position < end {
        if environment.shutdown.is_cancelled() {
            return Err(ReplayError::Cancelled);
        }
        let batch = environment
            .store
            .read_all(position, &Family::ALL, AT_ONCE)
            .await?;
        for event in &batch.events {
            let index = frontier.size();
            let place = usize::try_from(index % tiles::WIDTH).unwrap_or(usize::MAX);
            if place == 0 {
                leaves = tiles::leaves(&mut connection, index / tiles::WIDTH).await?;
            }
            let found = leaf::hash(event);
            if leaves.get(place).is_some_and(|stored| *stored != found)
                && checked.first_different.is_none()
            {
                checked.first_different = Some(event.position);
                checked.complaints.push(format!(
                    "the event at position {} is not the one that was stored",
                    event.position
                ));
            }
            frontier.push(found);
            while let Some(head) = waiting.next_if(|head| head.size <= frontier.size()) {
                checked.compare(key, &head, &frontier);
            }
        }
        position = batch.through;
    }
    for head in waiting {
        checked.complaints.push(format!(
            "a head was signed over {} events, and there are {}: events are missing at the end",
            head.size,
            frontier.size()
        ));
    }
    checked.events = frontier.size();
    Ok(checked)
}

impl Checked {
    fn compare(&mut self, key: &PublicKey, head: &SignedHead, frontier: &Frontier) {
        if !key.has_signed(head) {
            self.complaints.push(format!(
                "the head over {} events is not signed by this key",
                head.size
            ));
        } else if head.root != frontier.root() {
            self.complaints.push(format!(
                "the log does not have the root that was signed over its first {} events; it did up to {}",
                head.size, self.covered
            ));
        } else {
            self.heads += 1;
            self.covered = head.size;
        }
    }
}

/// Proves that an event stands in the log, by the first head that covers it.
pub async fn prove(
    environment: &Environment,
    position: Position,
) -> Result<InclusionProof, ReplayError> {
    let mut connection = environment.database.acquire().await?;
    let (index, event) = find(environment, &mut connection, position).await?;
    let heads = heads(environment).await?;
    let head = heads.into_iter().find(|head| head.size > index);
    let head = head.ok_or(ReplayError::NotCovered(position))?;
    let nodes = tiles::Stored::load(&mut connection, &[index], head.size).await?;
    let path = inclusion(&nodes, index, head.size);
    let line = export::line(&event, export::Format::Jsonl)?;
    let proof = InclusionProof {
        event: serde_json::from_str(&line).unwrap_or_default(),
        line,
        index,
        head,
        path,
    };
    // Whoever gets a proof shall be able to rely on it: an edited event has none.
    if root_from(leaf::hash(&event), index, proof.head.size, &proof.path) == Some(proof.head.root) {
        Ok(proof)
    } else {
        Err(ReplayError::Edited(position))
    }
}

/// The event at a position, and how many stand before it.
async fn find(
    environment: &Environment,
    connection: &mut PgConnection,
    position: Position,
) -> Result<(u64, Recorded), ReplayError> {
    let holding = tiles::holding(connection, position).await?;
    let (tile, after) = holding.ok_or(ReplayError::NotCovered(position))?;
    let width = usize::try_from(tiles::WIDTH).unwrap_or(usize::MAX);
    let batch = environment
        .store
        .read_all(after, &Family::ALL, width)
        .await?;
    let mut events = (tile * tiles::WIDTH..).zip(batch.events);
    events
        .find(|(_, event)| event.position == position)
        .ok_or(ReplayError::NoSuchEvent(position))
}

/// Proves that the log of one signed head is the beginning of that of another.
pub async fn prove_consistency(
    environment: &Environment,
    old: u64,
    new: u64,
) -> Result<ConsistencyProof, ReplayError> {
    let heads = heads(environment).await?;
    let find = |size| {
        let found = heads.iter().find(|head| head.size == size).cloned();
        found.ok_or(ReplayError::NoSuchHead(size))
    };
    let (old, new) = (find(old.min(new))?, find(new.max(old))?);
    let mut connection = environment.database.acquire().await?;
    let about = [old.size, old.size - 1];
    let nodes = tiles::Stored::load(&mut connection, &about, new.size).await?;
    let consistency = consistency(&nodes, old.size, new.size);
    Ok(ConsistencyProof {
        old,
        new,
        consistency,
    })
}

impl Proof {
    /// What the proof shows, if it holds under this key; otherwise, why it does not.
    pub fn verify(&self, key: &PublicKey) -> Result<String, String> {
        match self {
            Self::Inclusion(proof) => proof.verify(key),
            Self::Consistency(proof) => proof.verify(key),
        }
    }
}

fn signed(key: &PublicKey, head: &SignedHead) -> Result<(), String> {
    if key.has_signed(head) {
        Ok(())
    } else {
        Err(format!(
            "the head over {} events is not signed by this key",
            head.size
        ))
    }
}

impl InclusionProof {
    fn event(&self) -> Result<Recorded, String> {
        let shown: Result<serde_json::Value, _> = serde_json::from_str(&self.line);
        if shown.ok().as_ref() != Some(&self.event) {
            return Err("the event that is shown is not the one that is proved".to_owned());
        }
        match export::parse(&self.line)? {
            export::Line::Event(event) => Ok(event),
            export::Line::Key(_) | export::Line::Payload(_) => {
                Err("the line is not an event".to_owned())
            }
        }
    }

    fn verify(&self, key: &PublicKey) -> Result<String, String> {
        let event = self.event()?;
        signed(key, &self.head)?;
        let root = root_from(leaf::hash(&event), self.index, self.head.size, &self.path);
        if root != Some(self.head.root) {
            return Err("the path does not lead from the event to the signed root".to_owned());
        }
        Ok(format!(
            "{} of {} stood at position {} when the first {} events were signed",
            event.type_name, event.stream, event.position, self.head.size
        ))
    }
}

impl ConsistencyProof {
    fn verify(&self, key: &PublicKey) -> Result<String, String> {
        let Self {
            old,
            new,
            consistency,
        } = self;
        signed(key, old)?;
        signed(key, new)?;
        if !is_consistent((old.size, old.root), (new.size, new.root), consistency) {
            return Err("the older log is not the beginning of the newer one".to_owned());
        }
        Ok(format!(
            "the first {} of {} events are those that were signed before",
            old.size, new.size
        ))
    }
}

/// Writes what a check came to.
pub fn print(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    let Checked {
        events,
        covered,
        heads,
        complaints,
        ..
    } = checked;
    for complaint in complaints {
        writeln!(out, "NOT as signed: {complaint}")?;
    }
    if checked.is_clean() && *heads == 0 {
        return writeln!(out, "{events} events, and no signed head yet");
    }
    if checked.is_clean() {
        writeln!(
            out,
            "clean: {events} events, of which {covered} are covered by {heads} signed heads"
        )?;
    }
    Ok(())
}
