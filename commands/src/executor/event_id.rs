//! Ids of events, derived and not drawn: the same write of the same request always has the same ids.

use events::{EventId, Expected, RequestId, StreamId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The id of a request's `index`th event for a stream that stands as `expected`.
///
/// Repeating an append after an unknown outcome is therefore safe. The stream's standing takes part, because a request that
/// is decided anew on a later state says something new, even if an earlier attempt was stored in part. The first 48
/// bits are those of the request id: where that is a UUID of version 7, so are the ids of its events.
pub(crate) fn derive(
    request: RequestId,
    stream: &StreamId,
    expected: Expected,
    index: usize,
) -> EventId {
    let standing = match expected {
        Expected::Any => "any".to_owned(),
        Expected::NoStream => "none".to_owned(),
        Expected::Exact(revision) => revision.to_string(),
    };
    let digest = Sha256::digest(format!("{request} {stream} {standing} {index}"));
    let (millis, _) = request.0.as_u64_pair();
    let random = digest.first_chunk().expect("32 bytes begin with 10");
    EventId::from_uuid(version_7(millis >> 16, random))
}

/// A number between 0 and 1 that differs between requests and between their attempts.
pub(crate) fn share(request: RequestId, attempt: u32) -> f64 {
    let digest = Sha256::digest(format!("{request} pause {attempt}"));
    let bytes = digest.first_chunk().expect("32 bytes begin with 2");
    f64::from(u16::from_le_bytes(*bytes)) / f64::from(u16::MAX)
}

/// A UUID of version 7.
pub(crate) fn version_7(millis: u64, random: &[u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Revision;
    use std::collections::HashSet;

    #[test]
    fn ids_are_of_version_7_and_differ_wherever_the_writes_do() {
        let at = 1_767_225_600_000;
        let requests = [1, 2].map(|n| RequestId(version_7(at, &[n; 10])));
        let streams = ["number-a", "number-b"].map(|name| name.parse::<StreamId>().unwrap());
        let standings = [
            Expected::Any,
            Expected::NoStream,
            Expected::Exact(Revision(0)),
            Expected::Exact(Revision(1)),
        ];
        let mut seen = HashSet::new();
        for request in requests {
            for stream in &streams {
                for expected in standings {
                    for index in 0..3 {
                        let id = derive(request, stream, expected, index);
                        assert_eq!(id, derive(request, stream, expected, index));
                        assert_eq!(id.uuid().get_version_num(), 7);
                        assert_eq!(id.uuid().get_timestamp().unwrap().to_unix().0, at / 1_000);
                        assert!(seen.insert(id));
                    }
                }
            }
        }
    }
}
