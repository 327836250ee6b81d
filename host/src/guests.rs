//! The components that are part of this program.

// Written by build.rs: one `pub const NAME: &[u8]` per component.
#![allow(missing_docs)]

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
