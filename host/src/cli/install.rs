//! `mixer install`, and how the other commands get a program.

use super::check::options;
use super::package;
use super::select::GuestFlags;
use super::{Exit, output};
use clap::Args;
use mix_compiler::{CompileOptions, SourceFile};
use mix_install::Request;
use mix_runtime::libraries::{self, LibraryFile, beside};
use mix_runtime::programs::{self, Executable, Source};
use mix_runtime::workspace::Place;
use mix_value::escjson;
use std::path::{Path, PathBuf};

/// Installs a package or a program.
#[derive(Debug, Args)]
pub struct Install {
    /// A package (`.remix`), a folder of sources, a `.mix`, a `.mixexe`, or a component (`.wasm`) of `mixer build`.
    path: PathBuf,
    /// Folder of workspaces.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR")]
    ws_dir: PathBuf,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local")]
    ws: String,
    /// App; named after the path without it. A package says itself which apps it brings.
    #[arg(long, value_name = "A")]
    app: Option<String>,
    /// Package: install over what was published later.
    #[arg(long)]
    force: bool,
    /// Package: only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Package: the platform that it has to be for.
    #[arg(long, value_name = "P")]
    platform: Option<String>,
    /// Package: the surface that it has to be for.
    #[arg(long, value_name = "S")]
    surface: Option<String>,
    /// Package: on whose behalf.
    #[arg(long, value_name = "NAME", default_value = "anonymous")]
    user: String,
    #[command(flatten)]
    guests: GuestFlags,
}

impl Install {
    pub fn execute(self) -> Result<(), Exit> {
        if package::is_package(&self.path) {
            return self.install_package();
        }
        let program = Program::load(&self.path, &[])?;
        let app = self.app.unwrap_or_else(|| programs::name_after(&self.path));
        let place = Place::new(&self.ws_dir, &self.ws, &app).map_err(Exit::usage)?;
        program
            .install(&place)
            .map_err(|error| Exit::io(format!("{error:#}")))?;
        let (path, ws) = (self.path.display(), &self.ws);
        output::messages(&format!("installed {path} into {ws}/{app}\n"));
        Ok(())
    }
}

impl Install {
    fn install_package(self) -> Result<(), Exit> {
        if self.app.is_some() {
            return Err(Exit::usage(
                "a package says itself which apps it brings; leave --app out",
            ));
        }
        let request = Request {
            force: self.force,
            platform: self.platform,
            surface: self.surface,
            actor: self.user,
        };
        let (ws_dir, guests) = (&self.ws_dir, Some(&self.guests));
        let done = package::install(&self.path, ws_dir, &self.ws, &request, self.dry_run, guests)?;
        let report =
            escjson::format(&done.report).map_err(|error| Exit::failed(error.to_string()))?;
        output::line(&report)?;
        Ok(())
    }
}

/// A program that can be run or installed.
pub struct Program {
    /// The executables, linked: one, but for a component that carries several.
    executables: Vec<Executable>,
    /// As it is stored in an app, with its libraries beside it.
    stored: Vec<u8>,
    libraries: Vec<LibraryFile>,
    path: PathBuf,
}

impl Program {
    /// Reads or compiles what the path holds; diagnostics go to standard error.
    pub fn load(path: &Path, agents: &[String]) -> Result<Program, Exit> {
        let mut libraries = Vec::new();
        let wrong =
            |error: anyhow::Error| Exit::failed(format!("error: {}: {error:#}", path.display()));
        let bytes = match programs::read(path).map_err(|error| Exit::io(format!("{error:#}")))? {
            Source::Executable(bytes) => bytes,
            Source::Component(component) => {
                let executables = programs::carried(&component).map_err(wrong)?;
                if executables.is_empty() {
                    return Err(Exit::failed(format!(
                        "error: {}: it carries no program of this VM and does not export mix:embed/agents; `mixer build APP -o app.wasm` makes a component that does",
                        path.display()
                    )));
                }
                return Ok(Program {
                    executables,
                    stored: component,
                    libraries,
                    path: path.to_owned(),
                });
            }
            Source::Texts(files, beside) => {
                libraries = beside;
                build(&files, agents, &libraries)?
            }
            Source::Library(_) => {
                return Err(Exit::usage(format!(
                    "{} is a library; give the program that uses it",
                    path.display()
                )));
            }
        };
        let mut used = Vec::new();
        let executable = Executable::linked(bytes.clone(), &mut |program| {
            if libraries.is_empty() {
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                libraries = absolute.parent().map(beside).unwrap_or_default();
            }
            used = libraries::used(program, &libraries)
                .into_iter()
                .cloned()
                .collect();
            libraries.clone()
        })
        .map_err(wrong)?;
        Ok(Program {
            executables: vec![executable],
            stored: bytes,
            libraries: used,
            path: path.to_owned(),
        })
    }

    /// The executable that has the agent; if none has it, one that says so when it is run.
    pub fn with_agent(self, agent: &str) -> Option<Executable> {
        let has_it = |one: &&Executable| one.params(agent).is_some();
        let place = self.executables.iter().rposition(|one| has_it(&one));
        let mut executables = self.executables;
        place
            .map(|place| executables.swap_remove(place))
            .or_else(|| executables.pop())
    }

    /// All of it.
    pub fn executables(self) -> Vec<Executable> {
        self.executables
    }

    /// Puts it into an app.
    pub fn install(&self, place: &Place) -> anyhow::Result<()> {
        let name = programs::name_after(&self.path);
        let libraries: Vec<&LibraryFile> = self.libraries.iter().collect();
        place.create()?;
        libraries::copy(&libraries, &place.code())?;
        programs::install(place, &name, &self.stored, &self.path)
    }
}

/// Compiles sources; issues are printed.
fn build(
    files: &[SourceFile],
    agents: &[String],
    libraries: &[LibraryFile],
) -> Result<Vec<u8>, Exit> {
    let options = CompileOptions {
        agents: agents.to_vec(),
        ..options(files, libraries)?
    };
    let compiled = programs::compile(files, &options)?;
    eprint!("{}", compiled.text);
    compiled.executable.ok_or_else(Exit::reported)
}
