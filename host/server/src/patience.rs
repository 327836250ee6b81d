//! How long a connection may keep the server waiting, for a request and for its answer to be taken, and what is said at the end.
//!
//! The engine of HTTP/1 closes a connection whose head does not come in time without a word, and has no limit at all until it
//! knows which version of HTTP the client speaks. So the stream of a connection is [`Lent`] to the engine: it has a time for
//! its first bytes, and comes back when the engine is done with it, for a last answer. A client that takes nothing of an answer
//! for too long loses the connection, and the server the memory that the answer takes.

use crate::reply::STALLED;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep, timeout};

/// What a connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Longest time that the last answer takes.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A stream that comes back when it is dropped.
pub struct Lent<S: Unpin> {
    /// Taken when it goes back.
    stream: Option<Stream<S>>,
    back: Option<oneshot::Sender<Stream<S>>>,
}

/// A stream, and what was seen of it.
pub struct Stream<S> {
    stream: S,
    /// Bytes of [`PREFACE`] that have come so far, and when they must have; none once the version is known.
    beginning: Option<(usize, Pin<Box<Sleep>>)>,
    /// Something has come since the last answer.
    is_asked: bool,
    /// Not all of an answer has been taken.
    is_answering: bool,
    writing: Taken,
    flushing: Taken,
}

/// How long a client may take nothing, and the end of that while it does not.
struct Taken(Duration, Option<Pin<Box<Sleep>>>);

impl Taken {
    fn within<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.1 = None;
            return polled;
        }
        let end = self.1.get_or_insert_with(|| Box::pin(sleep(self.0)));
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

/// Where the stream of a connection comes back to.
pub struct Returning<S>(oneshot::Receiver<Stream<S>>);

/// Lends a stream whose client says within `limit` which version of HTTP it speaks.
pub fn lend<S: Unpin>(stream: S, limit: Duration) -> (Lent<S>, Returning<S>) {
    let (back, returning) = oneshot::channel();
    let lent = Lent {
        stream: Some(Stream {
            stream,
            beginning: Some((0, Box::pin(sleep(limit)))),
            is_asked: false,
            is_answering: false,
            writing: Taken(STALLED, None),
            flushing: Taken(STALLED, None),
        }),
        back: Some(back),
    };
    (lent, Returning(returning))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Returning<S> {
    /// Says a last word on a connection whose client has begun a request, and was too slow.
    pub async fn finish(mut self, answer: &[u8]) {
        let Ok(Stream {
            mut stream,
            is_asked: true,
            is_answering: false,
            ..
        }) = self.0.try_recv()
        else {
            return;
        };
        let telling = async {
            stream.write_all(answer).await?;
            stream.shutdown().await?;
            // What is still under way would take the answer from its reader.
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        if !matches!(timeout(LAST_WORD, telling).await, Ok(Ok(()))) {
            tracing::debug!("a slow client does not read its answer");
        }
    }
}

impl<S: Unpin> Drop for Lent<S> {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // Nobody waits for the stream of a connection that became another protocol's.
            let _ = back.send(stream);
        }
    }
}

impl<S: Unpin> Lent<S> {
    /// It is there until it is dropped.
    fn stream(&mut self) -> io::Result<&mut Stream<S>> {
        self.stream.as_mut().ok_or(ErrorKind::NotConnected.into())
    }
}

impl<S> Stream<S> {
    fn came(&mut self, bytes: &[u8]) {
        self.is_asked |= !bytes.is_empty();
        if let Some((seen, _)) = &mut self.beginning {
            let expected = &PREFACE[*seen..];
            let length = expected.len().min(bytes.len());
            *seen += length;
            if expected[..length] != bytes[..length] || *seen == PREFACE.len() {
                self.beginning = None;
            }
        }
    }

    fn went(&mut self, wanted: usize, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(count)) => {
                self.is_asked = false;
                self.is_answering = *count < wanted;
            }
            Poll::Ready(Err(_)) | Poll::Pending => self.is_answering = true,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let lent = self.stream()?;
        let before = into.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut lent.stream).poll_read(cx, into) {
            lent.came(into.filled().get(before..).unwrap_or_default());
            return Poll::Ready(read);
        }
        let Some((_, end)) = &mut lent.beginning else {
            return Poll::Pending;
        };
        ready!(end.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let lent = self.stream()?;
        let written = Pin::new(&mut lent.stream).poll_write(cx, bytes);
        lent.went(bytes.len(), &written);
        lent.writing.within(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let lent = self.stream()?;
        let written = Pin::new(&mut lent.stream).poll_write_vectored(cx, parts);
        lent.went(parts.iter().map(|part| part.len()).sum(), &written);
        lent.writing.within(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|lent| lent.stream.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lent = self.stream()?;
        let flushed = Pin::new(&mut lent.stream).poll_flush(cx);
        lent.flushing.within(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lent = self.stream()?;
        let closed = Pin::new(&mut lent.stream).poll_shutdown(cx);
        lent.flushing.within(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const LONG: Duration = Duration::from_secs(600);

    /// What a client gets that sends this, after which the server writes so much and waits in vain.
    async fn told(sent: &[u8], answered: usize) -> Vec<u8> {
        let (mut client, server) = duplex(64);
        let (mut lent, returning) = lend(server, LONG);
        client.write_all(sent).await.expect("sent");
        let mut read = vec![0; sent.len()];
        lent.read_exact(&mut read).await.expect("read");
        assert_eq!(read, sent);
        // More than the client takes is not all written.
        let _ = timeout(Duration::ZERO, lent.write_all(&vec![b'.'; answered])).await;
        drop(lent);
        let mut got = Vec::new();
        let reading = async {
            let _ = client.read_to_end(&mut got).await;
            drop(client);
        };
        tokio::join!(returning.finish(b"too slow"), reading);
        got
    }

    #[tokio::test]
    async fn who_has_begun_a_request_is_told() {
        assert_eq!(told(b"GET / HT", 0).await, b"too slow");
        assert_eq!(told(b"", 0).await, b"");
        // It has been answered, or half of it.
        assert_eq!(told(b"GET /", 3).await, b"...");
        assert_eq!(told(b"GET /", 100).await, vec![b'.'; 64]);
    }

    #[tokio::test]
    async fn the_first_bytes_have_a_time() {
        for (sent, is_late) in [
            (&b""[..], true),
            (b"PRI * HT", true),
            (b"P", true),
            (b"G", false),
            (b"PRI * HTTP/1", false),
            (PREFACE, false),
        ] {
            let (mut client, server) = duplex(64);
            let limit = if is_late { Duration::ZERO } else { LONG };
            let (mut lent, _returning) = lend(server, limit);
            client.write_all(sent).await.expect("sent");
            let mut read = vec![0; sent.len()];
            lent.read_exact(&mut read).await.expect("read");
            let is_open = lent.stream().expect("a stream").beginning.is_some();
            assert_eq!(is_open, is_late, "{sent:?}");
            if is_late {
                let ended = lent.read_exact(&mut [0]).await;
                let ended = ended.map_err(|error| error.kind());
                assert_eq!(ended, Err(ErrorKind::TimedOut), "{sent:?}");
            }
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_loses_the_connection() {
        const STALLED: Duration = Duration::from_millis(400);
        let (mut client, server) = duplex(64);
        let (mut lent, _returning) = lend(server, LONG);
        lent.stream().expect("a stream").writing.0 = STALLED;
        let writing = tokio::spawn(async move { lent.write_all(&[b'.'; 1000]).await });
        // Slow is not gone.
        for _ in 0..5 {
            sleep(STALLED / 2).await;
            client.read_exact(&mut [0; 64]).await.expect("a part");
        }
        assert!(!writing.is_finished());
        let ended = timeout(LONG, writing).await.expect("an end");
        let ended = ended.expect("no panic").map_err(|error| error.kind());
        assert_eq!(ended, Err(ErrorKind::TimedOut));
    }
}
