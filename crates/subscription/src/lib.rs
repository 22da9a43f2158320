#![doc = include_str!("../README.md")]

mod backoff;
mod bookkeeping;
mod component;
mod decode;
mod feed;
mod hearsay;
mod lease;
mod measures;
mod progress;
mod projection;
mod reacting;
mod reactor;
mod rebuilds;
mod session;
mod standing;
mod worker;

pub use bookkeeping::{
    Checkpoint, Follower, NotParked, lock_checkpoint, may_park, park, parked, reactors,
    read_checkpoint, set_checkpoint, unpark,
};
pub use component::{Handle, Options, Subscription, Timing};
pub use decode::{FeedError, Reader, Stretch, Unreadable};
pub use feed::Feed;
pub use progress::Progress;
pub use projection::{ApplyError, CopyIn, InMemory, Need, Projection, Shard, Unfit};
pub use reacting::{Reacting, ReactingOptions};
pub use reactor::{Begins, Reactor, Trouble};
pub use rebuilds::{Rebuild, rebuilds};
pub use standing::{Behind, Standing, StandingError, State, reactor_standings, standings};
