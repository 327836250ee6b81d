//! The program `mixer`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mixer::cli::main())
}
