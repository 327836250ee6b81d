//! `mixer plugin bindings`: a module of `foreign def`s from what a plugin says about itself.
//!
//! A function is documented by its description. Its type is the line of it that begins with `Type:`; without
//! one all its arguments and its result are `data`.

use super::load;
use crate::cli::Exit;
use crate::cli::output;
use clap::Args;
use mix_compiler::{CompileOptions, SourceFile};
use mix_runtime::bindings::Function;
use mix_runtime::plugin::PluginCode;
use mix_runtime::programs;
use mix_runtime::workspace::write_output;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Writes the Mix module that gives the functions of a plugin their types.
#[derive(Debug, Args)]
pub struct Bindings {
    /// The component.
    plugin: PathBuf,
    /// Where to; standard output without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Bindings {
    pub fn execute(self) -> Result<(), Exit> {
        let code = load(&self.plugin)?;
        let text = compiled(&code)?;
        match self.output {
            None => output::text(&text)?,
            Some(path) => {
                let path = std::path::absolute(path).map_err(Exit::io)?;
                write_output(&path, text.as_bytes())
                    .map_err(|error| Exit::io(format!("{error:#}")))?;
            }
        }
        Ok(())
    }
}

/// The parts of `$family_verb`.
pub struct Name<'a> {
    /// Name of the module.
    pub family: &'a str,
    /// Name of the function in it.
    pub verb: &'a str,
}

impl Name<'_> {
    /// The parts of a foreign name that can be those of a module and a function.
    pub fn of(name: &str) -> Option<Name<'_>> {
        let (family, verb) = name.strip_prefix('$')?.split_once('_')?;
        (is_word(family) && is_word(verb)).then_some(Name { family, verb })
    }
}

/// Type of a function in Mix, and its documentation without the line that says it.
pub fn type_of(function: &Function) -> (String, String) {
    let (types, doc): (Vec<&str>, Vec<&str>) = function
        .doc
        .lines()
        .map(str::trim)
        .partition(|line| line.starts_with("Type:"));
    let doc = doc.join("\n").trim().to_owned();
    match types.first() {
        Some(line) => (line["Type:".len()..].trim().to_owned(), doc),
        None => {
            let parameters = match function.params {
                0 => "null".to_owned(),
                count => vec!["data"; usize::from(count)].join(" -> "),
            };
            (format!("{parameters} -> data"), doc)
        }
    }
}

/// How many parameters a function of this type has: `null -> T` has none.
fn arity(of: &str) -> usize {
    let mut depth = 0usize;
    let mut ends = Vec::new();
    let mut before = ' ';
    for (at, letter) in of.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '>' if before == '-' && depth == 0 => ends.push(at - 1),
            _ => {}
        }
        before = letter;
    }
    match ends.as_slice() {
        [one] if of[..*one].trim() == "null" => 0,
        ends => ends.len(),
    }
}

/// Why a function cannot have the type that it gives, if that is so.
pub fn misfit(function: &Function) -> Option<String> {
    let (of, _) = type_of(function);
    let (name, params) = (&function.name, usize::from(function.params));
    let typed = arity(&of);
    (typed != params).then(|| {
        format!("{name} takes {params} arguments, but its type ({of}) has {typed}: say both alike")
    })
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The modules of a plugin, one for each family of names in it.
pub fn modules(code: &PluginCode) -> String {
    let mut families: BTreeMap<&str, Vec<(&str, &Function)>> = BTreeMap::new();
    for function in &code.functions {
        if let Some(Name { family, verb }) = Name::of(&function.name) {
            families.entry(family).or_default().push((verb, function));
        }
    }
    let mut text = String::new();
    for (family, functions) in families {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!(
            "/// The functions of plugin {}.\nmodule {family}\n",
            code.name
        ));
        for (verb, function) in functions {
            let (of, doc) = type_of(function);
            text.push('\n');
            for line in doc.lines() {
                text.push_str(format!("  /// {line}").trim_end());
                text.push('\n');
            }
            text.push_str(&format!(
                "  foreign def {verb} : {of} = \"{}\"\n",
                function.name
            ));
        }
        text.push_str("\nmodule end\n");
    }
    text
}

/// [`modules`], checked by the compiler.
pub fn compiled(code: &PluginCode) -> Result<String, Exit> {
    let text = modules(code);
    let file = SourceFile {
        name: format!("{}.mix", code.name),
        text: text.clone().into_bytes(),
    };
    let checked = programs::check(&[file], &CompileOptions::default())?;
    // A quotation mark would end the type and name another function.
    let quotes = |function: &Function| type_of(function).0.contains('"');
    if let Some(misfit) = code.functions.iter().find_map(misfit) {
        return Err(Exit::failed(format!("error: {misfit}")));
    }
    if checked.errors > 0 || code.functions.iter().any(quotes) {
        output::messages(&checked.text);
        return Err(Exit::failed(format!(
            "error: the names of the functions of plugin {} and their types (`Type:` in their documentation) make no Mix module",
            code.name
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted() {
        for (of, params) in [
            ("null -> number", 0),
            ("string -> number", 1),
            ("null -> null -> number", 2),
            ("{a: string} -> array([number, data]) -> map(data)", 2),
            ("(data -> data) -> data", 1),
            ("data -> xml.node -> file.file", 2),
            ("number", 0),
        ] {
            assert_eq!(arity(of), params, "{of}");
        }
    }
}
