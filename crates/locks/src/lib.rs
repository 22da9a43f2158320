#![doc = include_str!("../README.md")]

mod held;
mod lifeline;
mod task;

pub use held::{
    Holder, Lock, end_stalled, give_back, holders, try_take, try_take_in, wait, wait_in,
};
pub use lifeline::{hold_lifeline, lifelines};
pub use task::Task;
