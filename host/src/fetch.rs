//! Source texts behind addresses (`module M _source_ {url: "…"}`), fetched when a command compiles.

use mix_compiler::{CompileOptions, SourceFile, source_addresses};
use mix_runtime::download::{self, Downloads};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Longest text.
const MAX_TEXT: usize = 4 << 20;

/// Most texts of one compilation.
const MAX_TEXTS: usize = 100;

/// Time for one text.
const LIMIT: Duration = Duration::from_secs(20);

type Texts = BTreeMap<String, Result<Vec<u8>, String>>;

/// Fetches what the sources name, also in the texts that come.
pub fn fetch(files: &[SourceFile], options: &mut CompileOptions) -> io::Result<()> {
    let mut texts = Texts::new();
    let mut wanted = source_addresses(files, &texts);
    if !wanted.is_empty() {
        let downloads = Downloads::new().map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        while !wanted.is_empty() {
            for address in wanted {
                let text = if texts.len() >= MAX_TEXTS {
                    Err(format!("more than {MAX_TEXTS} texts are named"))
                } else {
                    runtime.block_on(text(&downloads, &address))
                };
                texts.insert(address, text);
            }
            wanted = source_addresses(files, &texts);
        }
    }
    options.texts = texts;
    Ok(())
}

async fn text(downloads: &Downloads, text: &str) -> Result<Vec<u8>, String> {
    let address = download::address(text).map_err(|error| error.to_string())?;
    let bytes = downloads.get(&address, MAX_TEXT, LIMIT).await;
    bytes.map_err(|error| error.to_string())
}
