//! XML text to the nodes of module `xml`.

use mix_value::{Case, Map, Value};
use roxmltree::{Attribute, Document, Node, NodeType, ParsingOptions};

use super::{ELEMENT_NODE, MAX_DEPTH, TEXT_NODE, prolog, references};
use crate::Refusal;

/// Parts of a name that may have a prefix.
struct Name<'a> {
    space: &'a str,
    prefix: String,
    local: &'a str,
}

impl Name<'_> {
    fn full(&self) -> String {
        if self.prefix.is_empty() {
            self.local.to_owned()
        } else {
            format!("{}:{}", self.prefix, self.local)
        }
    }

    /// The fields that elements and attributes have in common.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("local", Value::string(self.local)),
            ("name", Value::string(self.full())),
            ("prefix", Value::string(self.prefix.as_str())),
            ("space", Value::string(self.space)),
        ]
    }
}

fn malformed(message: impl std::fmt::Display) -> Refusal {
    Refusal::Parse(format!("not well-formed XML: {message}"))
}

fn case(name: &str, argument: Value) -> Result<Value, Refusal> {
    Case::new(name, Some(argument))
        .map(Value::Case)
        .map_err(malformed)
}

/// The root element of a text. `namespaces` maps URIs to the prefixes that the nodes get
/// in place of those of the document.
pub fn parse(namespaces: &Map, text: &str) -> Result<Value, Refusal> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = prolog::without_doctype(text);
    let options = ParsingOptions {
        allow_dtd: false,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&text, options).map_err(malformed)?;
    if let Some(at) = references::no_character(&text) {
        let place = document.text_pos_at(at);
        return Err(malformed(format!("malformed entity reference at {place}")));
    }
    Reader {
        text: &text,
        namespaces,
    }
    .element(document.root_element(), 1)
}

struct Reader<'a> {
    text: &'a str,
    namespaces: &'a Map,
}

impl Reader<'_> {
    /// The prefix that a name gets: the preferred one of its space, else that of the document.
    fn prefix(&self, space: &str, qualified: &str) -> String {
        match self.namespaces.get(space).and_then(Value::as_str) {
            Some(preferred) => preferred.to_owned(),
            None => qualified
                .split_once(':')
                .map_or(String::new(), |(prefix, _)| prefix.to_owned()),
        }
    }

    /// The name of an element as it is written.
    fn written_name(&self, node: Node<'_, '_>) -> &str {
        let rest = self.text.get(node.range().start + 1..).unwrap_or("");
        let end = rest
            .find([' ', '\t', '\r', '\n', '/', '>'])
            .unwrap_or(rest.len());
        &rest[..end]
    }

    fn element(&self, node: Node<'_, '_>, depth: usize) -> Result<Value, Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::Parse(format!(
                "the elements are nested deeper than {MAX_DEPTH} levels"
            )));
        }
        let tag = node.tag_name();
        let space = tag.namespace().unwrap_or("");
        let name = Name {
            space,
            prefix: self.prefix(space, self.written_name(node)),
            local: tag.name(),
        };
        let mut props = Map::new();
        // Those without a prefix first: they have no other name to give way to.
        let (plain, prefixed): (Vec<_>, Vec<_>) = node
            .attributes()
            .partition(|attribute| attribute.namespace().is_none());
        for attribute in plain.into_iter().chain(prefixed) {
            let name = self.attribute_name(&attribute, &props);
            let mut fields = name.fields();
            fields.push(("value", Value::string(attribute.value())));
            props.insert(name.full().into(), Value::map(fields));
        }
        let mut fields = name.fields();
        fields.push(("children", Value::Array(self.children(node, depth)?)));
        fields.push(("props", Value::Map(props)));
        case(ELEMENT_NODE, Value::map(fields))
    }

    /// The name of an attribute: with the preferred prefix, or one of its own if another attribute
    /// has that name already.
    fn attribute_name<'a>(&'a self, attribute: &Attribute<'a, '_>, taken: &Map) -> Name<'a> {
        let space = attribute.namespace().unwrap_or("");
        let mut name = Name {
            space,
            prefix: String::new(),
            local: attribute.name(),
        };
        if space.is_empty() {
            return name;
        }
        let written = self.text.get(attribute.range_qname()).unwrap_or("");
        let own = written.split_once(':').map_or("", |(prefix, _)| prefix);
        let numbered = (1..).map(|number| format!("ns{number}"));
        let prefixes = [self.prefix(space, written), own.to_owned()];
        for prefix in prefixes.into_iter().chain(numbered) {
            name.prefix = prefix;
            if !taken.contains_key(name.full().as_str()) {
                break;
            }
        }
        name
    }

    /// Elements and texts; texts that are only parted by what is dropped are one.
    fn children(&self, node: Node<'_, '_>, depth: usize) -> Result<Vec<Value>, Refusal> {
        let mut children = Vec::new();
        let mut text = String::new();
        for child in node.children() {
            match child.node_type() {
                NodeType::Text => text.push_str(child.text().unwrap_or("")),
                NodeType::Element => {
                    if !text.is_empty() {
                        children.push(case(TEXT_NODE, Value::string(std::mem::take(&mut text)))?);
                    }
                    children.push(self.element(child, depth + 1)?);
                }
                NodeType::Root | NodeType::PI | NodeType::Comment => {}
            }
        }
        if !text.is_empty() {
            children.push(case(TEXT_NODE, Value::string(text))?);
        }
        Ok(children)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_value::escjson;

    fn shown(text: &str, namespaces: &[(&str, &str)]) -> String {
        let namespaces = Value::map(namespaces.iter().map(|(k, v)| (*k, Value::string(*v))));
        match parse(namespaces.as_map().unwrap_or(&Map::new()), text) {
            Ok(node) => escjson::format(&node).unwrap_or_default(),
            Err(refusal) => refusal.code().to_owned(),
        }
    }

    fn text_node(text: &str) -> String {
        format!(r#"{{"_rmx_type":"{{tag}}case:xml.textNode","_rmx_value":"{text}"}}"#)
    }

    #[test]
    fn elements_and_text() {
        let node = shown("<a x='1'>b<!-- c -->d<![CDATA[<e>]]></a>", &[]);
        assert!(node.contains(&text_node("bd<e>")), "{node}");
        assert!(
            node.contains(r#""x":{"local":"x","name":"x","prefix":"","space":"","value":"1"}"#)
        );
        let node = shown("<p:a xmlns:p='u' p:b='2'><c/></p:a>", &[]);
        assert!(node.contains(r#""name":"p:a","prefix":"p""#), "{node}");
        assert!(
            node.contains(
                r#""p:b":{"local":"b","name":"p:b","prefix":"p","space":"u","value":"2"}"#
            )
        );
        assert!(!node.contains("xmlns"));
        let node = shown("<p:a xmlns:p='u' p:b='2'/>", &[("u", "")]);
        assert!(node.contains(r#""name":"a","prefix":"""#), "{node}");
        assert!(node.contains(r#""b":{"local":"b","name":"b","prefix":"","space":"u""#));
    }

    #[test]
    fn preferred_prefixes_lose_no_attribute() {
        let names = |text: &str, namespaces: &[(&str, &str)]| {
            let node = shown(text, namespaces);
            let names = node.split(r#""name":""#).skip(1);
            let names = names.filter_map(|rest| rest.split('"').next());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        let text = "<a xmlns:p='u' p:q='1' q='2'/>";
        assert_eq!(names(text, &[("u", "")]), ["a", "p:q", "q"]);
        let text = "<a xmlns:k='u' xmlns:l='v' k:q='1' l:q='2'/>";
        assert_eq!(names(text, &[("u", "p"), ("v", "p")]), ["a", "l:q", "p:q"]);
        let text = "<a xmlns:k='u' xmlns:l='v' k:q='1' l:q='2'/>";
        assert_eq!(
            names(text, &[("u", "l"), ("v", "l")]),
            ["a", "l:q", "ns1:q"]
        );
    }

    #[test]
    fn malformed_text() {
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "a",
            "<a b=1/>",
            "<a b='1' b='2'/>",
            "<p:a/>",
            "<a>&nosuch;</a>",
            "<a>&#0;</a>",
            "<a>&</a>",
            "<a b='<'/>",
            "<1a/>",
            "<a>]]></a>",
            "<a>\u{1}</a>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        ] {
            assert_eq!(shown(text, &[]), "ERR_PARSE", "{text}");
        }
    }

    #[test]
    fn hostile_documents() {
        let deep = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
        assert_eq!(shown(&deep, &[]), "ERR_PARSE");
        let deepest = "<a>".repeat(MAX_DEPTH) + &"</a>".repeat(MAX_DEPTH);
        assert!(shown(&deepest, &[]).starts_with('{'));
        let bomb = "<!DOCTYPE a [<!ENTITY x 'yyyyyyyyyy'><!ENTITY z '&x;&x;&x;&x;&x;'>]><a>b</a>";
        assert!(shown(bomb, &[]).contains(&text_node("b")));
    }
}
