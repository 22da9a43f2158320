//! Verification sessions: somebody proves that a phone number is theirs.

pub mod drop_recovery_password;
pub mod policy;
pub mod report_undelivered;
pub mod request_code;
pub mod start_session;
pub mod state;
pub mod submit_code;
pub mod submit_proof;
pub mod view;

pub use policy::{SessionBudget, VerificationPolicy};
pub use state::Session;
pub use view::{SessionFacts, SessionView};
