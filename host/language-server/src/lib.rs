//! `mixer lsp`: the language server of Mix, for any editor that speaks the protocol.
//!
//! ```text
//! editor ──didOpen, didChange──▶ Documents ──analyze──▶ Analysis ──▶ diagnostics
//!        ──hover, completion, definition─────────────────▶ │ ──────▶ answers
//! ```
//!
//! - [`serve_stdio`], [`serve`]: the loop over messages
//! - `documents`: the texts as the editor has them, and which files are compiled together
//! - `diagnostics`, `hover`, `completion`, `definition`: what is told
//! - `unfinished`: how a definition that is being written could end
//! - `position`: lines and UTF-16 columns of the protocol, bytes of the compiler
//!
//! A document is compiled together with the modules it imports, found in `.mix` files and
//! `.mixlib` libraries beside it. It is analysed when it changed and no message is waiting, so
//! that fast typing does not queue up work; a request is answered from the text as it is then.

mod completion;
mod definition;
mod diagnostics;
mod documents;
mod hover;
mod position;
mod server;
mod unfinished;

use lsp_server::{Connection, ProtocolError};
use lsp_types::{
    CompletionOptions, HoverProviderCapability, OneOf, ServerCapabilities,
    TextDocumentSyncCapability, TextDocumentSyncKind,
};
use thiserror::Error;

/// Why serving ended otherwise than as the editor asked.
#[derive(Debug, Error)]
pub enum Failure {
    /// The editor did not keep to the protocol.
    #[error("the editor broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// A message could not be read or written.
    #[error("the connection to the editor broke: {0}")]
    Io(#[from] std::io::Error),
    /// An answer has no JSON form.
    #[error("an answer could not be written: {0}")]
    Json(#[from] serde_json::Error),
    /// The editor went away without saying so.
    #[error("the editor closed the connection without `exit`")]
    Closed,
}

/// Serves an editor over standard input and output until it says `exit`.
pub fn serve_stdio() -> Result<(), Failure> {
    let (connection, threads) = Connection::stdio();
    let served = serve(&connection);
    // The writer ends when nobody can send any more.
    drop(connection);
    // Of a connection that ended early the reader knows why: a message may have been malformed.
    if matches!(served, Ok(()) | Err(Failure::Closed)) {
        threads.join()?;
    }
    served
}

/// Serves an editor over a connection.
pub fn serve(connection: &Connection) -> Result<(), Failure> {
    let (id, _) = connection.initialize_start()?;
    let answer = serde_json::json!({
        "capabilities": capabilities(),
        "serverInfo": {"name": "mixer", "version": env!("CARGO_PKG_VERSION")},
    });
    connection.initialize_finish(id, answer)?;
    server::Server::new(connection).run()
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec![".".to_owned()]),
            ..CompletionOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}
