//! Modules whose text lies at an address: `module M _source_ {url: "…"}`.

use crate::syntax::ast::{Const, ConstKind};

/// Texts that name further texts.
pub(crate) const MAX_DEPTH: u32 = 8;

/// Why a text is missing that nobody tried to fetch.
pub(crate) const NOT_HERE: &str = "texts from addresses are not fetched here";

/// The address in the constant after `_source_`.
pub(crate) fn address(constant: &Const) -> Option<&str> {
    match &constant.kind {
        ConstKind::Str(address) => Some(address),
        ConstKind::Object(entries) => {
            let (_, value) = entries.iter().find(|(name, _)| &*name.text == "url")?;
            match &value.kind {
                ConstKind::Str(address) => Some(address),
                _ => None,
            }
        }
        _ => None,
    }
}
