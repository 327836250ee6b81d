//! `mixer db`: the commands are those of `mix-db-tool`, on the files themselves.

use super::Exit;
use clap::Args;
use mix_db_tool::{DbArgs, Terminal};
use std::io::{IsTerminal, Write};

/// Inspects and changes the records of an app.
#[derive(Debug, Args)]
pub struct Db {
    #[command(flatten)]
    args: DbArgs,
}

impl Db {
    pub fn execute(self) -> Result<(), Exit> {
        let terminal = Terminal {
            results: std::io::stdout().is_terminal(),
            progress: std::io::stderr().is_terminal(),
        };
        let mut out = std::io::stdout().lock();
        let done = mix_db_tool::run(self.args, terminal, &mut out);
        let flushed = out.flush();
        done.map_err(|failure| Exit::with_code(failure.code, failure.message))?;
        flushed.map_err(|error| Exit::io(format!("standard output: {error}")))
    }
}
