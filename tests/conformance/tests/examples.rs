//! The examples in the doc comments of the library: each function has one, each has a result,
//! and those that need no family are run. What is left is run by tests of the component and of the
//! server.

use std::fmt::Write;

use anyhow::Result;
use mix_compiler::library_documentation;
use mix_conformance::example::{self, Example, Place};
use mix_conformance::{compare, session};

/// What differs for an example that is run natively; nothing if it is right.
fn difference(text: &str) -> Result<Option<String>> {
    for block in &example::blocks(text) {
        if let Some(difference) = compare(block, &session::run(block)?) {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

#[test]
fn every_function_has_an_example() -> Result<()> {
    let mut differences = String::new();
    for module in mix_stdlib::modules() {
        let Some(documented) = library_documentation(module.name) else {
            writeln!(differences, "{} has no documentation", module.name)?;
            continue;
        };
        if documented.text.is_empty() {
            writeln!(differences, "module {} is not described", module.name)?;
        }
        for item in &documented.items {
            let name = format!("{}.{}", module.name, item.name);
            let is_function = item.signature.starts_with("def ");
            if is_function && item.text.is_empty() {
                writeln!(differences, "{name} is not described")?;
            }
            if is_function && item.examples.is_empty() {
                writeln!(differences, "{name} has no example")?;
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    Ok(())
}

#[test]
fn every_example_is_right() -> Result<()> {
    let mut differences = String::new();
    let (mut native, mut elsewhere) = (0, 0);
    for example in example::all() {
        let last = example.text.lines().last().unwrap_or_default();
        let found = match example::place(&example.text)? {
            _ if !last.contains("  //= ") => Some("it has no result".to_owned()),
            Place::Native => {
                native += 1;
                difference(&example.text)?
            }
            Place::Component | Place::Server => {
                elsewhere += 1;
                None
            }
        };
        if let Some(difference) = found {
            let Example { of, text } = &example;
            writeln!(differences, "{of}: {text}\n     {difference}")?;
        }
    }
    assert!(
        differences.is_empty(),
        "{native} examples run here, {elsewhere} elsewhere, but:\n{differences}"
    );
    assert!(native > 850, "only {native} examples");
    Ok(())
}
