#![doc = include_str!("../README.md")]

pub mod account;
pub mod codec;
pub mod erasure;
pub mod ids;
pub mod keys;
pub mod line;
pub mod mailbox;
pub mod meeting;
pub mod metadata;
pub mod number;
pub mod operator;
pub mod payload;
pub mod personal;
pub mod picture;
pub mod ports;
pub mod profile;
pub mod store;
pub mod stream;
pub mod tree;
pub mod username;
pub mod values;
pub mod verification;

pub use codec::{AnyEvent, DecodeError, Event};
pub use ids::{
    Aci, DeviceId, EventId, Generation, LinkHandle, MessageGuid, Pni, RegistrationId, ServiceId,
    SessionId,
};
pub use metadata::{Actor, Metadata, RequestId};
pub use payload::{Payload, PayloadId, PayloadRef};
pub use personal::{Personal, Subject};
pub use store::{
    Append, AppendError, Appended, Batch, EventStore, Expected, Guard, NewEvent, Position,
    ReadError, Recorded, Revision,
};
pub use stream::{Family, StreamId};
pub use values::{Timestamp, e164::E164};
