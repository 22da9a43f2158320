//! Where payloads go: not to the cluster.

use async_trait::async_trait;
use events::payload::Payload;
use events::store::PayloadsUnavailable;

/// Takes the payloads of an append before its events are written.
///
/// EventStoreDB cannot erase single events, so payloads stay in Postgres, and two systems cannot commit together:
/// payloads come first, so that no stored event points to bytes that were never kept. What is left over when the append
/// then fails, or when an append is repeated after its payloads were erased, belongs to no live event; a sweep removes
/// it.
#[async_trait]
pub trait PayloadSink: Send + Sync + 'static {
    /// Keeps the payloads that are not kept yet. When this returns, they survive the death of any process.
    async fn keep(&self, payloads: &[Payload]) -> Result<(), PayloadsUnavailable>;
}
