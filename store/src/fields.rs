//! The engine-owned fields of a record.

/// Identity of the record.
pub const ID: &str = "_rmx_id";
/// Identity of the version.
pub const REV: &str = "_rmx_rev";
/// Revision this version replaced.
pub const PREVIOUS: &str = "_rmx_previous";
/// Row number.
pub const ROW: &str = "_rmx_row";
/// Time of the record's first version.
pub const CREATED_AT: &str = "_rmx_created_at";
/// Actor of the record's first version.
pub const CREATED_BY: &str = "_rmx_created_by";
/// Time of this version.
pub const MODIFIED_AT: &str = "_rmx_last_modified_at";
/// Actor of this version.
pub const MODIFIED_BY: &str = "_rmx_last_modified_by";
/// Hash of the user content.
pub const CONTENT_HASH: &str = "_rmx_content_hash";
/// True on tombstones.
pub const DELETED: &str = "_rmx_deleted";
/// True on rows that are not the newest of their id; set when reading.
pub const SUPERSEDED: &str = "_rmx_superseded";
/// Engine-owned fields that came with the input.
pub const ORIGINAL: &str = "_rmx_original";
/// Id that came with the input.
pub const ORIGINAL_ID: &str = "_rmx_original_id";
/// Revision that came with the input.
pub const ORIGINAL_REV: &str = "_rmx_original_rev";
/// System type of a record; set by callers.
pub const TYPE: &str = "_rmx_type";

const ENGINE_OWNED: [&str; 14] = [
    ID,
    REV,
    PREVIOUS,
    ROW,
    CREATED_AT,
    CREATED_BY,
    MODIFIED_AT,
    MODIFIED_BY,
    CONTENT_HASH,
    DELETED,
    SUPERSEDED,
    ORIGINAL,
    ORIGINAL_ID,
    ORIGINAL_REV,
];

/// True for fields that only the engine sets.
pub fn is_engine_owned(key: &str) -> bool {
    key.starts_with("_rmx_") && ENGINE_OWNED.contains(&key)
}
