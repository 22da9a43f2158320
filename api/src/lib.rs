#![doc = include_str!("../README.md")]

pub mod admission;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
mod contents;
mod entropy;
pub mod grpc;
pub mod http;
pub mod issuing;
pub mod limits;
pub mod listen;
pub mod openapi;
pub mod ports;
pub mod reach;
pub mod remote_config;
pub mod spam;
mod state;
pub mod ws;

pub use config::Config;
pub use entropy::DoorEntropy;
pub use http::router::router;
pub use issuing::{Issuing, IssuingKeys};
pub use listen::{Listener, Shutdown, serve};
pub use state::{Api, EventPosition, Options};
pub use ws::hub::Hub;
