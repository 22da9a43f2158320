//! `/v1/certificate`: what a device shows to those who receive its sealed messages, and to groups.

pub mod delivery;
pub mod group;
