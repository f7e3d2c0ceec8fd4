//! Whether a machine has tiles.

/// The tiles of a machine, by which products of bf16 numbers in row blocks of 16 are made (Intel AMX).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileSupport {
    /// The processor has none, or none for bf16.
    Absent,
    /// It has them, but the system does not give them to this process.
    Refused,
    /// They may be used.
    Allowed,
}
