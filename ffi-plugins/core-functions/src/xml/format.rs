//! The nodes of module `xml` to XML text.
//!
//! Only the fields `name` and `space` count, besides attributes and children. A namespace
//! is declared where it first occurs.

use std::collections::BTreeMap;

use mix_value::Value;

use super::{ELEMENT_NODE, TEXT_NODE};
use crate::Refusal;

/// The space that the prefix `xml` always has.
const XML_SPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// The text of a node.
pub fn format(node: &Value) -> Result<String, Refusal> {
    let mut writer = Writer {
        out: String::new(),
        scope: vec![("xml".to_owned(), XML_SPACE.to_owned())],
    };
    writer.node(node)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    /// Prefixes and their spaces, innermost last.
    scope: Vec<(String, String)>,
}

fn is_name(name: &str) -> bool {
    let start = |c: char| c == '_' || c.is_alphabetic();
    let inner = |c: char| start(c) || c.is_numeric() || matches!(c, '-' | '.' | '\u{b7}');
    let part = |part: &str| part.starts_with(start) && part.chars().all(inner);
    match name.split_once(':') {
        Some((prefix, local)) => part(prefix) && part(local),
        None => part(name),
    }
}

fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

fn text_of<'a>(value: &'a Value, what: &'static str) -> Result<&'a str, Refusal> {
    value
        .as_str()
        .ok_or(Refusal::Expected("ERR_EXPECTED_STRING", what))
}

/// A field that may be missing.
fn optional<'a>(record: &'a Value, key: &str, what: &'static str) -> Result<&'a str, Refusal> {
    record.get(key).map_or(Ok(""), |value| text_of(value, what))
}

fn checked_name(name: &str) -> Result<&str, Refusal> {
    if is_name(name) {
        Ok(name)
    } else {
        Err(Refusal::Range(format!("{name:?} is not a name of XML")))
    }
}

fn prefix_of(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

fn declaration(prefix: &str) -> String {
    if prefix.is_empty() {
        "xmlns".to_owned()
    } else {
        format!("xmlns:{prefix}")
    }
}

impl Writer {
    fn space_of(&self, prefix: &str) -> &str {
        self.scope
            .iter()
            .rev()
            .find(|(known, _)| known == prefix)
            .map_or("", |(_, space)| space)
    }

    fn escaped(&mut self, text: &str, in_attribute: bool) -> Result<(), Refusal> {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' if in_attribute => self.out.push_str("&quot;"),
                '\t' | '\n' | '\r' if in_attribute => {
                    self.out.push_str(&format!("&#{};", u32::from(c)));
                }
                c if is_char(c) => self.out.push(c),
                c => {
                    return Err(Refusal::Range(format!("XML has no character {c:?}")));
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Value) -> Result<(), Refusal> {
        let Value::Case(case) = node else {
            return Err(Refusal::Expected("ERR_EXPECTED_CASE", "a node"));
        };
        match (&*case.name, case.argument.as_ref()) {
            (TEXT_NODE, Some(text)) => self.escaped(text_of(text, "a text")?, false),
            (ELEMENT_NODE, Some(record)) => self.element(record),
            _ => Err(Refusal::Expected("ERR_EXPECTED_CASE", "a node")),
        }
    }

    /// The attributes with the declarations that they need.
    fn attributes(&mut self, record: &Value) -> Result<BTreeMap<String, String>, Refusal> {
        let mut attributes = BTreeMap::new();
        let mut spaces = Vec::new();
        if let Some(props) = record.get("props") {
            let props = props
                .as_map()
                .ok_or(Refusal::Expected("ERR_EXPECTED_MAP", "attributes"))?;
            for (key, prop) in props {
                let (name, space, value) = match prop {
                    Value::Map(_) => (
                        prop.get("name")
                            .map_or(Ok(&**key), |name| text_of(name, "the name of an attribute"))?,
                        optional(prop, "space", "the space of an attribute")?,
                        optional(prop, "value", "the value of an attribute")?,
                    ),
                    value => (&**key, "", text_of(value, "the value of an attribute")?),
                };
                let name = checked_name(name)?;
                if name == "xmlns" || prefix_of(name) == "xmlns" {
                    let prefix = name.strip_prefix("xmlns").unwrap_or("");
                    let prefix = prefix.trim_start_matches(':');
                    self.scope.push((prefix.to_owned(), value.to_owned()));
                    attributes.insert(name.to_owned(), value.to_owned());
                } else {
                    spaces.push((name, space, value));
                }
            }
        }
        for (name, space, value) in spaces {
            let mut name = name.to_owned();
            if !space.is_empty() && prefix_of(&name).is_empty() {
                name = format!("{}:{name}", self.some_prefix(space, &attributes));
            }
            if !space.is_empty() {
                self.declare(prefix_of(&name), space, &mut attributes)?;
            }
            attributes.insert(name, value.to_owned());
        }
        Ok(attributes)
    }

    /// A prefix for a space: one in scope, else a fresh one.
    fn some_prefix(&self, space: &str, attributes: &BTreeMap<String, String>) -> String {
        let known = self.scope.iter().rev().find(|(prefix, bound)| {
            bound == space && !prefix.is_empty() && self.space_of(prefix) == space
        });
        if let Some((prefix, _)) = known {
            return prefix.clone();
        }
        let mut number = 1;
        loop {
            let prefix = format!("ns{number}");
            if self.space_of(&prefix).is_empty() && !attributes.contains_key(&declaration(&prefix))
            {
                return prefix;
            }
            number += 1;
        }
    }

    fn declare(
        &mut self,
        prefix: &str,
        space: &str,
        attributes: &mut BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        if self.space_of(prefix) == space {
            return Ok(());
        }
        let name = declaration(prefix);
        if attributes.contains_key(&name) || prefix == "xml" {
            return Err(Refusal::Range(format!(
                "the prefix {prefix:?} stands for two namespaces in one element"
            )));
        }
        attributes.insert(name, space.to_owned());
        self.scope.push((prefix.to_owned(), space.to_owned()));
        Ok(())
    }

    fn element(&mut self, record: &Value) -> Result<(), Refusal> {
        if record.as_map().is_none() {
            return Err(Refusal::Expected(
                "ERR_EXPECTED_MAP",
                "the record of an element",
            ));
        }
        let name = record.get("name").ok_or(Refusal::Expected(
            "ERR_EXPECTED_STRING",
            "the name of an element",
        ))?;
        let name = checked_name(text_of(name, "the name of an element")?)?.to_owned();
        let space = optional(record, "space", "the space of an element")?;
        let outer = self.scope.len();
        let mut attributes = self.attributes(record)?;
        // A prefix whose space is not said is left as it is.
        if !(space.is_empty() && (name.contains(':') || attributes.contains_key("xmlns"))) {
            self.declare(prefix_of(&name), space, &mut attributes)?;
        }
        self.out.push('<');
        self.out.push_str(&name);
        for (name, value) in &attributes {
            self.out.push_str(&format!(" {name}=\""));
            self.escaped(value, true)?;
            self.out.push('"');
        }
        let children = match record.get("children") {
            None => &[][..],
            Some(children) => children
                .as_array()
                .ok_or(Refusal::Expected("ERR_EXPECTED_ARRAY", "children"))?,
        };
        if children.is_empty() {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            for child in children {
                self.node(child)?;
            }
            self.out.push_str(&format!("</{name}>"));
        }
        self.scope.truncate(outer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;
    use mix_value::{Map, escjson};

    fn again(text: &str) -> Result<String, Refusal> {
        format(&parse(&Map::new(), text)?)
    }

    #[test]
    fn what_was_read_is_written_alike() -> Result<(), Refusal> {
        for text in [
            "<a/>",
            "<a b=\"1\" c=\"&quot;&#9;&#10;\">x &lt; &amp; y<d/>z</a>",
            "<a xmlns=\"u\"><b/><c xmlns=\"\"/></a>",
            "<p:a p:b=\"2\" xmlns:p=\"u\"><p:c/><p:d xmlns:p=\"v\"/></p:a>",
            "<a xml:id=\"7\" xml:lang=\"de\"/>",
        ] {
            assert_eq!(again(text)?, text);
        }
        assert_eq!(again("<a  z='1' b='2' ></a >")?, "<a b=\"2\" z=\"1\"/>");
        Ok(())
    }

    #[test]
    fn trees_made_by_hand() {
        let element = |record: &str| {
            let text =
                format!(r#"{{"_rmx_type":"{{tag}}case:xml.elementNode","_rmx_value":{record}}}"#);
            match format(&escjson::parse(&text).unwrap_or_default()) {
                Ok(text) => text,
                Err(refusal) => refusal.code().to_owned(),
            }
        };
        assert_eq!(element(r#"{"name":"a","props":{"b":"1"}}"#), "<a b=\"1\"/>");
        assert_eq!(
            element(r#"{"name":"a","space":"u","props":{"b":{"space":"v","value":"1"}}}"#),
            "<a ns1:b=\"1\" xmlns=\"u\" xmlns:ns1=\"v\"/>"
        );
        for (record, code) in [
            ("{}", "ERR_EXPECTED_STRING"),
            (r#"{"name":"a b"}"#, "ERR_RANGE"),
            (r#"{"name":"a","children":{}}"#, "ERR_EXPECTED_ARRAY"),
            (r#"{"name":"a","children":[1]}"#, "ERR_EXPECTED_CASE"),
            (r#"{"name":"a","props":{"b\u0000":"1"}}"#, "ERR_RANGE"),
            (r#"{"name":"a","props":{"b":"\u0000"}}"#, "ERR_RANGE"),
            ("7", "ERR_EXPECTED_MAP"),
        ] {
            assert_eq!(element(record), code, "{record}");
        }
    }
}
