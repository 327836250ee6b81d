//! The program `mixer`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mix_malloc::return_memory_soon();
    ExitCode::from(mixer::cli::main())
}
