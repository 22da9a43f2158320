//! What accounts leave for their backups.

use super::base64_serde;
use super::keys::fixed_bytes;
use crate::values::InvalidBytes;

fixed_bytes!(
    /// A blinded request for credentials of a backup: 97 bytes, from which nobody learns which backup it is.
    BackupRequest, 97, "a request for backup credentials (97 bytes, version 0)"
);

impl BackupRequest {
    const VERSION: u8 = 0;

    fn checked(bytes: Box<[u8; Self::LEN]>) -> Option<Self> {
        (bytes[0] == Self::VERSION).then_some(Self(bytes))
    }
}
