//! The library against the list of what it promises (`library.txt`).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use anyhow::{Context, Result};

/// Functions that are nothing but what the compiler makes of their calls.
const CALLED_ONLY: &[(&str, &str)] = &[("db", "filter"), ("db", "eval")];

/// A type without spaces, its variables named by their order.
fn normal(ty: &str) -> String {
    let chars: Vec<char> = ty.chars().filter(|c| !c.is_whitespace()).collect();
    let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let mut names = HashMap::new();
    let mut out = String::new();
    for (at, c) in chars.iter().enumerate() {
        let alone = !word(at.checked_sub(1).and_then(|before| chars.get(before)))
            && !word(chars.get(at + 1));
        if c.is_ascii_uppercase() && alone {
            let next = names.len();
            let number = *names.entry(*c).or_insert(next);
            let _ = write!(out, "T{number}");
        } else {
            out.push(*c);
        }
    }
    out
}

/// Public names of a module with their types; constant cases have none.
fn names(source: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    for line in source.lines() {
        let declaration = line
            .strip_prefix("foreign def ")
            .or(line.strip_prefix("def "));
        if let Some((name, ty)) = declaration.and_then(|rest| rest.split_once(" : ")) {
            let ty = ty.split(" = \"").next().unwrap_or(ty);
            found.insert(name.to_owned(), Some(normal(ty)));
        }
        if let Some(cases) = line.strip_prefix("case ") {
            for case in cases.split('|') {
                found.insert(case.trim().to_owned(), None);
            }
        }
    }
    found
}

#[test]
fn the_library_has_everything_it_promises() -> Result<()> {
    let list = std::fs::read_to_string(mix_conformance::folder().join("library.txt"))?;
    let mut module = "";
    let mut known = BTreeMap::new();
    let mut differences = String::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            module = name;
            known = match mix_stdlib::source(name) {
                Some(source) => names(source),
                None => {
                    writeln!(differences, "there is no module {name}")?;
                    continue;
                }
            };
        } else if !line.is_empty() {
            let (list, ty) = line.split_once(" : ").context(line.to_owned())?;
            for name in list.split(", ") {
                match known.get(name) {
                    None => writeln!(differences, "{module}.{name} is missing")?,
                    Some(Some(found)) if *found != normal(ty) => {
                        writeln!(
                            differences,
                            "{module}.{name} has the type {found}, not {ty}"
                        )?;
                    }
                    Some(_) => {}
                }
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    Ok(())
}

/// Every module compiles with all of its functions, not only with those that programs reach.
#[test]
fn every_function_of_the_library_compiles() -> Result<()> {
    let mut differences = String::new();
    for module in mix_stdlib::modules() {
        if module.name == "prelude" {
            continue;
        }
        let mut text = String::new();
        for (name, ty) in names(module.source) {
            if ty.is_some() && !CALLED_ONLY.contains(&(module.name, name.as_str())) {
                write!(text, "let f_{name} = {}.{name}; ", module.name)?;
            }
        }
        text.push_str("null");
        let options = mix_compiler::CompileOptions::default();
        let compiled = mix_compiler::compile_expression(&text, &[], &options);
        if compiled.program.is_none() {
            writeln!(differences, "{}: {}", module.name, compiled.report())?;
        }
    }
    assert!(differences.is_empty(), "{differences}");
    Ok(())
}
