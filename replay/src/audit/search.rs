//! Finding events over the whole log: by account, actor, kind, request, chain of requests, time and position.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::Args;
use events::{Aci, Actor, Batch, Family, Metadata, Position, Recorded, Timestamp};
use uuid::Uuid;

use super::gather;
use crate::environment::Environment;
use crate::error::ReplayError;

/// How many events are read at once.
const AT_ONCE: usize = 5_000;

/// Which events are meant: those that fit all of this. What is not given does not matter.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Everything that concerns this account: its own events, and those of its number, keys, mailboxes and verifications.
    #[arg(long, value_name = "ACI")]
    pub account: Option<Aci>,
    /// Who did it: `device:{aci}.{id}`, `anonymous`, `operator:{name}` or `system:{part}`.
    #[arg(long)]
    pub actor: Option<Actor>,
    /// What happened: the name of an event, such as `AccountRegistered`.
    #[arg(long = "event", value_name = "NAME")]
    pub kind: Option<String>,
    /// In streams of this family, such as `account`.
    #[arg(long)]
    pub family: Option<Family>,
    /// Through this request.
    #[arg(long, value_name = "UUID")]
    pub request: Option<Uuid>,
    /// In this chain of requests.
    #[arg(long, value_name = "UUID")]
    pub correlation: Option<Uuid>,
    /// From this position or time on (RFC 3339).
    #[arg(long, value_name = "POSITION|TIME")]
    pub from: Option<Moment>,
    /// Up to this position or time, inclusive.
    #[arg(long, value_name = "POSITION|TIME")]
    pub to: Option<Moment>,
}

/// A place in the log, or in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The position of an event.
    At(Position),
    /// The time when an event was stored.
    When(Timestamp),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::At(Position(position)));
        }
        let wrong =
            || format!("{text:?} is neither a position nor a time such as 2026-01-31T12:00:00Z");
        let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
        let millis = u64::try_from(time.timestamp_millis()).map_err(|_| wrong())?;
        let time = Timestamp::from_epoch_millis(millis).map_err(|_| wrong())?;
        Ok(Self::When(time))
    }
}

impl Moment {
    /// The last position that the moment includes. Events are stored in the order of time, as far as clocks agree.
    pub async fn last_position(self, environment: &Environment) -> Result<Position, ReplayError> {
        let head = environment.store.head().await?;
        let time = match self {
            Self::At(position) => return Ok(position.min(head)),
            Self::When(time) => time,
        };
        // Everything up to `low` is included, nothing after `high` is.
        let (mut low, mut high) = (0, head.0);
        while low < high {
            let middle = low + (high - low) / 2;
            let next = environment
                .store
                .read_all(Position(middle), &Family::ALL, 1)
                .await?;
            match next.events.first() {
                Some(event) if event.recorded_at <= time => low = event.position.0,
                _ => high = middle,
            }
        }
        Ok(Position(low))
    }

    /// The last position before the moment.
    async fn before(self, environment: &Environment) -> Result<Position, ReplayError> {
        match self {
            Self::At(position) => Ok(Position(position.0.saturating_sub(1))),
            Self::When(time) => {
                let millis = time.epoch_millis().saturating_sub(1);
                let just_before = Timestamp::from_epoch_millis(millis).unwrap_or_default();
                Box::pin(Self::When(just_before).last_position(environment)).await
            }
        }
    }
}

impl Filter {
    /// Whether everything is meant.
    pub const fn is_all(&self) -> bool {
        matches!(
            self,
            Self {
                account: None,
                actor: None,
                kind: None,
                family: None,
                request: None,
                correlation: None,
                from: None,
                to: None,
            }
        )
    }

    /// Whether nothing but an account is named.
    pub(super) fn is_account_only(&self) -> bool {
        let rest = Self {
            account: None,
            ..self.clone()
        };
        rest.is_all()
    }

    fn admits(&self, event: &Recorded) -> Result<bool, ReplayError> {
        if self
            .kind
            .as_ref()
            .is_some_and(|kind| *kind != event.type_name)
        {
            return Ok(false);
        }
        if self.actor.is_none() && self.request.is_none() && self.correlation.is_none() {
            return Ok(true);
        }
        let metadata: Metadata =
            serde_json::from_slice(&event.metadata).map_err(|error| ReplayError::Illegible {
                position: event.position,
                what: error.to_string(),
            })?;
        let chain = metadata.chain();
        Ok(self.actor.as_ref().is_none_or(|it| *it == metadata.actor)
            && self.request.is_none_or(|it| it == metadata.request.0)
            && self.correlation.is_none_or(|it| it == chain))
    }
}

/// Shows every event that the filter admits to `visit`, in order, portion by portion; tells how far the log was read.
pub async fn search(
    environment: &Environment,
    filter: &Filter,
    mut visit: impl AsyncFnMut(Batch) -> Result<(), ReplayError>,
) -> Result<Position, ReplayError> {
    let families: Vec<Family> = filter
        .family
        .map_or_else(|| Family::ALL.to_vec(), |it| vec![it]);
    let of_account: Option<BTreeSet<Position>> = match filter.account {
        None => None,
        Some(aci) => {
            let facts = gather::gather(environment, aci).await?;
            Some(facts.iter().map(|fact| fact.position).collect())
        }
    };
    let head = environment.store.head().await?;
    let last = match filter.to {
        Some(moment) => moment.last_position(environment).await?,
        None => head,
    };
    let mut position = match filter.from {
        Some(moment) => moment.before(environment).await?,
        None => Position::START,
    };
    while position < last {
        if environment.shutdown.is_cancelled() {
            return Err(ReplayError::Cancelled);
        }
        let batch = environment
            .store
            .read_all(position, &families, AT_ONCE)
            .await?;
        position = batch.through;
        let mut events = Vec::new();
        for event in batch.events {
            let concerned = of_account
                .as_ref()
                .is_none_or(|positions| positions.contains(&event.position));
            if event.position <= last && concerned && filter.admits(&event)? {
                events.push(event);
            }
        }
        if !events.is_empty() {
            visit(Batch {
                through: position,
                events,
            })
            .await?;
        }
    }
    Ok(last)
}
