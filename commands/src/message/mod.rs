//! Messages: accepted for devices, acknowledged by them, and reported.

pub mod acknowledge;
pub mod device_check;
pub mod expire;
pub mod report_message;
pub mod send_message;
pub mod send_to_many;
