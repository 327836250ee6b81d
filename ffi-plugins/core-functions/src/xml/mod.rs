//! XML text and the nodes of module `xml`.
//!
//! A node is a case value: `xml.textNode(text)` or `xml.elementNode(record)`.
//!
//! * [`parse`](parse()): text to the root element
//! * [`format`](format()): a node to text
//! * [`html_entities`]: names of characters

mod format;
mod parse;
mod prolog;
mod references;

pub use format::format;
pub use parse::parse;

use mix_value::Value;

/// Deepest nesting of elements: a node takes three levels of the nesting that values may have.
pub const MAX_DEPTH: usize = 40;

/// The case of text.
const TEXT_NODE: &str = "xml.textNode";
/// The case of elements.
const ELEMENT_NODE: &str = "xml.elementNode";

/// The named characters of HTML: name to text.
#[must_use]
pub fn html_entities() -> Value {
    Value::map(entities::ENTITIES.iter().filter_map(|entity| {
        let name = entity.entity.strip_prefix('&')?.strip_suffix(';')?;
        Some((name, Value::string(entity.characters)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_characters() {
        let map = html_entities();
        assert_eq!(map.get("eacute"), Some(&Value::string("é")));
        assert_eq!(map.get("amp"), Some(&Value::string("&")));
        assert_eq!(map.get("eacute;"), None);
    }
}
