//! What a package may be at most.

/// Entries larger than this must not expand more than [`MAX_RATIO`]-fold.
pub(crate) const RATIO_FROM: u64 = 1 << 20;
/// Greatest expansion of a large entry.
pub(crate) const MAX_RATIO: u64 = 200;
/// Longest name of an entry.
pub(crate) const MAX_NAME: usize = 1024;
/// Largest manifest.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;
/// Largest JSON entry.
pub(crate) const MAX_JSON: u64 = 64 << 20;
/// Largest MessagePack entry.
pub(crate) const MAX_MP: u64 = 256 << 20;
/// Largest program or library.
pub(crate) const MAX_CODE: u64 = 64 << 20;

/// Limits of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of an entry when it is unpacked.
    pub entry: u64,
    /// Bytes of all entries when they are unpacked.
    pub total: u64,
}

impl Limits {
    /// Of a package of apps.
    pub const PACKAGE: Limits = Limits {
        entries: 20_000,
        entry: 512 << 20,
        total: 2 << 30,
    };

    /// Of a whole workspace.
    pub const MASTERTAPE: Limits = Limits {
        entries: 200_000,
        entry: 4 << 30,
        total: 64 << 30,
    };
}
