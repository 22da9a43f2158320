//! Messages: accepted for devices, and acknowledged by them.

pub mod acknowledge;
pub mod device_check;
pub mod expire;
pub mod send_message;
pub mod send_to_many;
