//! The examples in the doc comments of the library.
//!
//! An example with a result is run, here or, if it needs families that the native runs lack, by
//! the same test of the component. One without a result is only compiled.

use std::fmt::Write;

use anyhow::Result;
use mix_compiler::{CompileOptions, compile_expression, library_documentation};
use mix_conformance::{compare, example, session};

/// What differs for an example; nothing if it is right.
fn difference(text: &str) -> Result<Option<String>> {
    let blocks = example::blocks(text);
    if blocks.is_empty() {
        let text = format!("let example = ({text}); null");
        let compiled = compile_expression(&text, &[], &CompileOptions::default());
        return Ok(match compiled.program {
            Some(_) => None,
            None => Some(compiled.text()),
        });
    }
    for block in &blocks {
        if example::is_native(block)?
            && let Some(difference) = compare(block, &session::run(block)?)
        {
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
    let (mut run, mut compiled) = (0, 0);
    for example in example::all() {
        match example.text.contains("  //= ") {
            true => run += 1,
            false => compiled += 1,
        }
        if let Some(difference) = difference(&example.text)? {
            writeln!(
                differences,
                "{}: {}\n     {difference}",
                example.of, example.text
            )?;
        }
    }
    assert!(
        differences.is_empty(),
        "{run} examples, but:\n{differences}"
    );
    assert!(run > 900, "only {run} examples have a result");
    // What needs a server, a user or a screen.
    assert!(compiled < 110, "{compiled} examples have no result");
    Ok(())
}
