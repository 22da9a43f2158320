//! Messages with their contents, which stand beside the log until they are erased.

use bytes::{Bytes, BytesMut};
use events::mailbox::Share;
use events::store::{PayloadSlice, PayloadStore, PayloadsUnavailable};
use projections::inbox::{Arrival, Content, InboxEntry};

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InboxMessage {
    /// What is known of it.
    pub(crate) entry: InboxEntry,
    /// The ciphertext; receipts have none.
    pub(crate) content: Option<Bytes>,
}

/// These messages with their contents, without those whose content is erased: they were acknowledged on another
/// connection, or have expired.
pub(crate) async fn load(
    payloads: &dyn PayloadStore,
    arrivals: &[Arrival],
) -> Result<Vec<InboxMessage>, PayloadsUnavailable> {
    let wanted: Vec<_> = arrivals.iter().flat_map(slices).collect();
    let found = if wanted.is_empty() {
        Vec::new()
    } else {
        payloads.fetch(&wanted).await?
    };
    let mut found = found.into_iter();
    let message = |arrival: &Arrival| {
        let parts: Vec<_> = found.by_ref().take(slices(arrival).count()).collect();
        let content = match &parts[..] {
            [] => None,
            [whole] => Some(whole.clone()?),
            parts => Some(shared(parts)?),
        };
        Some(InboxMessage {
            entry: arrival.entry.clone(),
            content,
        })
    };
    Ok(arrivals.iter().filter_map(message).collect())
}

/// The parts of a message's payload that make its content: none, all of it, or the two of a share.
fn slices(arrival: &Arrival) -> impl Iterator<Item = PayloadSlice> {
    let slice = |Content { id, .. }, offset, length| PayloadSlice { id, offset, length };
    let slices = match (arrival.content, arrival.share) {
        (None, _) => [None, None],
        (Some(content), None) => [Some(slice(content, 0, content.length)), None],
        (
            Some(content),
            Some(Share {
                key_material,
                common,
            }),
        ) => [
            Some(slice(content, key_material, Share::KEY_MATERIAL)),
            Some(slice(
                content,
                common,
                content.length.saturating_sub(common),
            )),
        ],
    };
    slices.into_iter().flatten()
}

/// What is delivered of a message to many; `None` if it is erased.
fn shared(parts: &[Option<Bytes>]) -> Option<Bytes> {
    let mut content = BytesMut::from(&[Share::VERSION][..]);
    for part in parts {
        content.extend_from_slice(part.as_ref()?);
    }
    Some(content.freeze())
}

#[cfg(test)]
mod tests {
    use events::ids::DeviceAddress;
    use events::mailbox::EnvelopeKind;
    use events::{Aci, DeviceId, Generation, MessageGuid, Payload, PayloadId, Position, Timestamp};
    use projections::inbox::InboxCursor;

    use super::*;

    /// One payload, and nothing else.
    struct One(Payload);

    #[async_trait::async_trait]
    impl PayloadStore for One {
        async fn fetch(
            &self,
            slices: &[PayloadSlice],
        ) -> Result<Vec<Option<Bytes>>, PayloadsUnavailable> {
            let found = |slice: &PayloadSlice| {
                let begin = slice.offset as usize;
                let bytes = || self.0.bytes.slice(begin..begin + slice.length as usize);
                (slice.id == self.0.id).then(bytes)
            };
            Ok(slices.iter().map(found).collect())
        }

        async fn erase(&self, _: &[PayloadId]) -> Result<u64, PayloadsUnavailable> {
            Ok(0)
        }

        async fn stored(
            &self,
            _: Option<PayloadId>,
            _: usize,
        ) -> Result<Vec<PayloadId>, PayloadsUnavailable> {
            Ok(vec![self.0.id])
        }
    }

    fn arrival(content: Option<Content>, share: Option<Share>) -> Arrival {
        let aci = Aci::from_random([1; 16]);
        Arrival {
            address: DeviceAddress {
                aci,
                device: DeviceId::PRIMARY,
                generation: Generation::default(),
            },
            entry: InboxEntry {
                cursor: InboxCursor(Position(1)),
                guid: MessageGuid::from_random([2; 16]),
                kind: EnvelopeKind::Ciphertext,
                client_timestamp: Timestamp::default(),
                server_timestamp: Timestamp::default(),
                source: None,
                destination: aci.into(),
                urgent: true,
                story: false,
                updated_pni: None,
            },
            content,
            share,
        }
    }

    #[tokio::test]
    async fn each_message_gets_its_part_of_what_is_stored_and_erased_ones_are_passed_over() {
        let body: Bytes = (0..=199).collect::<Vec<u8>>().into();
        let stored = Payload {
            id: PayloadId(uuid::Uuid::from_u128(1)),
            bytes: body.clone(),
        };
        let whole = Content::of(stored.reference());
        let erased = Content {
            id: PayloadId(uuid::Uuid::from_u128(2)),
            ..whole
        };
        let share = Some(Share {
            key_material: 20,
            common: 150,
        });
        let arrivals = [
            arrival(None, None),
            arrival(Some(erased), share),
            arrival(Some(whole), share),
            arrival(Some(erased), None),
            arrival(Some(whole), None),
        ];
        let messages = load(&One(stored), &arrivals).await.unwrap();
        let contents: Vec<_> = messages.into_iter().map(|it| it.content).collect();
        let shared = [&[0x22], &body[20..68], &body[150..]].concat();
        assert_eq!(contents, [None, Some(shared.into()), Some(body)]);
    }
}
