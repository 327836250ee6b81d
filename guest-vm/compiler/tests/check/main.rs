//! What the checker accepts, refuses and warns about.

mod documentation;
mod examples;
mod fetched;
mod hostile;
mod library;
mod mutations;
mod programs;
mod queries;
mod rules;
mod warnings;
mod worked_examples;

use mix_compiler::{CompileOptions, SourceFile, compile_expression};

/// The codes of the errors of a source file with modules.
pub fn module_errors(text: &str) -> Vec<String> {
    let files = [SourceFile::new("test.mix", text)];
    let result = mix_compiler::check(&files, &CompileOptions::default());
    if std::env::var_os("SHOW_ISSUES").is_some() {
        println!("{}", result.text());
    }
    result
        .errors
        .iter()
        .map(|issue| issue.code.as_str().to_string())
        .collect()
}

/// The codes of the errors of session input that ends in an expression.
pub fn expression_errors(text: &str) -> Vec<String> {
    let result = compile_expression(text, &[], &CompileOptions::default());
    if std::env::var_os("SHOW_ISSUES").is_some() {
        println!("{}", result.text());
    }
    result
        .errors
        .iter()
        .map(|issue| issue.code.as_str().to_string())
        .collect()
}
