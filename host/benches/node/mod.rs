//! The peer of the trivial agent: a Node.js server that reads JSON and answers the same.

use crate::process::Process;
use std::path::Path;
use std::process::Command;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

const SERVER: &str = r#"
const http = require('http');
const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk));
  request.on('end', () => {
    JSON.parse(Buffer.concat(chunks).toString() || '{}');
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ok: true }));
  });
});
server.listen(0, '127.0.0.1', () => console.log('listening on http://127.0.0.1:' + server.address().port));
"#;

/// Starts it from a script in this folder; nothing if Node.js is not installed, which is said.
pub fn start(scratch: &Path) -> Done<Option<Process>> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&paths).any(|folder| folder.join("node").is_file()) {
        println!("(node is not installed)");
        return Ok(None);
    }
    let script = scratch.join("server.js");
    std::fs::write(&script, SERVER)?;
    Process::start(Command::new("node").arg(&script)).map(Some)
}
