//! `mixer db`: the commands are those of `mix-db-tool`, on the files themselves.

use super::{Exit, output};
use clap::Args;
use mix_db_tool::{DbArgs, Terminal};
use std::io::IsTerminal;

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
        let mut out = output::Long::new();
        let done = mix_db_tool::run(self.args, terminal, &mut out);
        out.end(done.map_err(|failure| Exit::with_code(failure.code, failure.message)))
    }
}
