//! Who caused an event, when, and through which request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::ids::{Aci, DeviceId, EventId, InvalidId};
use crate::values::{Timestamp, from_text};

/// One request at a door, or one run of an internal job. Its events' ids derive from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// On whose authority something happened. Text form: `device:{aci}.{id}`, `anonymous`, `operator:{name}`, `system:{part}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub enum Actor {
    /// A device that proved its password.
    Device(Aci, DeviceId),
    /// Somebody who did not say who they are.
    Anonymous,
    /// An administrator, by name.
    Operator(Box<str>),
    /// A part of the server itself.
    System(Box<str>),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(aci, device) => write!(f, "device:{aci}.{device}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::System(part) => write!(f, "system:{part}"),
        }
    }
}

impl FromStr for Actor {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = || InvalidId::new("actor", text);
        match text.split_once(':') {
            None if text == "anonymous" => Ok(Self::Anonymous),
            Some(("device", rest)) => {
                let (aci, device) = rest.rsplit_once('.').ok_or_else(wrong)?;
                Ok(Self::Device(aci.parse()?, device.parse()?))
            }
            Some(("operator", name)) => Ok(Self::Operator(name.into())),
            Some(("system", part)) => Ok(Self::System(part.into())),
            _ => Err(wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, Self::from_str)
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

/// What is known of an event beside what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// When it happened by the clock of the node that decided it.
    pub at: Timestamp,
    /// On whose authority.
    pub actor: Actor,
    /// The request that it belongs to.
    pub request: RequestId,
    /// The event that made a reactor or job cause this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// The chain of requests that it belongs to: what the caller named, or the chain of the event that caused it, or the request
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Uuid>,
    /// The version of the stored form, from 1.
    #[serde(rename = "v")]
    pub schema_version: u16,
}

impl Metadata {
    /// The chain of requests that it belongs to. Where none is stored, the request is its own.
    pub fn chain(&self) -> Uuid {
        self.correlation.unwrap_or(self.request.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_read_back() {
        let aci = Aci::from_uuid(Uuid::from_u128(7));
        for actor in [
            Actor::Device(aci, DeviceId::PRIMARY),
            Actor::Anonymous,
            Actor::Operator("eve".into()),
            Actor::System("sweep".into()),
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        assert!("device:x".parse::<Actor>().is_err());
    }
}
