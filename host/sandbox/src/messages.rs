//! What a guest writes to its standard output and error: kept for when it dies, and put into the log line by
//! line, if it says what an operator should know or is a plugin, whose author looks for it there.

use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes that are kept; the first ones, as they mostly say why.
const KEPT: usize = 16 << 10;
/// Longest line of the log.
const LINE: usize = 2 << 10;
/// Most lines in the log; a guest that says more repeats itself.
const LINES: usize = 200;

/// Which lines of a guest go into the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lines<'a> {
    /// None.
    #[default]
    None,
    /// All, as warnings about that.
    Warnings(&'a str),
    /// All, as information of the plugin of that name.
    OfPlugin(&'a str),
}

/// [`Lines`], as long as the guest lives.
#[derive(Clone)]
enum Logged {
    None,
    Warnings(Arc<str>),
    OfPlugin(Arc<str>),
}

/// The standard output and error of one guest; clones are the same one.
#[derive(Clone)]
pub struct Messages {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    logged: Logged,
    kept: Vec<u8>,
    line: Vec<u8>,
    lines: usize,
}

impl Messages {
    /// Of a guest of whom these lines go into the log.
    pub fn new(lines: Lines<'_>) -> Messages {
        let logged = match lines {
            Lines::None => Logged::None,
            Lines::Warnings(about) => Logged::Warnings(about.into()),
            Lines::OfPlugin(name) => Logged::OfPlugin(name.into()),
        };
        let inner = Inner {
            logged,
            kept: Vec::new(),
            line: Vec::new(),
            lines: 0,
        };
        Messages {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written first.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.inner().kept)
            .trim_end()
            .to_owned()
    }

    fn take(&self, bytes: &[u8]) {
        self.inner().take(bytes);
    }
}

impl Inner {
    fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        if matches!(self.logged, Logged::None) {
            return;
        }
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line();
            } else if self.line.len() < LINE {
                self.line.push(*byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.trim_ascii().is_empty() {
            return;
        }
        self.lines += 1;
        if self.lines <= LINES {
            self.log(&String::from_utf8_lossy(&line));
        }
    }

    fn log(&self, line: &str) {
        match &self.logged {
            Logged::None => {}
            Logged::Warnings(about) => tracing::warn!(about = %about, "{line}"),
            Logged::OfPlugin(name) => {
                tracing::info!(target: "mix-plugin", plugin = %name, "{line}");
            }
        }
    }
}

impl Drop for Inner {
    /// The last line may have no end.
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for Messages {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Messages {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Messages {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(KEPT)
    }
}

impl Pollable for Messages {
    fn ready<'a, 'f>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(ready(()))
    }
}

impl AsyncWrite for Messages {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
