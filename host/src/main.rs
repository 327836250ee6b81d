//! The program `mixer`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mix_malloc::bound_arenas();
    ExitCode::from(mixer::cli::main())
}
