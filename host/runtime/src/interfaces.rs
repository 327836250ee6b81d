//! What a component imports and exports by itself, read from its bytes: it is neither compiled nor made part of
//! a composition for that. What the components inside it import and export does not count.

use anyhow::Result;
use wasmparser::{Encoding, Parser, Payload};

/// Names of the interfaces of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Interfaces {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

impl Interfaces {
    /// Those of a component; both lists are empty for a module.
    pub(crate) fn of(component: &[u8]) -> Result<Interfaces> {
        let mut found = Interfaces::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version {
                    encoding: Encoding::Component | Encoding::Module,
                    ..
                } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(reader) if depth == 1 => {
                    for import in reader {
                        found.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(reader) if depth == 1 => {
                    for export in reader {
                        found.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_of_the_component_itself_count() {
        let component = wat::parse_str(
            r#"(component
                (import "a:b/outer@0.1.0" (instance))
                (component (import "a:b/inner@0.1.0" (instance $in)) (export "a:b/hidden@0.1.0" (instance $in)))
                (core module (import "m" "f" (func)) (export "g" (func 0)))
                (export "a:b/shown@0.1.0" (instance 0)))"#,
        )
        .unwrap();
        let expected = Interfaces {
            imports: vec!["a:b/outer@0.1.0".to_owned()],
            exports: vec!["a:b/shown@0.1.0".to_owned()],
        };
        assert_eq!(Interfaces::of(&component).unwrap(), expected);
        for length in 1..component.len() {
            // Cut anywhere it is refused, or some of its sections are missing.
            if let Ok(found) = Interfaces::of(&component[..length]) {
                assert!(found != expected, "{length} bytes");
            }
        }
        let module = Interfaces::of(b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(module, Interfaces::default());
        assert!(Interfaces::of(b"text").is_err());
    }
}
