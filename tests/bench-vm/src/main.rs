//! `make bench-vm`: the same programs in Mix, JavaScript and Lua, in one run, as one table.
//!
//! `programs/` holds each of them as `name.mix`, `name.js` and `name.lua`. All
//! three compute the same text, which is compared before anything is printed.
//! A program is run several times in every engine and its fastest run counts:
//! what disturbs a run only ever makes it slower. Times are computing time of the process.
//!
//! - [`program`]: what is measured
//! - [`mix`]: Mix in the native library
//! - `component` (feature): Mix in its component, under the engine of `mixer`
//! - `peers` (feature): QuickJS and Lua 5.4
//! - [`cases`]: uses of library functions
//! - [`growth`]: these at doubling sizes, to see that none is quadratic
//! - [`load`]: what the library costs a program when it starts, and what a program of a megabyte ([`large`])
//! - `library` (with `peers`): these on a million elements, beside the builtins of QuickJS
//!
//! `build FOLDER` writes the executables, to be run by any `mixer`.
//!
//! `cargo run --release -p mix-bench-vm --features peers,component -- [growth|library|load|build FOLDER] [NAME]...`

mod cases;
mod clock;
#[cfg(feature = "component")]
mod component;
mod growth;
mod large;
#[cfg(feature = "peers")]
mod library;
mod load;
mod mix;
#[cfg(feature = "peers")]
mod peers;
mod program;
mod table;

use std::time::Duration;

use anyhow::{Result, ensure};
use program::{Measured, Program};

/// Runs of one program in one engine, at least.
const RUNS: usize = 5;
/// Time that one program may take in one engine before no further run is begun.
const PATIENCE: Duration = Duration::from_secs(3);

/// One way to run programs.
trait Engine {
    /// Heading of its column.
    fn name(&self) -> &'static str;
    /// Makes a program ready; `None` if there is none in the language of this engine.
    fn prepare<'a>(&'a self, program: &'a Program) -> Result<Option<Run<'a>>>;
}

/// Runs a prepared program once.
type Run<'a> = Box<dyn FnMut() -> Result<Measured> + 'a>;

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "growth") {
        return growth::print(&arguments.split_off(1));
    }
    if arguments.first().is_some_and(|first| first == "load") {
        return load::print();
    }
    #[cfg(feature = "peers")]
    if arguments.first().is_some_and(|first| first == "library") {
        return library::print(&arguments.split_off(1));
    }
    if let [command, folder] = &arguments[..]
        && command == "build"
    {
        return build(std::path::Path::new(folder));
    }
    let programs: Vec<Program> = program::all()?
        .into_iter()
        .filter(|program| arguments.is_empty() || arguments.contains(&program.name))
        .collect();
    ensure!(!programs.is_empty(), "no program has that name");

    let engines: Vec<Box<dyn Engine>> = vec![
        Box::new(mix::Native),
        #[cfg(feature = "component")]
        Box::new(component::Component::new()?),
        #[cfg(feature = "peers")]
        Box::new(peers::QuickJs),
        #[cfg(feature = "peers")]
        Box::new(peers::Lua),
    ];
    let names: Vec<&'static str> = engines.iter().map(|engine| engine.name()).collect();
    let mut rows = Vec::new();
    for program in &programs {
        let mut times = Vec::new();
        let mut expected: Option<String> = None;
        for engine in &engines {
            let Some(mut run) = engine.prepare(program)? else {
                times.push(None);
                continue;
            };
            let mut best = Duration::MAX;
            let mut spent = Duration::ZERO;
            let mut runs = 0;
            while runs == 0 || (runs < RUNS && spent < PATIENCE) {
                let measured = run()?;
                let expected = expected.get_or_insert_with(|| measured.text.clone());
                ensure!(
                    *expected == measured.text,
                    "{} of {} gives {}, not {expected}",
                    program.name,
                    engine.name(),
                    measured.text
                );
                best = best.min(measured.time);
                spent += measured.time;
                runs += 1;
            }
            times.push(Some(best));
        }
        eprintln!("{}: {}", program.name, expected.unwrap_or_default());
        rows.push((program.name.clone(), times));
    }
    print!("{}", table::render(&names, &rows));
    Ok(())
}

/// Writes the executables of all programs into a folder.
fn build(folder: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for program in program::all()? {
        if let Some(executable) = mix::compile(&program)? {
            std::fs::write(
                folder.join(program.name).with_extension("mixexe"),
                executable,
            )?;
        }
    }
    Ok(())
}
