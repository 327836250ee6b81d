//! A component out of a core module.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wit_component::ComponentEncoder;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// It does not begin as modules do.
    #[error("it is no WebAssembly module")]
    NoModule,
    /// It is one already.
    #[error("it is a component already")]
    Component,
    /// Nothing in it says what it exports as a component.
    #[error(
        "it does not say the type of its component: link the object file that `mixer plugin c-bindings` writes (bindings/plugin_component_type.o)"
    )]
    NoType,
    /// It does not have the functions of its type, or imports what is no part of it.
    #[error("{0}")]
    Unfit(String),
}

/// Begin of the names of the sections that say the type.
const TYPE: &str = "component-type";

/// The component of a module that carries its type in a custom section. What the module imports of
/// WASI 0.1 it imports of WASI 0.2 then, if it uses it at all.
pub fn component(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    match module.get(..8) {
        Some(b"\0asm\x01\0\0\0") => {}
        Some(b"\0asm\x0d\0\x01\0") => return Err(ComponentError::Component),
        _ => return Err(ComponentError::NoModule),
    }
    if !module
        .windows(TYPE.len())
        .any(|part| part == TYPE.as_bytes())
    {
        return Err(ComponentError::NoType);
    }
    let unfit = |error| ComponentError::Unfit(format!("{error:#}"));
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(NAME, REACTOR))
        .and_then(|mut encoder| encoder.encode())
        .map_err(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c_bindings;
    use wasmparser::{Parser, Payload};

    const WIT: &str = "package a:b; world w { export answer: func() -> u32; }";

    /// A module with the sections that an object file of the bindings has.
    fn linked(text: &str, wit: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.wit"), wit).unwrap();
        let files = c_bindings(folder.path()).unwrap();
        let (_, object) = files
            .iter()
            .find(|(name, _)| name == "w_component_type.o")
            .unwrap();
        let mut module = wat::parse_str(text).unwrap();
        for payload in Parser::new(0).parse_all(object) {
            if let Payload::CustomSection(section) = payload.unwrap()
                && section.name().starts_with(TYPE)
            {
                let name = section.name().as_bytes();
                let length = u8::try_from(name.len()).unwrap();
                assert!(length < 0x80 && section.data().len() < 0x3000);
                let size = 1 + name.len() + section.data().len();
                let size = [(size & 0x7f) as u8 | 0x80, (size >> 7) as u8];
                module.push(0);
                module.extend(size);
                module.push(length);
                module.extend(name);
                module.extend(section.data());
            }
        }
        module
    }

    #[test]
    fn a_module_with_its_type_becomes_a_component() {
        let module = linked(
            r#"(module (func (export "answer") (result i32) i32.const 42))"#,
            WIT,
        );
        let made = component(&module).unwrap();
        assert!(Parser::is_component(&made));
        assert!(matches!(component(&made), Err(ComponentError::Component)));
        // A clock of WASI 0.1 becomes one of 0.2.
        let clock = r#"(module
            (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "answer") (result i32) (call 0 (i32.const 0) (i64.const 1) (i32.const 8))))"#;
        let made = component(&linked(clock, WIT)).unwrap();
        let text = String::from_utf8_lossy(&made);
        assert!(text.contains("wasi:clocks/wall-clock@0.2"));
    }

    #[test]
    fn what_is_no_component_is_said() {
        assert!(matches!(component(b""), Err(ComponentError::NoModule)));
        assert!(matches!(
            component(b"\0asm\x02\0\0\0"),
            Err(ComponentError::NoModule)
        ));
        let module = wat::parse_str("(module)").unwrap();
        let refused = component(&module).unwrap_err().to_string();
        assert!(refused.contains("plugin_component_type.o"), "{refused}");
        let refused = component(&linked("(module)", WIT)).unwrap_err().to_string();
        assert!(refused.contains("answer"), "{refused}");
        let mut cut = linked("(module)", WIT);
        cut.truncate(cut.len() - 1);
        assert!(matches!(component(&cut), Err(ComponentError::Unfit(_))));
    }
}
