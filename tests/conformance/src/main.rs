//! Shows the results of conformance files: `mix-conformance [FILE…]`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

fn main() -> Result<ExitCode> {
    let given: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let files = if given.is_empty() {
        mix_conformance::files()?
    } else {
        given
    };
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        for verdict in mix_conformance::run_file(&file)? {
            match verdict.difference {
                None => passed += 1,
                Some(difference) => {
                    failed += 1;
                    println!("{} ({})\n     {difference}", verdict.id, verdict.place);
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
