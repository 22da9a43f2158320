//! Making segments.

use archive::segment::Merkle;
use archive::{MOVES, SEGMENT, Segment};
use events::codec::{AnyEvent, Fact};
use events::tree::TreeEvent;
use events::{Family, Position, Recorded};
use futures::StreamExt as _;
use tree::{PublicKey, SignedHead, range, tiles};

use crate::environment::Environment;
use crate::error::ReplayError;

/// How many events are read at once.
const AT_ONCE: usize = 5_000;

/// The next segment after `after`, up to `end` at the most; `None` if nothing is left that may move.
///
/// The range must be the one that was signed: what somebody has edited never moves.
pub(super) async fn next(
    environment: &Environment,
    after: Position,
    end: Position,
    key: Option<&PublicKey>,
) -> Result<Option<Segment>, ReplayError> {
    let store = &environment.store;
    if after >= end {
        return Ok(None);
    }
    let first = store.read_all(after, &MOVES, 1).await?;
    let Some(first) = first.events.first().filter(|it| it.position <= end) else {
        return Ok(None);
    };
    let after = Position(first.position.0 - 1);
    let wanted = end.min(Position(after.0 + SEGMENT));
    let Some((through, head)) = covering(environment, after, wanted).await? else {
        return Ok(None);
    };
    if key.is_some_and(|key| !key.has_signed(&head)) {
        return Err(ReplayError::NotAsSigned(after, through));
    }
    let merkle = merkle(environment, after, through, head).await?;
    let segment = Segment::of(
        after,
        read(environment, after, through).await?,
        &MOVES,
        merkle,
    );
    if segment.through != through || !segment.has_root() {
        return Err(ReplayError::NotAsSigned(after, through));
    }
    Ok(Some(segment))
}

/// The first signed head that covers `wanted`, or else the last one that covers anything after `after`, and how far the segment
/// may reach with it.
async fn covering(
    environment: &Environment,
    after: Position,
    wanted: Position,
) -> Result<Option<(Position, SignedHead)>, ReplayError> {
    let mut best = None;
    let mut position = after;
    loop {
        let batch = environment
            .store
            .read_all(position, &[Family::Tree], AT_ONCE)
            .await?;
        for event in &batch.events {
            let fact = Fact::decode(event).map_err(|error| ReplayError::Illegible {
                position: event.position,
                what: error.to_string(),
            })?;
            let AnyEvent::Tree(TreeEvent::TreeHeadSigned(head)) = fact.event else {
                continue;
            };
            if head.size >= wanted.0 {
                return Ok(Some((wanted, head)));
            }
            if head.size > after.0 {
                best = Some((Position(head.size), head));
            }
        }
        if batch.through <= position {
            return Ok(best);
        }
        position = batch.through;
    }
}

async fn merkle(
    environment: &Environment,
    after: Position,
    through: Position,
    head: SignedHead,
) -> Result<Merkle, ReplayError> {
    let mut connection = environment.database.acquire().await?;
    let about = [after.0, through.0];
    let nodes = tiles::Stored::load(&mut connection, &about, head.size).await?;
    Ok(Merkle {
        before: range::before(&nodes, after.0),
        behind: range::behind(&nodes, through.0, head.size),
        head,
    })
}

async fn read(
    environment: &Environment,
    after: Position,
    through: Position,
) -> Result<Vec<Recorded>, ReplayError> {
    let mut events = Vec::new();
    let mut batches = environment
        .store
        .scan(after, through, &Family::ALL, AT_ONCE);
    while let Some(batch) = batches.next().await {
        events.extend(batch?.events);
    }
    Ok(events)
}
