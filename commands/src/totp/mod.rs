//! Time-based one-time passwords: a second proof that whoever registers an account's number again must show.

pub mod change_metadata;
pub mod confirm_key;
pub mod generate_key;
pub mod remove_key;
pub mod state;

pub use change_metadata::SetTotpKeyMetadata;
pub use confirm_key::ConfirmTotpKey;
pub use generate_key::GenerateTotpKey;
pub use remove_key::RemoveTotpKey;
pub use state::TotpKeys;
