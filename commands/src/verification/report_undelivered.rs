//! A code did not go out.

use std::sync::Arc;

use async_trait::async_trait;
use events::verification::{CodeUndelivered, Transport, VerificationEvent};
use events::{SessionId, StreamId};

use super::state::{SessionGone, load_alive};
use super::{Session, SessionView, VerificationPolicy};
use crate::command::{Command, Refusal, Stop};
use crate::executor::work::Work;

/// Notes that the provider refused the code that was sent last. The code is void; the attempt still counts, so that a
/// broken provider is not asked faster than a working one. If the way is closed for good, calls are open at once.
#[derive(Clone, Debug)]
pub struct ReportUndelivered {
    /// The session.
    pub session: SessionId,
    /// On which way the code should have gone.
    pub transport: Transport,
    /// Whether this number cannot be reached on this way at all.
    pub permanent: bool,
    /// The installation's timing.
    pub policy: Arc<VerificationPolicy>,
}

/// Why there is nothing to note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportUndeliveredRefused {
    /// There is no such session, or no longer.
    #[error(transparent)]
    SessionGone(#[from] SessionGone),
}

impl Refusal for ReportUndeliveredRefused {}

impl ReportUndelivered {
    /// The rule. Without an outstanding code, this was said already.
    pub fn decide(&self, session: &Session) -> Vec<VerificationEvent> {
        let Self {
            transport,
            permanent,
            ..
        } = *self;
        let outstanding = session.facts.checks.is_some();
        outstanding
            .then(|| {
                CodeUndelivered {
                    transport,
                    permanent,
                }
                .into()
            })
            .into_iter()
            .collect()
    }
}

#[async_trait]
impl Command for ReportUndelivered {
    type Done = SessionView;
    type Refused = ReportUndeliveredRefused;
    const NAME: &'static str = "ReportUndelivered";

    fn turn(&self) -> Option<StreamId> {
        Some(StreamId::verification(self.session))
    }

    async fn run(
        &self,
        work: &mut Work<'_>,
    ) -> Result<SessionView, Stop<ReportUndeliveredRefused>> {
        let session = load_alive(work, self.session, &self.policy)
            .await?
            .map_err(ReportUndeliveredRefused::from)?;
        let events = self.decide(&session);
        let view = session.view_after(&events, &self.policy, work.at());
        work.record(&session, events);
        Ok(view)
    }
}
