//! Everything an endpoint can reach.

use std::ops::Deref;
use std::sync::Arc;

use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use commands::ports::{CodeMint, PushTransport, VerificationTransport};
use commands::{Command, Executed, Executor, Failure, RequestContext};
use crypto::doors::DoorKey;
use crypto::linking::LinkTokens;
use crypto::phone::PniDeriver;
use events::meeting::Meetings;
use events::ports::{Clock, Entropy};
use events::store::PayloadStore;
use events::{Aci, Position};
use http::HeaderName;
use projections::{Model, Queries};

use crate::admission::{Origin, Quota};
use crate::config::Config;
use crate::issuing::Issuing;
use crate::limits::buckets::Limits;
use crate::listen::Shutdown;
use crate::ports::{CaptchaAssessor, ObjectUploads, Outcomes, PushedChallenges};
use crate::spam::SpamFilter;
use crate::ws::hub::Hub;

/// What the doors are built from.
pub struct Options {
    /// Runs commands.
    pub executor: Arc<Executor>,
    /// Answers questions.
    pub queries: Queries,
    /// Holds the contents of messages.
    pub payloads: Arc<dyn PayloadStore>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Source of ids and salts.
    pub entropy: Arc<dyn Entropy>,
    /// Carries verification codes.
    pub verification: Arc<dyn VerificationTransport>,
    /// Makes verification codes.
    pub codes: Arc<dyn CodeMint>,
    /// Reaches devices that are not connected.
    pub push: Arc<dyn PushTransport>,
    /// Judges captchas.
    pub captchas: Arc<dyn CaptchaAssessor>,
    /// Makes forms for uploads.
    pub uploads: Arc<dyn ObjectUploads>,
    /// How often what may be called.
    pub limits: Limits,
    /// Remembers what requests with an `Idempotency-Key` were answered.
    pub outcomes: Arc<dyn Outcomes>,
    /// For what only this server's nodes read again.
    pub door_key: DoorKey,
    /// Remembers challenges that were pushed.
    pub challenges: Arc<dyn PushedChallenges>,
    /// Issues and checks linking tokens.
    pub link_tokens: LinkTokens,
    /// Derives the pseudonyms of numbers.
    pub pnis: PniDeriver,
    /// Makes and checks credentials.
    pub issuing: Issuing,
    /// Where clients pass something to one another.
    pub meetings: Arc<dyn Meetings>,
    /// Decides when a sender has to meet a challenge.
    pub spam: Arc<dyn SpamFilter>,
    /// The operator's choices.
    pub config: Config,
    /// The connected devices. Whoever builds this feeds it with live facts ([`Hub::observe`]).
    pub hub: Hub,
    /// When to end, and who waits for what runs until then.
    pub shutdown: Shutdown,
}

/// [`Options`], shared by all endpoints and sockets.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    options: Options,
    /// Places for sockets, by where they come from.
    sockets_by_origin: Arc<Quota<Origin>>,
    /// And by whose devices are behind them.
    sockets_by_account: Arc<Quota<Aci>>,
}

impl Api {
    /// Shares the options.
    pub fn new(options: Options) -> Self {
        let limit = |most: usize| if most == 0 { usize::MAX } else { most };
        let config = &options.config;
        Self(Arc::new(Shared {
            sockets_by_origin: Quota::new(limit(config.sockets), limit(config.sockets_per_address)),
            sockets_by_account: Quota::new(usize::MAX, limit(config.sockets_per_account)),
            options,
        }))
    }

    pub(crate) fn sockets_by_origin(&self) -> &Arc<Quota<Origin>> {
        &self.0.sockets_by_origin
    }

    pub(crate) fn sockets_by_account(&self) -> &Arc<Quota<Aci>> {
        &self.0.sockets_by_account
    }

    /// Runs a command, and waits as [`Self::settled`] does.
    pub(crate) async fn perform<C: Command>(
        &self,
        command: &C,
        context: &RequestContext,
        models: &[Model],
    ) -> Result<(C::Done, EventPosition), Failure<C::Refused>> {
        let executed = self.executor.execute(command, context).await?;
        let position = self.settled(&executed, models).await;
        Ok((executed.done, position))
    }

    /// Waits, bounded, until the read models show what a command did. Past the bound the answer goes out anyway: the
    /// fact is stored.
    pub(crate) async fn settled<D>(
        &self,
        executed: &Executed<D>,
        models: &[Model],
    ) -> EventPosition {
        if let Some(position) = executed.position {
            let caught_up = self
                .queries
                .caught_up(models, position, self.config.read_your_writes)
                .await;
            if !caught_up {
                metrics::counter!("answers_ahead_of_read_models_total").increment(1);
                tracing::debug!(%position, ?models, "read models lag behind; answering before they show the change");
            }
        }
        EventPosition(executed.position)
    }
}

impl Deref for Api {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.0.options
    }
}

/// `X-Event-Position`: the last event that the request caused. Absent if nothing had to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPosition(pub Option<Position>);

impl EventPosition {
    /// The header's name.
    pub const HEADER: HeaderName = HeaderName::from_static("x-event-position");
}

impl IntoResponseParts for EventPosition {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Some(Position(position)) = self.0 {
            parts.headers_mut().insert(Self::HEADER, position.into());
        }
        Ok(parts)
    }
}

impl IntoResponse for EventPosition {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}
