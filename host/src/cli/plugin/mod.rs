//! `mixer plugin`: for authors of plugins, and for operators who want to know what one does.

mod bindings;
mod c_bindings;
mod check;
mod component;
mod inspect;
mod new;
mod test;

use super::Exit;
use clap::{Args, Subcommand};
use mix_runtime::assembly::plugin_name;
use mix_runtime::plugin::{LARGEST_COMPONENT, Linkers, PluginCode, Standing};
use mix_sandbox::engine;
use std::path::Path;

/// Makes, checks and describes plugins.
#[derive(Debug, Args)]
pub struct Plugin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a project for a new plugin.
    New(new::New),
    /// Checks that a plugin can be linked, and lists its functions.
    Check(check::Check),
    /// Shows what a plugin needs and what it is given.
    Inspect(inspect::Inspect),
    /// Runs tests written in Mix against a plugin.
    Test(Box<test::Test>),
    /// Writes the Mix module that gives the functions of a plugin their types.
    Bindings(bindings::Bindings),
    /// Writes the C side of a plugin's world.
    CBindings(c_bindings::CBindings),
    /// Makes a component of a core module that is linked with C bindings.
    Component(component::Component),
}

impl Plugin {
    pub fn execute(self) -> Result<(), Exit> {
        match self.command {
            Command::New(command) => command.execute(),
            Command::Check(command) => command.execute(),
            Command::Inspect(command) => command.execute(),
            Command::Test(command) => command.execute(),
            Command::Bindings(command) => command.execute(),
            Command::CBindings(command) => command.execute(),
            Command::Component(command) => command.execute(),
        }
    }
}

/// Compiles a plugin and asks it for its functions.
fn load(path: &Path) -> Result<PluginCode, Exit> {
    let bytes = mix_input_file::read(path, LARGEST_COMPONENT)
        .map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
    let loaded = super::runtime()?.block_on(async {
        let engine = engine::engine()?;
        let linkers = Linkers::new(&engine)?;
        PluginCode::load(
            &engine,
            &linkers,
            &plugin_name(path),
            &bytes,
            Standing::Inspected,
        )
        .await
    });
    loaded.map_err(|error| Exit::failed(format!("error: {}: {error:#}", path.display())))
}
