//! `mixer plugin test`: functions of Mix modules that must give `true`.

use super::bindings;
use super::load;
use crate::cli::Exit;
use crate::cli::check::{Sources, options, sources};
use crate::cli::execution;
use crate::cli::output;
use crate::cli::select::GuestFlags;
use crate::cli::{runtime, units};
use clap::Args;
use mix_compiler::documentation::{ItemKind, ModuleDocumentation};
use mix_compiler::{CompileOptions, SourceFile};
use mix_runtime::assembly::Assembly;
use mix_runtime::libraries::LibraryFile;
use mix_runtime::programs::{self, Executable};
use mix_runtime::run::{self, Outcome};
use mix_runtime::workspace::Place;
use mix_value::{Value, escjson, msgpack};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Runs tests written in Mix against a plugin.
///
/// Every function without parameters whose name begins with `test` is a test: it must give `true`. The
/// module of the plugin's functions is there, written by `mixer plugin bindings`.
#[derive(Debug, Args)]
pub struct Test {
    /// The component.
    plugin: PathBuf,
    /// Sources with the tests.
    #[arg(required = true)]
    tests: Vec<PathBuf>,
    /// Time of each test.
    #[arg(long, value_name = "D", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
    #[command(flatten)]
    guests: GuestFlags,
}

impl Test {
    pub fn execute(mut self) -> Result<(), Exit> {
        let code = load(&self.plugin)?;
        let Sources {
            mut files,
            libraries,
        } = sources(&self.tests)?;
        let given = documented(&files);
        let bound = SourceFile {
            name: format!("{}.mix", code.name),
            text: bindings::compiled(&code)?.into_bytes(),
        };
        // Whoever writes the module of the plugin by hand means that one.
        let written = documented(std::slice::from_ref(&bound));
        if !written
            .iter()
            .any(|module| given.iter().any(|one| one.name == module.name))
        {
            files.push(bound);
        }
        let options = options(&files, &libraries)?;
        let checked = programs::check(&files, &options)?;
        eprint!("{}", checked.text);
        if checked.errors > 0 {
            return Err(Exit::reported());
        }
        let tests: Vec<String> = given
            .iter()
            .flat_map(|module| {
                module
                    .items
                    .iter()
                    .filter(|item| item.kind == ItemKind::Def && item.name.starts_with("test"))
                    .map(|item| format!("{}.{}", module.name, item.name))
            })
            .collect();
        if tests.is_empty() {
            return Err(Exit::usage("no function whose name begins with `test`"));
        }
        self.guests.plugins.push(self.plugin.clone());
        let runtime = runtime()?;
        let assembly = runtime.block_on(self.guests.assemble())?;
        let mut failed = 0;
        for test in &tests {
            let program = Self::program(test, &files, &libraries, &options)?;
            let verdict = runtime.block_on(self.run(&assembly, program))?;
            match verdict {
                None => output::line(format_args!("ok      {test}"))?,
                Some(reason) => {
                    failed += 1;
                    output::line(format_args!("FAILED  {test}: {reason}"))?;
                }
            }
        }
        output::line(format_args!("{} tests, {failed} failed", tests.len()))?;
        match failed {
            0 => Ok(()),
            _ => Err(Exit::reported()),
        }
    }

    fn program(
        test: &str,
        files: &[SourceFile],
        libraries: &[LibraryFile],
        options: &CompileOptions,
    ) -> Result<Executable, Exit> {
        let module = test.split('.').next().unwrap_or(test);
        let text = format!("import {module}\n{test}()");
        let compiled = programs::compile_expression(&text, files, options)?;
        let Some(executable) = compiled.executable else {
            eprint!("{}", compiled.text);
            return Err(Exit::reported());
        };
        Executable::linked(executable, &mut |_| libraries.to_vec())
            .map_err(|error| Exit::failed(format!("error: {error:#}")))
    }

    /// Why the test failed; none if it did not.
    async fn run(
        &self,
        assembly: &Arc<Assembly>,
        program: Executable,
    ) -> Result<Option<String>, Exit> {
        let scratch = execution::scratch()?;
        let place = Place::new(scratch.path(), "local", "test").map_err(Exit::usage)?;
        let program = Arc::new(program);
        let request = execution::request(&self.guests, place, "", program, self.timeout)?;
        Ok(match run::run(assembly, request).await {
            Outcome::Output(bytes) => match msgpack::decode(&bytes) {
                Ok(Value::Bool(true)) => None,
                Ok(value) => Some(format!(
                    "it gives {}",
                    escjson::format(&value).unwrap_or_else(|_| "no value".to_owned())
                )),
                Err(error) => Some(error.to_string()),
            },
            Outcome::Issue(issue) | Outcome::NotLoaded(issue) => {
                Some(format!("{}: {}", issue.code, issue.message))
            }
            Outcome::TimedOut => Some("it ran out of time".to_owned()),
            Outcome::OutOfMemory => Some("it ran out of memory".to_owned()),
            Outcome::Broken(reason) => Some(reason),
        })
    }
}

/// What modules offer.
fn documented(files: &[SourceFile]) -> Vec<ModuleDocumentation> {
    mix_compiler::documentation(files).modules
}
