//! `mixer lsp`.

use super::Exit;
use clap::Args;

/// Serves an editor over standard input and output (language server protocol).
#[derive(Debug, Args)]
pub struct Lsp {
    /// Accepted because editors give it; there is no other way to talk.
    #[arg(long)]
    stdio: bool,
}

impl Lsp {
    pub fn execute(self) -> Result<(), Exit> {
        let Lsp { stdio: _ } = self;
        mix_language_server::serve_stdio().map_err(|error| Exit::failed(format!("error: {error}")))
    }
}
