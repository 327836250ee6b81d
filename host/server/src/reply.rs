//! Responses with bodies that are in memory, in a file, or still being made.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Bytes of one piece of a file.
const PIECE: usize = 64 << 10;
/// Pieces that are read ahead.
const AHEAD: usize = 4;

/// A response on its way: its head, and a body beside it if that is not in memory.
pub struct Reply {
    /// Status, headers, and the body in memory.
    pub head: mix_http_api::Response,
    /// The body, if it is not in memory.
    pub stream: Option<Streamed>,
}

/// A body that comes in pieces.
pub struct Streamed {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// Bytes that are still to come, if that is known.
    left: Option<u64>,
}

impl From<mix_http_api::Response> for Reply {
    fn from(head: mix_http_api::Response) -> Reply {
        Reply { head, stream: None }
    }
}

impl Streamed {
    /// A part of a file.
    pub fn file(mut file: File, range: Range<u64>) -> io::Result<Streamed> {
        file.seek(SeekFrom::Start(range.start))?;
        let length = range.end.saturating_sub(range.start);
        Ok(Streamed::reader(Box::new(file), length))
    }

    /// So many bytes of whatever can be read; a thread reads them as fast as the caller takes them.
    pub fn reader(mut file: Box<dyn Read + Send>, length: u64) -> Streamed {
        let (send, pieces) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut left = length;
            while left > 0 {
                let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
                let read = match file.read(&mut piece) {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                };
                let piece = read.map(|read| {
                    piece.truncate(read);
                    left -= read as u64;
                    Bytes::from(piece)
                });
                let failed = piece.is_err();
                // The caller may be gone.
                if send.blocking_send(piece).is_err() || failed {
                    return;
                }
            }
        });
        Streamed {
            pieces,
            left: Some(length),
        }
    }

    /// What somebody sends piece by piece.
    pub fn pieces(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Streamed {
        Streamed { pieces, left: None }
    }

    /// Bytes that are still to come, if that is known.
    pub fn length(&self) -> Option<u64> {
        self.left
    }
}

/// The body of any response.
pub enum ReplyBody {
    /// In memory; empty once it is sent.
    Whole(Bytes),
    /// In pieces.
    Streamed(Streamed),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            ReplyBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ReplyBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            ReplyBody::Streamed(streamed) => match streamed.pieces.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(bytes))) => {
                    if let Some(left) = &mut streamed.left {
                        *left = left.saturating_sub(bytes.len() as u64);
                    }
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(bytes) => bytes.is_empty(),
            ReplyBody::Streamed(streamed) => streamed.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ReplyBody::Streamed(Streamed {
                left: Some(left), ..
            }) => SizeHint::with_exact(*left),
            ReplyBody::Streamed(_) => SizeHint::default(),
        }
    }
}
