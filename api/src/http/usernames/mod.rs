//! `/v1/accounts/username_hash` and `/v1/accounts/username_link`.

pub mod claim;
pub mod confirm;
pub mod delete;
pub mod delete_link;
pub mod look_up;
pub mod look_up_link;
pub mod reserve;
pub mod set_link;
