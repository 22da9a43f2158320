//! Samples of events of what operators do.

use events::Position;
use events::operator::{
    EventParked, EventUnparked, HistoryArchived, LogExported, OperatorEvent, ProjectionRebuilt,
    RebuildCancelled, RebuildPaused, RebuildResumed,
};

pub(super) fn samples() -> Vec<OperatorEvent> {
    vec![
        ProjectionRebuilt {
            model: "inbox".into(),
            version: 1,
            events: 1_000_000,
            through: Position(1_000_000),
        }
        .into(),
        EventParked {
            model: "inbox".into(),
            position: Position(7),
            reason: "a bad row".into(),
        }
        .into(),
        EventUnparked {
            model: "inbox".into(),
            position: Position(7),
            reason: "repaired".into(),
        }
        .into(),
        LogExported {
            through: Position(7),
            events: 7,
            whole: true,
            secrets: false,
        }
        .into(),
        RebuildPaused {
            model: "inbox".into(),
        }
        .into(),
        RebuildResumed {
            model: "inbox".into(),
        }
        .into(),
        RebuildCancelled {
            model: "inbox".into(),
        }
        .into(),
        HistoryArchived {
            after: Position(7),
            through: Position(50_007),
            events: 40_000,
            place: "s3://history".into(),
            name: "mailbox/00000000000000000008-00000000000000050007-0011223344556677.jsonl.gz"
                .into(),
            digest: "00".repeat(32).into(),
        }
        .into(),
    ]
}
