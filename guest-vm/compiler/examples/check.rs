//! Checks files and prints their issues: `cargo run -p mix-compiler --example check -- a.mix`

use mix_compiler::{CompileOptions, SourceFile, check};
use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut files = Vec::new();
    for path in std::env::args().skip(1) {
        match std::fs::read(&path) {
            Ok(text) => files.push(SourceFile::new(path, text)),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let result = check(&files, &CompileOptions::default());
    let text = match std::io::stderr().is_terminal() {
        true => result.terminal_text(),
        false => result.text(),
    };
    eprint!("{text}");
    match result.errors.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
