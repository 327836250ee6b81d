//! Responses with bodies that are in memory, in a file, or still being made.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit, Sender};

/// Bytes of one piece of a file.
const PIECE: usize = 64 << 10;
/// Pieces that are read ahead.
const AHEAD: usize = 4;
/// A reader that takes nothing for so long is gone.
pub const STALLED: Duration = Duration::from_secs(60);

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

    /// So many bytes of whatever can be read, as fast as the caller takes them.
    pub fn reader(file: Box<dyn Read + Send>, length: u64) -> Streamed {
        let (send, pieces) = mpsc::channel(AHEAD);
        let left = length;
        tokio::spawn(read_ahead(Source { file, left }, send, STALLED));
        Streamed {
            pieces,
            left: Some(length),
        }
    }

    /// Bytes that are in memory, and not for longer than the caller takes them.
    fn bytes(bytes: Vec<u8>) -> Streamed {
        let (send, pieces) = mpsc::channel(AHEAD);
        let left = Some(bytes.len() as u64);
        tokio::spawn(hand_out(bytes, send, STALLED));
        Streamed { pieces, left }
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

/// What is read, and how much of it is left.
struct Source {
    file: Box<dyn Read + Send>,
    left: u64,
}

impl Source {
    fn piece(&mut self) -> io::Result<Bytes> {
        let mut piece = vec![0; PIECE.min(usize::try_from(self.left).unwrap_or(PIECE))];
        let read = match self.file.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        piece.truncate(read);
        self.left -= read as u64;
        Ok(Bytes::from(piece))
    }

    /// Reads while there is room; what is left to be read when there is room again.
    fn fill(mut self, mut room: OwnedPermit<io::Result<Bytes>>) -> Option<(Source, Pieces)> {
        loop {
            let piece = self.piece();
            let is_last = piece.is_err() || self.left == 0;
            let send = room.send(piece);
            if is_last {
                return None;
            }
            room = match send.try_reserve_owned() {
                Ok(room) => room,
                Err(TrySendError::Full(send)) => return Some((self, send)),
                // The caller is gone.
                Err(TrySendError::Closed(_)) => return None,
            };
        }
    }
}

type Pieces = Sender<io::Result<Bytes>>;

/// Sends pieces as long as somebody takes them. There are a few hundred threads that may wait for files: one is at work only
/// while something is read, so that callers who take their time leave them to others.
async fn read_ahead(mut source: Source, mut send: Pieces, patience: Duration) {
    while source.left > 0 {
        let Ok(Ok(room)) = tokio::time::timeout(patience, send.reserve_owned()).await else {
            return;
        };
        match tokio::task::spawn_blocking(move || source.fill(room)).await {
            Ok(Some(rest)) => (source, send) = rest,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the reading of a file broke off");
                return;
            }
        }
    }
}

/// Sends pieces as long as somebody takes them. They are copied: one of them that nobody takes shall not hold all of it.
async fn hand_out(bytes: Vec<u8>, send: Pieces, patience: Duration) {
    for piece in bytes.chunks(PIECE) {
        let Ok(Ok(room)) = tokio::time::timeout(patience, send.reserve()).await else {
            return;
        };
        room.send(Ok(Bytes::copy_from_slice(piece)));
    }
}

/// The body of any response.
pub enum ReplyBody {
    /// In memory; empty once it is sent.
    Whole(Bytes),
    /// In pieces.
    Streamed(Streamed),
}

impl ReplyBody {
    /// What is in memory. A caller who keeps its connection and takes nothing holds little of it, whatever the version of HTTP.
    pub fn of_bytes(bytes: Vec<u8>) -> ReplyBody {
        match bytes.len() > AHEAD * PIECE {
            true => ReplyBody::Streamed(Streamed::bytes(bytes)),
            false => ReplyBody::Whole(Bytes::from(bytes)),
        }
    }
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
                // Nobody shall take a part for the whole.
                Poll::Ready(None) if streamed.left.is_some_and(|left| left > 0) => {
                    streamed.left = None;
                    Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::io::Cursor;

    fn streamed(bytes: usize, length: u64) -> ReplyBody {
        let content = Cursor::new(vec![7; bytes]);
        ReplyBody::Streamed(Streamed::reader(Box::new(content), length))
    }

    #[test]
    fn callers_who_take_their_time_hold_no_thread() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let long = 2 * AHEAD * PIECE;
            let waiting: Vec<ReplyBody> = (0..8).map(|_| streamed(long, long as u64)).collect();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let other = tokio::task::spawn_blocking(|| 1);
            let other = tokio::time::timeout(Duration::from_secs(10), other).await;
            assert_eq!(other.expect("a thread is free").expect("no panic"), 1);
            for body in waiting {
                let whole = body.collect().await.expect("all of it").to_bytes();
                assert_eq!(whole.len(), long);
            }
        });
    }

    #[tokio::test]
    async fn a_file_that_has_become_shorter_breaks_off() {
        let error = streamed(PIECE, PIECE as u64 + 1).collect().await;
        let error = error.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof));
    }

    #[tokio::test]
    async fn a_long_answer_in_memory_comes_whole_and_waits_for_nobody_for_long() {
        let long: Vec<u8> = (0..3 * AHEAD * PIECE + 1).map(|at| at as u8).collect();
        for bytes in [long.clone(), long[..7].to_vec(), Vec::new()] {
            let body = ReplyBody::of_bytes(bytes.clone());
            assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
            assert_eq!(body.collect().await.expect("all of it").to_bytes(), bytes);
        }
        let left = Some(long.len() as u64);
        let (send, pieces) = mpsc::channel(AHEAD);
        hand_out(long, send, Duration::from_millis(20)).await;
        let body = ReplyBody::Streamed(Streamed { pieces, left });
        let error = body.collect().await.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof));
    }

    #[tokio::test]
    async fn a_caller_who_takes_nothing_is_given_up() {
        let length = 2 * (AHEAD * PIECE) as u64;
        let (send, pieces) = mpsc::channel(AHEAD);
        let source = Source {
            file: Box::new(io::repeat(7)),
            left: length,
        };
        read_ahead(source, send, Duration::from_millis(20)).await;
        let left = Some(length);
        let body = ReplyBody::Streamed(Streamed { pieces, left });
        let error = body.collect().await.err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof));
    }
}
