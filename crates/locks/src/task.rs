//! The names of what is done by one process at a time.

/// What one process at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task<'a> {
    /// Destroying what should have been destroyed.
    Sweep,
    /// Keeping the tree over the log.
    KeepTree,
    /// Letting messages expire.
    Expiry,
    /// Moving old history to the archive.
    Retention,
    /// Claiming sockets for a node, or looking whether it still has them.
    Claim,
    /// Writing a read model, or acting as a reactor.
    Follow {
        /// Its stored name.
        name: &'a str,
        /// The version of its rows.
        version: u32,
    },
    /// Making a second copy of a read model's tables in the schema of this name.
    Copy(&'a str),
}

impl Task<'_> {
    /// The first half of the locks' numbers: "Heli" in ASCII.
    pub(crate) const CLASS: i32 = 0x4865_6c69;

    /// The second half. Below zero for what there is one of; else a hash of the name.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Sweep => -1,
            Self::KeepTree => -2,
            Self::Expiry => -3,
            Self::Retention => -4,
            Self::Claim => -5,
            Self::Follow { name, version } => hash(&format!("{name}_v{version}")),
            Self::Copy(schema) => hash(schema),
        }
    }
}

/// FNV-1a, without the sign.
fn hash(name: &str) -> i32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i32::try_from(hash >> 1).expect("31 bits fit")
}
