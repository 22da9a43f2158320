//! Usernames: who has them, who had them and may have them back, and the links to them.

pub mod change_link;
pub mod confirm_username;
pub mod drop_username;
pub mod reserve_username;
pub mod state;

pub use change_link::{DeleteUsernameLink, SetUsernameLink};
pub use confirm_username::{ConfirmUsername, ProvedUsername};
pub use drop_username::DropUsername;
pub use reserve_username::ReserveUsername;
pub use state::{Username, Usernames};
