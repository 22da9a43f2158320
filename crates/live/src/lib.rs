#![doc = include_str!("../README.md")]

mod connected;
mod handle;
mod meetings;
mod node;
mod successions;
mod tables;

pub use connected::Connected;
pub use handle::Handle;
pub use meetings::MeetingPlaces;
pub use node::{Incoming, Node, Options, Timing};
