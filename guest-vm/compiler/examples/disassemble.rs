//! Compiles files, or with `-e` an expression, and prints the bytecode:
//! `cargo run -p mix-compiler --example disassemble -- -e '1 + 2'`

use mix_compiler::{CompileOptions, SourceFile, compile, compile_expression};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let options = CompileOptions::default();
    let is_expression = args.first().is_some_and(|arg| arg == "-e");
    if is_expression {
        args.remove(0);
    }
    let expression = match is_expression && !args.is_empty() {
        true => Some(args.remove(0)),
        false => None,
    };
    let mut files = Vec::new();
    for path in args {
        match std::fs::read(&path) {
            Ok(text) => files.push(SourceFile::new(path, text)),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let result = match expression {
        Some(text) => compile_expression(&text, &files, &options),
        None => compile(&files, &options),
    };
    eprint!("{}", result.text());
    let Some(program) = result.program else {
        return ExitCode::FAILURE;
    };
    print!("{}", mix_bytecode::disassemble::disassemble(&program));
    println!("{} bytes", mix_bytecode::encode(&program).len());
    match mix_bytecode::verify(&program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
