//! The examples in the doc comments of the library.
//!
//! An example with a result (`expression  //= result`) is run as a conformance block; one
//! without is only compiled, because it needs the network, a permission or a host that the
//! native runs lack.

use std::fmt::Write;

use anyhow::Result;
use mix_compiler::{CompileOptions, compile_expression, library_documentation};
use mix_conformance::{case_file, expect, session};

/// What differs for an example; nothing if it is right.
fn difference(example: &str) -> Result<Option<String>> {
    if !example.contains("  //= ") {
        let text = format!("let example = ({example}); null");
        let compiled = compile_expression(&text, &[], &CompileOptions::default());
        return Ok(match compiled.program {
            Some(_) => None,
            None => Some(compiled.text()),
        });
    }
    for block in case_file::parse(example) {
        let run = session::run(&block)?;
        let expected = block.expected.as_deref().unwrap_or("");
        match run.source {
            Some(did) if expect::fits(expected, &did.outcome, &run.warnings, &did.log) => {}
            other => return Ok(Some(format!("expected {expected}, got {other:?}"))),
        }
    }
    Ok(None)
}

#[test]
fn every_function_has_an_example_that_is_right() -> Result<()> {
    let mut differences = String::new();
    let mut examples = 0;
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
            for example in &item.examples {
                examples += 1;
                if let Some(difference) = difference(example)? {
                    writeln!(differences, "{name}: {example}\n     {difference}")?;
                }
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{examples} examples, but:\n{differences}"
    );
    assert!(examples > 800, "only {examples} examples were found");
    Ok(())
}
