#![doc = include_str!("../README.md")]

mod held;
mod task;

pub use held::{
    Holder, Lock, end_stalled, give_back, holders, try_take, try_take_in, wait, wait_in,
};
pub use task::Task;
