//! Events as they are stored: a frozen name and number for each kind, JSON for what happened, and a seam for old shapes.

use std::collections::HashMap;

use serde_json::Value;

use crate::account::AccountEvent;
use crate::erasure::ErasureEvent;
use crate::ids::EventId;
use crate::keys::KeysEvent;
use crate::mailbox::MailboxEvent;
use crate::metadata::Metadata;
use crate::number::NumberEvent;
use crate::operator::OperatorEvent;
use crate::payload::PayloadRef;
use crate::personal::{KeyId, PersonalField, SubjectKey, Tampered};
use crate::picture::PictureEvent;
use crate::profile::ProfileEvent;
use crate::store::{Position, Recorded, Revision};
use crate::stream::{Family, StreamId};
use crate::tree::TreeEvent;
use crate::username::UsernameEvent;
use crate::verification::VerificationEvent;

/// The events of one stream family.
pub trait Event: Into<AnyEvent> + Clone + std::fmt::Debug + Send + Sync + Sized + 'static {
    /// The family whose streams hold these events.
    const FAMILY: Family;

    /// Number and name of each kind, as stored. Neither may ever change or be given anew.
    const TYPES: &'static [(i16, &'static str)];

    /// The stored name of this event's kind.
    fn type_name(&self) -> &'static str;

    /// Shows every personal value to `visit`, present or not.
    fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField));

    /// The stored form. Fails if a personal value is still clear.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error>;

    /// Reads the current stored form.
    fn from_json(type_name: &str, data: &[u8]) -> Result<Self, DecodeError>;

    /// The event, if it is of this family.
    fn narrow(event: AnyEvent) -> Option<Self>;
}

/// A stored event that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The kind is not known here: a newer version wrote it, or the row was made by hand.
    #[error("{family} event of unknown type {name:?}")]
    UnknownType {
        /// The family of its stream.
        family: Family,
        /// The stored name.
        name: String,
    },
    /// The data do not have the shape of their kind.
    #[error("{name} event cannot be read: {source}")]
    Malformed {
        /// The stored name.
        name: String,
        /// What is wrong with the data.
        source: serde_json::Error,
    },
    /// The metadata cannot be read.
    #[error("metadata cannot be read: {0}")]
    Metadata(#[source] serde_json::Error),
    /// A sealed value was changed in the store.
    #[error(transparent)]
    Tampered(#[from] Tampered),
}

/// Declares the events of a family: `number Name { personal fields }` for each kind, where the name is that of a struct.
macro_rules! event_family {
    ($(#[$doc:meta])* $enum:ident in $family:ident {
        $($number:literal $name:ident { $($personal:ident $(. $inner:ident)*),* })+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each struct documents itself")]
        pub enum $enum {
            $($name($name),)+
        }

        $(impl From<$name> for $enum {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })+

        impl From<$enum> for $crate::codec::AnyEvent {
            fn from(event: $enum) -> Self {
                Self::$family(event)
            }
        }

        impl $crate::codec::Event for $enum {
            const FAMILY: $crate::stream::Family = $crate::stream::Family::$family;
            const TYPES: &'static [(i16, &'static str)] = &[$(($number, stringify!($name))),+];

            fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)+
                }
            }

            fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn $crate::personal::PersonalField)) {
                match self {
                    $(Self::$name(event) => {
                        let _ = &event;
                        $($crate::personal::VisitPersonal::visit_personal(&mut event.$personal$(.$inner)*, visit);)*
                    })+
                }
                let _ = visit;
            }

            fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self {
                    $(Self::$name(event) => serde_json::to_vec(event),)+
                }
            }

            fn from_json(type_name: &str, data: &[u8]) -> Result<Self, $crate::codec::DecodeError> {
                match type_name {
                    $(stringify!($name) => serde_json::from_slice(data).map(Self::$name),)+
                    other => return Err($crate::codec::DecodeError::UnknownType {
                        family: Self::FAMILY,
                        name: other.to_owned(),
                    }),
                }
                .map_err(|source| $crate::codec::DecodeError::Malformed { name: type_name.to_owned(), source })
            }

            fn narrow(event: $crate::codec::AnyEvent) -> Option<Self> {
                match event {
                    $crate::codec::AnyEvent::$family(event) => Some(event),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use event_family;

/// An event of any family.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "one variant a family")]
#[allow(
    clippy::large_enum_variant,
    reason = "the large events are rare beside mailbox events; a box would cost each of them"
)]
pub enum AnyEvent {
    Account(AccountEvent),
    Keys(KeysEvent),
    Mailbox(MailboxEvent),
    Number(NumberEvent),
    Verification(VerificationEvent),
    Operator(OperatorEvent),
    Username(UsernameEvent),
    Profile(ProfileEvent),
    Erasure(ErasureEvent),
    Tree(TreeEvent),
    Picture(PictureEvent),
}

/// Does the same with whichever family an event belongs to.
macro_rules! each_family {
    ($event:expr, $inner:ident => $result:expr) => {
        match $event {
            AnyEvent::Account($inner) => $result,
            AnyEvent::Keys($inner) => $result,
            AnyEvent::Mailbox($inner) => $result,
            AnyEvent::Number($inner) => $result,
            AnyEvent::Verification($inner) => $result,
            AnyEvent::Operator($inner) => $result,
            AnyEvent::Username($inner) => $result,
            AnyEvent::Profile($inner) => $result,
            AnyEvent::Erasure($inner) => $result,
            AnyEvent::Tree($inner) => $result,
            AnyEvent::Picture($inner) => $result,
        }
    };
}

impl AnyEvent {
    /// The stored name of this event's kind.
    pub fn type_name(&self) -> &'static str {
        each_family!(self, event => event.type_name())
    }

    /// Shows every personal value to `visit`.
    pub fn visit_personal(&mut self, visit: &mut dyn FnMut(&mut dyn PersonalField)) {
        each_family!(self, event => event.visit_personal(visit));
    }

    /// The stored form. Fails if a personal value is still clear.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        each_family!(self, event => event.to_json())
    }

    /// The bytes beside the log that came with this event.
    pub const fn payload(&self) -> Option<&PayloadRef> {
        match self {
            Self::Keys(KeysEvent::LastResortPreKeySet(event)) => Some(&event.record),
            Self::Keys(KeysEvent::PreKeysUploaded(event)) => Some(&event.page),
            Self::Mailbox(MailboxEvent::MessageQueued(event)) => event.content.as_ref(),
            Self::Profile(ProfileEvent::ProfileVersionSet(event)) => Some(&event.fields),
            _ => None,
        }
    }

    fn from_json(family: Family, name: &str, data: &[u8]) -> Result<Self, DecodeError> {
        Ok(match family {
            Family::Account => Self::Account(AccountEvent::from_json(name, data)?),
            Family::Keys => Self::Keys(KeysEvent::from_json(name, data)?),
            Family::Mailbox => Self::Mailbox(MailboxEvent::from_json(name, data)?),
            Family::Number => Self::Number(NumberEvent::from_json(name, data)?),
            Family::Verification => Self::Verification(VerificationEvent::from_json(name, data)?),
            Family::Operator => Self::Operator(OperatorEvent::from_json(name, data)?),
            Family::Username => Self::Username(UsernameEvent::from_json(name, data)?),
            Family::Profile => Self::Profile(ProfileEvent::from_json(name, data)?),
            Family::Erasure => Self::Erasure(ErasureEvent::from_json(name, data)?),
            Family::Tree => Self::Tree(TreeEvent::from_json(name, data)?),
            Family::Picture => Self::Picture(PictureEvent::from_json(name, data)?),
        })
    }
}

/// The kinds of a family's events: number and name.
pub const fn types(family: Family) -> &'static [(i16, &'static str)] {
    match family {
        Family::Account => AccountEvent::TYPES,
        Family::Keys => KeysEvent::TYPES,
        Family::Mailbox => MailboxEvent::TYPES,
        Family::Number => NumberEvent::TYPES,
        Family::Verification => VerificationEvent::TYPES,
        Family::Operator => OperatorEvent::TYPES,
        Family::Username => UsernameEvent::TYPES,
        Family::Profile => ProfileEvent::TYPES,
        Family::Erasure => ErasureEvent::TYPES,
        Family::Tree => TreeEvent::TYPES,
        Family::Picture => PictureEvent::TYPES,
    }
}

/// The number that the store keeps for a kind.
pub fn type_code(family: Family, name: &str) -> Option<i16> {
    types(family)
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(code, _)| *code)
}

/// The name of a stored number.
pub fn type_name(family: Family, code: i16) -> Option<&'static str> {
    types(family)
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

/// The version of the stored form that this version writes.
pub const SCHEMA_VERSION: u16 = 1;

/// Brings data of an older stored form one version up.
type Upcaster = fn(Value) -> Value;

/// The step from a version (of a family's kind) to the next. A stored form never changes; it gets a row here.
const UPCASTERS: &[(Family, &str, u16, Upcaster)] = &[];

/// Data of any version, in the current form.
fn upcast(
    steps: &[(Family, &str, u16, Upcaster)],
    recorded: &Recorded,
    version: u16,
) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let due = |from: u16| {
        steps.iter().find(|(family, name, at, _)| {
            *family == recorded.stream.family() && *name == recorded.type_name && *at == from
        })
    };
    let mut value: Option<Value> = None;
    for from in version..SCHEMA_VERSION.max(version + u16::from(!steps.is_empty())) {
        if let Some((.., step)) = due(from) {
            let current = match value.take() {
                Some(value) => value,
                None => serde_json::from_slice(&recorded.data)?,
            };
            value = Some(step(current));
        }
    }
    value.map(|value| serde_json::to_vec(&value)).transpose()
}

/// An event with all that is known about it, decoded. Personal values are sealed until [`Fact::open`]; one that
/// is still sealed cannot be told from one that is erased by [`Personal::known`](crate::personal::Personal::known).
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its place in the log.
    pub position: Position,
    /// The stream it stands in.
    pub stream: StreamId,
    /// Its place in the stream.
    pub revision: Revision,
    /// Its id.
    pub id: EventId,
    /// Who, when, through which request.
    pub metadata: Metadata,
    /// What happened.
    pub event: AnyEvent,
}

impl Fact {
    /// Decodes a stored event.
    pub fn decode(recorded: &Recorded) -> Result<Self, DecodeError> {
        let metadata: Metadata =
            serde_json::from_slice(&recorded.metadata).map_err(DecodeError::Metadata)?;
        let name = recorded.type_name.as_ref();
        let upcasted = upcast(UPCASTERS, recorded, metadata.schema_version).map_err(|source| {
            DecodeError::Malformed {
                name: name.to_owned(),
                source,
            }
        })?;
        let data = upcasted.as_deref().unwrap_or(&recorded.data);
        Ok(Self {
            position: recorded.position,
            stream: recorded.stream.clone(),
            revision: recorded.revision,
            id: recorded.id,
            metadata,
            event: AnyEvent::from_json(recorded.stream.family(), name, data)?,
        })
    }

    /// Collects the keys that the event's personal values need.
    pub fn needs_keys(&mut self, needed: &mut Vec<KeyId>) {
        self.event
            .visit_personal(&mut |field| needed.extend(field.key()));
    }

    /// Opens the personal values; those without a key are erased from now on.
    pub fn open(&mut self, keys: &HashMap<KeyId, SubjectKey>) -> Result<(), Tampered> {
        let mut outcome = Ok(());
        self.event.visit_personal(&mut |field| {
            if outcome.is_ok() {
                outcome = field.open(keys).map(|_| field.give_up());
            }
        });
        outcome
    }

    /// Opens the personal values whose keys are among `keys`, and collects which keys the others need.
    pub fn open_known(
        &mut self,
        keys: &HashMap<KeyId, SubjectKey>,
        needed: &mut Vec<KeyId>,
    ) -> Result<(), Tampered> {
        let mut outcome = Ok(());
        self.event.visit_personal(&mut |field| {
            if outcome.is_ok() {
                outcome = field.open(keys).map(|key| needed.extend(key));
            }
        });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Timestamp;

    fn recorded(data: &str) -> Recorded {
        Recorded {
            position: Position(1),
            stream: "number-00000000-0000-0000-0000-000000000008".parse().unwrap(),
            revision: Revision(0),
            id: EventId::from_random([1; 16]),
            type_name: "NumberReleased".into(),
            data: data.to_owned().into(),
            metadata: r#"{"at":5,"actor":"anonymous","request":"00000000-0000-0000-0000-000000000001","v":1}"#.into(),
            recorded_at: Timestamp::default(),
        }
    }

    #[test]
    fn numbers_and_names_are_unique_and_read_back() {
        for family in Family::ALL {
            for (code, name) in types(family) {
                assert_eq!(type_code(family, name), Some(*code));
                assert_eq!(type_name(family, *code), Some(*name));
            }
        }
    }

    #[test]
    fn an_old_shape_is_brought_up_before_it_is_read() {
        let steps: &[(Family, &str, u16, Upcaster)] = &[(
            Family::Number,
            "NumberReleased",
            1,
            |old| serde_json::json!({ "aci": old["account"] }),
        )];
        let old = recorded(r#"{"account":"00000000-0000-0000-0000-000000000007"}"#);
        let new = upcast(steps, &old, 1).unwrap().unwrap();
        assert_eq!(new, br#"{"aci":"00000000-0000-0000-0000-000000000007"}"#);
        assert_eq!(upcast(&[], &old, 1).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert!(matches!(
            Fact::decode(&recorded("{}")),
            Err(DecodeError::Malformed { .. })
        ));
        let mut unknown = recorded("{}");
        unknown.type_name = "NumberPainted".into();
        assert!(matches!(
            Fact::decode(&unknown),
            Err(DecodeError::UnknownType { .. })
        ));
    }
}
