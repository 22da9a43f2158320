//! Backups: what an account leaves for them. The backups themselves know no accounts.

pub mod set_requests;
