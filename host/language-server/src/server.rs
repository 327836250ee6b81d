//! The loop over messages.

use crate::documents::Documents;
use crate::hover::Library;
use crate::{Failure, completion, definition, diagnostics, hover};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument,
    DidSaveTextDocument, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{Completion, GotoDefinition, HoverRequest, Request as _};
use lsp_types::{GotoDefinitionResponse, PublishDiagnosticsParams};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the server knows, and where it answers.
pub struct Server<'a> {
    connection: &'a Connection,
    documents: Documents,
    library: Library,
}

impl<'a> Server<'a> {
    /// A server without documents.
    pub fn new(connection: &'a Connection) -> Server<'a> {
        Server {
            connection,
            documents: Documents::default(),
            library: Library::default(),
        }
    }

    /// Answers until the editor says `exit`.
    pub fn run(mut self) -> Result<(), Failure> {
        loop {
            let message = match self.documents.untold() {
                None => self
                    .connection
                    .receiver
                    .recv()
                    .map_err(|_| Failure::Closed)?,
                // Issues are looked for when the editor has nothing to say.
                Some(uri) => match self.connection.receiver.try_recv() {
                    Ok(message) => message,
                    Err(error) if error.is_disconnected() => return Err(Failure::Closed),
                    Err(_) => {
                        if let Some(issues) = diagnostics::of(&mut self.documents, &uri) {
                            self.notify::<PublishDiagnostics>(issues)?;
                        }
                        self.documents.told(&uri);
                        continue;
                    }
                },
            };
            match message {
                Message::Request(request) => {
                    if self.connection.handle_shutdown(&request)? {
                        return Ok(());
                    }
                    let response = self.answer(request)?;
                    self.send(Message::Response(response))?;
                }
                Message::Notification(notification) => self.take(notification)?,
                // This server asks nothing.
                Message::Response(_) => {}
            }
        }
    }

    fn answer(&mut self, request: Request) -> Result<Response, Failure> {
        let id = request.id.clone();
        Ok(match request.method.as_str() {
            HoverRequest::METHOD => match params::<HoverRequest>(request) {
                Err(refused) => refused,
                Ok(params) => {
                    let at = params.text_document_position_params;
                    let (uri, position) = (at.text_document.uri, at.position);
                    let found = hover::of(&mut self.documents, &mut self.library, &uri, position);
                    result(id, &found)?
                }
            },
            GotoDefinition::METHOD => match params::<GotoDefinition>(request) {
                Err(refused) => refused,
                Ok(params) => {
                    let at = params.text_document_position_params;
                    let (uri, position) = (at.text_document.uri, at.position);
                    let found = definition::of(&mut self.documents, &uri, position);
                    result(id, &found.map(GotoDefinitionResponse::Scalar))?
                }
            },
            Completion::METHOD => match params::<Completion>(request) {
                Err(refused) => refused,
                Ok(params) => {
                    let at = params.text_document_position;
                    let (uri, position) = (at.text_document.uri, at.position);
                    let found = completion::of(&self.documents, &mut self.library, &uri, position);
                    result(id, &found)?
                }
            },
            method => {
                let message = format!("this server has no {method}");
                Response::new_err(id, ErrorCode::MethodNotFound as i32, message)
            }
        })
    }

    fn take(&mut self, notification: Notification) -> Result<(), Failure> {
        match notification.method.as_str() {
            DidOpenTextDocument::METHOD => {
                if let Some(params) = noted::<DidOpenTextDocument>(notification) {
                    let document = params.text_document;
                    self.documents
                        .set(document.uri, document.text, document.version);
                }
            }
            DidChangeTextDocument::METHOD => {
                if let Some(params) = noted::<DidChangeTextDocument>(notification) {
                    let document = params.text_document;
                    // Changes are whole texts, as the capabilities say; the last one counts.
                    if let Some(change) = params.content_changes.into_iter().next_back() {
                        self.documents
                            .set(document.uri, change.text, document.version);
                    }
                }
            }
            DidCloseTextDocument::METHOD => {
                if let Some(params) = noted::<DidCloseTextDocument>(notification) {
                    let uri = params.text_document.uri;
                    self.documents.close(&uri);
                    // A closed document has no issues to show.
                    self.notify::<PublishDiagnostics>(PublishDiagnosticsParams {
                        uri,
                        diagnostics: Vec::new(),
                        version: None,
                    })?;
                }
            }
            DidSaveTextDocument::METHOD | DidChangeWatchedFiles::METHOD => self.documents.forget(),
            _ => {}
        }
        Ok(())
    }

    fn notify<N: lsp_types::notification::Notification>(
        &self,
        params: N::Params,
    ) -> Result<(), Failure>
    where
        N::Params: Serialize,
    {
        let params = serde_json::to_value(params)?;
        let method = N::METHOD.to_owned();
        self.send(Message::Notification(Notification { method, params }))
    }

    fn send(&self, message: Message) -> Result<(), Failure> {
        let sent = self.connection.sender.send(message);
        sent.map_err(|_| Failure::Closed)
    }
}

fn result(id: lsp_server::RequestId, found: &impl Serialize) -> Result<Response, Failure> {
    let value = serde_json::to_value(found)?;
    Ok(Response::new_ok(id, value))
}

/// The parameters of a request, or the answer that refuses it.
fn params<R: lsp_types::request::Request>(request: Request) -> Result<R::Params, Response>
where
    R::Params: DeserializeOwned,
{
    serde_json::from_value(request.params).map_err(|error| {
        let code = ErrorCode::InvalidParams as i32;
        Response::new_err(request.id, code, error.to_string())
    })
}

/// The parameters of a notification; there is nobody to tell that they are wrong.
fn noted<N: lsp_types::notification::Notification>(notification: Notification) -> Option<N::Params>
where
    N::Params: DeserializeOwned,
{
    match serde_json::from_value(notification.params) {
        Ok(params) => Some(params),
        Err(error) => {
            tracing::warn!(method = notification.method, %error, "a malformed notification");
            None
        }
    }
}
