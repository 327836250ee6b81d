//! What a guest writes to its standard error: kept for when it dies, and, of a guest that
//! says what an operator should know, put into the log line by line.

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

/// The standard output and error of one guest; clones are the same one.
#[derive(Clone)]
pub struct Messages {
    /// What the lines in the log are about; none if they do not go there.
    about: Option<Arc<str>>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    kept: Vec<u8>,
    line: Vec<u8>,
    lines: usize,
}

impl Messages {
    /// Of a guest whose lines go into the log if it is known what they are `about`.
    pub fn new(about: Option<&str>) -> Messages {
        Messages {
            about: about.map(Arc::from),
            inner: Arc::default(),
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
        let mut inner = self.inner();
        let room = KEPT.saturating_sub(inner.kept.len()).min(bytes.len());
        inner.kept.extend_from_slice(&bytes[..room]);
        let Some(about) = &self.about else { return };
        for byte in bytes {
            if *byte != b'\n' {
                if inner.line.len() < LINE {
                    inner.line.push(*byte);
                }
                continue;
            }
            let line = std::mem::take(&mut inner.line);
            inner.lines += 1;
            if inner.lines <= LINES {
                tracing::warn!(about = %about, "{}", String::from_utf8_lossy(&line));
            }
        }
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
