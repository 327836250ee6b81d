//! `mixer repl`.

use super::Exit;
use super::check::{Sources, options, sources};
use super::runtime;
use super::select::GuestFlags;
use super::units;
use crate::repl::{Loop, Setting, VmMachine};
use clap::Args;
use mix_repl::Repl as Phrases;
use mix_runtime::environment;
use mix_runtime::workspace::Place;
use std::path::PathBuf;
use std::time::Duration;

/// Enters definitions and expressions one by one.
#[derive(Debug, Args)]
pub struct Repl {
    /// Sources and libraries (`.mixlib`) whose modules can be used; may be repeated.
    #[arg(long, value_name = "F")]
    file: Vec<PathBuf>,
    /// App whose records and files the phrases use; a temporary one without it.
    #[arg(long, value_name = "A", requires = "ws_dir")]
    app: Option<String>,
    /// Folder of workspaces.
    #[arg(long, value_name = "D", env = "MIXER_WS_DIR")]
    ws_dir: Option<PathBuf>,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local")]
    ws: String,
    /// Time of one interaction.
    #[arg(long, value_name = "D", default_value = "60s", value_parser = units::duration)]
    timeout: Duration,
    #[command(flatten)]
    guests: GuestFlags,
}

impl Repl {
    pub fn execute(self) -> Result<(), Exit> {
        let Sources { files, libraries } = sources(&self.file)?;
        let options = options(&files, &libraries)?;
        let scratch = tempfile::Builder::new()
            .prefix("mixer-")
            .tempdir()
            .map_err(Exit::io)?;
        let (folder, app) = match (&self.ws_dir, &self.app) {
            (Some(folder), Some(app)) => (folder.as_path(), app.as_str()),
            _ => (scratch.path(), "repl"),
        };
        let place = Place::new(folder, &self.ws, app).map_err(Exit::usage)?;
        let runtime = runtime()?;
        let assembly = runtime.block_on(self.guests.assemble())?;
        let setting = Setting {
            environment: environment::of_command(&place, "", self.guests.environment()?),
            place,
            timeout: self.timeout,
            memory: self.guests.agent_memory as usize,
        };
        let machine = VmMachine::new(assembly.clone(), runtime.handle().clone(), setting);
        let done = Loop::new(Phrases::new(files).with_options(options), machine).run();
        runtime.block_on(assembly.flush());
        done.map_err(|error| Exit::io(format!("{error:#}")))
    }
}
