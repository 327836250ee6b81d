//! `mixer build`.

use super::check::{Sources, options, sources};
use super::debug_data::DebugData;
use super::package;
use super::select::{self, Ingredients};
use super::{Exit, output};
use clap::{Args, ValueEnum};
use mix_runtime::libraries::{self, LibraryFile};
use mix_runtime::programs::{self, Executable};
use mix_runtime::standalone;
use mix_runtime::workspace::write_output;
use std::path::{Path, PathBuf};

/// Compiles sources into an executable, a package or one component.
#[derive(Debug, Args)]
pub struct Build {
    /// Files or folders; libraries (`.mixlib`) that they use.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where to; named after the first path without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The app of a package or component; named after the first path without it.
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Component: native code for `wasmtime` of this version on machines of this kind (`.cwasm`).
    #[arg(long)]
    precompile: bool,
    /// Component: for hosts without async, to be embedded; functions that wait are the host's.
    #[arg(long, conflicts_with_all = ["plugins", "grants", "families", "open_family"])]
    sync: bool,
    #[command(flatten)]
    ingredients: Ingredients,
    /// Make a library of this name, `NAME-VERSION` for one with a version.
    #[arg(long, value_name = "NAME")]
    lib: Option<String>,
    /// What to make; by the ending of the output without it.
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Write debug data too (`.dbg`), beside the output or into the package: `mixer error-decode` reads it.
    #[arg(long)]
    debug: bool,
    /// Package: without the records beside the sources.
    #[arg(long)]
    bare: bool,
    /// Warnings fail too.
    #[arg(long)]
    warnings_as_errors: bool,
    /// Print the issues as JSON on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A program of the VM (`.mixexe`).
    Exe,
    /// A library for other programs (`.mixlib`).
    Lib,
    /// One component with the VM and the families that it needs (`.wasm`, `.cwasm`).
    Standalone,
    /// A package of one app (`.remix`): program, libraries, and beside the sources `files/`,
    /// `records/*.json` and `appMeta.json`.
    Package,
}

impl Build {
    pub fn execute(self) -> Result<(), Exit> {
        let wants_library = self.lib.is_some() || self.target == Some(Target::Lib);
        let output = match (&self.output, &self.lib) {
            (Some(output), _) => output.clone(),
            (None, Some(name)) => PathBuf::from(format!("{name}.mixlib")),
            (None, None) => {
                let ending = if wants_library { "mixlib" } else { "mixexe" };
                PathBuf::from(format!("{}.{ending}", programs::name_after(&self.paths[0])))
            }
        };
        let target = match (
            self.target,
            output.extension().and_then(|ending| ending.to_str()),
        ) {
            (Some(target), _) if !wants_library || target == Target::Lib => target,
            (Some(_), _) => return Err(Exit::usage("--lib makes a library; leave --target out")),
            (None, Some("mixlib")) => Target::Lib,
            (None, _) if wants_library => Target::Lib,
            (None, Some("wasm" | PRECOMPILED)) => Target::Standalone,
            (None, Some(package::ENDING)) => Target::Package,
            (None, Some("mixexe") | None) => Target::Exe,
            (None, Some(_)) => {
                return Err(Exit::usage(format!(
                    "{}: its ending does not say what to make: .mixexe, .mixlib, .remix, .wasm and .cwasm do, or --target exe",
                    output.display()
                )));
            }
        };
        if target != Target::Standalone && (self.precompile || self.sync || self.ingredients.any())
        {
            return Err(Exit::usage(
                "--plugin, --grant, --family, --open-family, --sync and --precompile are for components (-o app.wasm)",
            ));
        }
        if self.bare && target != Target::Package {
            return Err(Exit::usage("--bare is for packages (-o app.remix)"));
        }
        let Sources {
            mut files,
            libraries,
        } = sources(&self.paths)?;
        if target == Target::Standalone {
            // The same component wherever the sources lie.
            for file in &mut files {
                file.name = relative(&self.paths, &file.name);
            }
        }
        let options = options(&files, &libraries)?;
        let compiled = match target {
            Target::Lib => {
                let after_output = programs::name_after(&output);
                let (name, version) = named(self.lib.as_deref().unwrap_or(&after_output))?;
                programs::compile_library(&files, name, version, &options)?
            }
            Target::Exe | Target::Standalone | Target::Package => {
                programs::compile(&files, &options)?
            }
        };
        if self.json {
            output::line(&compiled.report)?;
        } else {
            output::messages(&compiled.text);
        }
        let Some(executable) = compiled.executable else {
            return Err(Exit::reported());
        };
        if self.warnings_as_errors && compiled.warnings > 0 {
            return Err(Exit::reported());
        }
        let debug = match self.debug {
            true => Some(
                DebugData::read(&executable)
                    .map_err(Exit::failed)?
                    .to_bytes(),
            ),
            false => None,
        };
        if let Some(debug) = debug.as_ref().filter(|_| target != Target::Package) {
            let beside = output.with_extension("dbg");
            write_output(&std::path::absolute(beside).map_err(Exit::io)?, debug)
                .map_err(|error| Exit::io(format!("{error:#}")))?;
        }
        let bytes = match target {
            Target::Exe | Target::Lib => executable,
            Target::Package => self.package(executable, debug, &libraries)?,
            Target::Standalone => {
                let linked = Executable::linked(executable, &mut |_| libraries.clone());
                let executable =
                    linked.map_err(|error| Exit::failed(format!("error: {error:#}")))?;
                let precompile = self.precompile
                    || output
                        .extension()
                        .is_some_and(|ending| ending == PRECOMPILED);
                let app = self.app_name()?;
                let program = (app.clone(), executable);
                let component = if self.sync {
                    standalone::build_sync(&app, &program)
                        .map_err(|error| Exit::failed(format!("error: {error:#}")))?
                } else {
                    select::component(&self.ingredients.recipe(app, vec![program])?)?
                };
                match precompile {
                    true => standalone::precompile(&component)?,
                    false => component,
                }
            }
        };
        write_output(&std::path::absolute(&output).map_err(Exit::io)?, &bytes)
            .map_err(|error| Exit::io(format!("{error:#}")))
    }
}

/// Ending of a precompiled component.
const PRECOMPILED: &str = "cwasm";

/// The name of a source within the app, however its path was written and wherever it lies. Where
/// there are several paths it begins with the last name of its own.
fn relative(paths: &[PathBuf], name: &str) -> String {
    let within = paths.iter().find_map(|path| {
        let rest = Path::new(name).strip_prefix(path).ok()?;
        let is_file = rest.as_os_str().is_empty();
        if paths.len() == 1 && !is_file {
            return Some(rest.to_owned());
        }
        let own = path.canonicalize().ok()?;
        let name = PathBuf::from(own.file_name()?);
        Some(if is_file { name } else { name.join(rest) })
    });
    within.map_or_else(|| name.to_owned(), |path| path.display().to_string())
}

impl Build {
    fn app_name(&self) -> Result<String, Exit> {
        match &self.app {
            Some(app) if mix_http_api::is_app_name(app) => Ok(app.clone()),
            Some(app) => Err(Exit::usage(format!(
                "{app:?} is no app name: {}",
                mix_http_api::APP_NAME
            ))),
            None => Ok(programs::name_after(&self.paths[0])),
        }
    }

    fn package(
        &self,
        executable: Vec<u8>,
        debug: Option<Vec<u8>>,
        libraries: &[LibraryFile],
    ) -> Result<Vec<u8>, Exit> {
        let failed = |error: anyhow::Error| Exit::failed(format!("error: {error:#}"));
        let mut used = Vec::new();
        let linked = Executable::linked(executable.clone(), &mut |program| {
            let files = libraries::used(program, libraries);
            used = files.into_iter().cloned().collect();
            libraries.to_vec()
        })
        .map_err(failed)?;
        let mut files = Vec::new();
        for file in &used {
            let bytes = std::fs::read(&file.path).map_err(Exit::io)?;
            files.push((libraries::file_name(&file.library.id), bytes));
        }
        let app = self.app_name()?;
        files.extend(debug.map(|debug| (format!("{app}.dbg"), debug)));
        let has_setup = linked.params("_rmx_setup").is_some();
        let folder = self.paths.iter().find(|path| path.is_dir());
        package::build(
            &app,
            executable,
            files,
            has_setup,
            folder.map(PathBuf::as_path),
            !self.bare,
        )
    }
}

/// Version of a library whose name gives none.
const FIRST_VERSION: &str = "1";

/// `NAME` or `NAME-VERSION`.
fn named(text: &str) -> Result<(&str, &str), Exit> {
    let (name, version) = match text.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            (name, version)
        }
        _ => (text, FIRST_VERSION),
    };
    let numbers = version.split('.').all(|part| part.parse::<u32>().is_ok());
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(good) || !numbers {
        return Err(Exit::usage(format!(
            "{text:?} is no name of a library: letters, digits, _ and -, then a version such as -1.2"
        )));
    }
    Ok((name, version))
}
