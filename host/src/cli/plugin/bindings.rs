//! `mixer plugin bindings`: a module of `foreign def`s from what a plugin says about itself.
//!
//! A function is documented by its description. Its type is the line of it that begins with `Type:`; without
//! one all its arguments and its result are `data`.

use super::load;
use crate::cli::Exit;
use crate::cli::output;
use clap::Args;
use mix_compiler::syntax::lexer::KEYWORDS;
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

/// What the line of a documentation begins with that says the type.
const TYPE: &str = "Type:";

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
        .partition(|line| line.trim_start().starts_with(TYPE));
    let doc = without_margin(&doc);
    match types.first() {
        Some(line) => (line.trim()[TYPE.len()..].trim().to_owned(), doc),
        None => {
            let parameters = match function.params {
                0 => "null".to_owned(),
                count => vec!["data"; usize::from(count)].join(" -> "),
            };
            (format!("{parameters} -> data"), doc)
        }
    }
}

/// Lines without the blanks that all of them begin with (what stands behind `///` begins with one): the
/// indentation of code remains.
fn without_margin(lines: &[&str]) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let texts = lines.iter().filter(|line| !line.trim().is_empty());
    let margin = texts.map(|line| indent(line)).min().unwrap_or(0);
    let cut = lines
        .iter()
        .map(|line| line.get(margin..).unwrap_or_default().trim_end());
    let cut: Vec<&str> = cut.collect();
    cut.join("\n").trim_matches('\n').to_owned()
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

/// The name that a module or function has in Mix: a word of the language itself cannot be one, and
/// has `_` behind it. `others` are the names beside it.
fn defined(name: &str, others: &[&str]) -> String {
    let mut name = name.to_owned();
    if KEYWORDS.contains(&name.as_str()) {
        name.push('_');
        while others.contains(&name.as_str()) {
            name.push('_');
        }
    }
    name
}

/// The modules of a plugin, one for each family of names in it.
pub fn modules(plugin: &str, offered: &[Function]) -> String {
    let mut families: BTreeMap<&str, Vec<(&str, &Function)>> = BTreeMap::new();
    for function in offered {
        if let Some(Name { family, verb }) = Name::of(&function.name) {
            families.entry(family).or_default().push((verb, function));
        }
    }
    let mut text = String::new();
    for (family, functions) in families {
        if !text.is_empty() {
            text.push('\n');
        }
        let module = defined(family, &[]);
        text.push_str(&format!(
            "/// The functions of plugin {plugin}.\nmodule {module}\n"
        ));
        let verbs: Vec<&str> = functions.iter().map(|(verb, _)| *verb).collect();
        for (verb, function) in functions {
            let verb = defined(verb, &verbs);
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
    let text = modules(&code.name, &code.functions);
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

    fn function(name: &str, doc: &str) -> Function {
        Function {
            name: name.to_owned(),
            params: 0,
            waits: false,
            doc: doc.to_owned(),
        }
    }

    /// The text of the modules, without errors for the compiler.
    fn modules_of(functions: &[Function]) -> String {
        let text = modules("demo", functions);
        let file = SourceFile::new("demo.mix".to_owned(), text.clone().into_bytes());
        let checked = programs::check(&[file], &CompileOptions::default()).unwrap();
        assert_eq!(checked.errors, 0, "{}", checked.text);
        text
    }

    #[test]
    fn words_of_the_language_have_a_sign_behind_them() {
        let text = modules_of(&[
            function("$demo_type", "A."),
            function("$demo_case", "B."),
            function("$demo_case_", "C."),
            function("$on_end", "D."),
            function("$import_kind", "E."),
        ]);
        for part in [
            "foreign def type_ : null -> data = \"$demo_type\"",
            "foreign def case__ : null -> data = \"$demo_case\"",
            "foreign def case_ : null -> data = \"$demo_case_\"",
            "foreign def end : null -> data = \"$on_end\"",
            "module import_\n",
            "foreign def kind : null -> data = \"$import_kind\"",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn code_in_documentation_keeps_its_indentation() {
        let doc = "\n Counts.\n\n ```mix\n let f = x ->\n   x + 1;  \n f(1)\n ```\n \n Type: null -> number\n";
        let count = function("$demo_count", doc);
        let (of, doc) = type_of(&count);
        assert_eq!(of, "null -> number");
        assert_eq!(doc, "Counts.\n\n```mix\nlet f = x ->\n  x + 1;\nf(1)\n```");
        let text = modules_of(&[count]);
        assert!(
            text.contains("  /// let f = x ->\n  ///   x + 1;\n  /// f(1)\n"),
            "{text}"
        );
        // Without a margin nothing is cut.
        let (_, doc) = type_of(&function("$demo_count", "a\n  b\n"));
        assert_eq!(doc, "a\n  b");
    }

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
