//! One connection: a task reads what the peer sends, writers share the other half.

use super::frame::{self, Broken, Kind, LONGEST_MESSAGE, Peer};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;

/// Messages that wait to be read; then the peer has to wait.
const MOST_WAITING: usize = 64;

type Io = TokioIo<Upgraded>;

/// What passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A question.
    Ping(Vec<u8>),
    /// Its answer.
    Pong(Vec<u8>),
    /// The end.
    Close(u16, String),
}

/// Shared by the reading task and the functions.
struct Shared {
    peer: Peer,
    longest: usize,
    writer: Mutex<Option<WriteHalf<Io>>>,
    /// The end was sent: nothing may follow it.
    closing: AtomicBool,
    /// Why it ended; once it is set the connection is down.
    end: OnceLock<(u16, String)>,
}

/// An open connection, or what is left of one.
pub struct Connection {
    shared: Arc<Shared>,
    incoming: Mutex<mpsc::Receiver<Message>>,
    patience: Option<Duration>,
    task: StdMutex<Option<AbortHandle>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Connection {
    /// Takes over a connection to a server. `patience`: how long a reader waits for a message.
    pub fn new(upgraded: Upgraded, patience: Option<Duration>) -> Connection {
        Connection::with(upgraded, Peer::Server, LONGEST_MESSAGE, patience)
    }

    /// Takes over a connection of a client, whose messages have at most so many bytes.
    pub fn accepted(upgraded: Upgraded, longest: usize, patience: Duration) -> Connection {
        Connection::with(upgraded, Peer::Client, longest, Some(patience))
    }

    fn with(
        upgraded: Upgraded,
        peer: Peer,
        longest: usize,
        patience: Option<Duration>,
    ) -> Connection {
        let (reader, writer) = split(TokioIo::new(upgraded));
        let shared = Arc::new(Shared {
            peer,
            longest,
            writer: Mutex::new(Some(writer)),
            closing: AtomicBool::new(false),
            end: OnceLock::new(),
        });
        let (send, incoming) = mpsc::channel(MOST_WAITING);
        let task = tokio::spawn(receive(reader, shared.clone(), send));
        Connection {
            shared,
            incoming: Mutex::new(incoming),
            patience,
            task: StdMutex::new(Some(task.abort_handle())),
        }
    }

    /// The next message; after the end always the same one.
    pub async fn read(&self) -> Message {
        let mut incoming = self.incoming.lock().await;
        let next = match self.patience {
            None => incoming.recv().await,
            Some(patience) => match tokio::time::timeout(patience, incoming.recv()).await {
                Ok(next) => next,
                Err(_) => {
                    self.end(1006, "no message in time");
                    self.stop();
                    None
                }
            },
        };
        next.unwrap_or_else(|| {
            let (code, text) = self
                .shared
                .end
                .get()
                .cloned()
                .unwrap_or((1006, String::new()));
            Message::Close(code, text)
        })
    }

    /// Hands a message to the socket; false if the connection is down, or its end was sent.
    pub async fn write(&self, message: &Message) -> bool {
        let is_end = matches!(message, Message::Close(..));
        if self.is_down() || self.shared.closing.fetch_or(is_end, Ordering::Relaxed) {
            return false;
        }
        self.shared.write(message).await
    }

    /// Drops the connection.
    pub fn close(&self) {
        self.end(1006, "closed here");
        self.stop();
    }

    /// Is it at its end?
    pub fn is_down(&self) -> bool {
        self.shared.end.get().is_some()
    }

    fn end(&self, code: u16, text: &str) {
        // The first reason stays.
        let _ = self.shared.end.set((code, text.to_owned()));
    }

    fn stop(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
        // Whoever writes at this moment finds out by itself.
        if let Ok(mut writer) = self.shared.writer.try_lock() {
            writer.take();
        }
    }
}

impl Shared {
    async fn write(&self, message: &Message) -> bool {
        let mut closing = Vec::new();
        let (kind, payload): (Kind, &[u8]) = match message {
            Message::Text(text) => (Kind::Text, text.as_bytes()),
            Message::Binary(bytes) => (Kind::Binary, bytes),
            Message::Ping(bytes) => (Kind::Ping, bytes),
            Message::Pong(bytes) => (Kind::Pong, bytes),
            Message::Close(code, text) => {
                // These codes are never sent.
                if !matches!(code, 1005 | 1006 | 1015) {
                    closing.extend(code.to_be_bytes());
                    closing.extend(text.as_bytes());
                }
                (Kind::Close, &closing)
            }
        };
        let mask = match self.peer {
            Peer::Client => None,
            Peer::Server => match super::random() {
                None => return false,
                mask => mask,
            },
        };
        let bytes = frame::write(kind, payload, mask);
        let mut writer = self.writer.lock().await;
        // Put back when all of the message is out: whoever gives up in the middle of one leaves
        // a connection to which nothing can be written any more.
        let Some(mut open) = writer.take() else {
            return false;
        };
        let written = async {
            open.write_all(&bytes).await?;
            open.flush().await
        };
        let is_written = written.await.is_ok();
        if is_written {
            *writer = Some(open);
        }
        is_written
    }
}

/// Reads until the end, and notes why it came.
async fn receive(mut reader: ReadHalf<Io>, shared: Arc<Shared>, messages: mpsc::Sender<Message>) {
    let (code, text) = match listen(&mut reader, &shared, &messages).await {
        Ok((code, text)) => {
            // The peer is answered before the connection goes.
            shared.write(&Message::Close(code, String::new())).await;
            (code, text)
        }
        Err(broken) => {
            let (code, sent) = match broken {
                Broken::Off => (1006, None),
                Broken::Protocol => (1005, Some(1002)),
                Broken::Text => (1005, Some(1007)),
                Broken::TooLarge => (1009, Some(1009)),
            };
            if let Some(sent) = sent {
                shared.write(&Message::Close(sent, String::new())).await;
            }
            (code, String::new())
        }
    };
    let _ = shared.end.set((code, text));
    if let Some(mut writer) = shared.writer.lock().await.take() {
        // The end is known; a peer that is gone already does not matter.
        let _ = writer.shutdown().await;
    }
}

async fn listen(
    reader: &mut ReadHalf<Io>,
    shared: &Shared,
    messages: &mpsc::Sender<Message>,
) -> Result<(u16, String), Broken> {
    let mut whole: Vec<u8> = Vec::new();
    let mut begun: Option<Kind> = None;
    loop {
        let next = frame::read(reader, shared.longest - whole.len(), shared.peer).await?;
        let message = match next.kind {
            Kind::Close => {
                let (code, text) = frame::closing(&next.payload).ok_or(Broken::Protocol)?;
                return Ok((code, text.to_owned()));
            }
            Kind::Ping => {
                let answer = Message::Pong(next.payload.clone());
                shared.write(&answer).await;
                Message::Ping(next.payload)
            }
            Kind::Pong => Message::Pong(next.payload),
            kind => {
                // A message goes on exactly as long as it is not at its end.
                match (kind, begun) {
                    (Kind::Continuation, Some(_)) => {}
                    (Kind::Text | Kind::Binary, None) => begun = Some(kind),
                    _ => return Err(Broken::Protocol),
                }
                whole.extend(next.payload);
                if !next.last {
                    continue;
                }
                let bytes = std::mem::take(&mut whole);
                match begun.take() {
                    Some(Kind::Text) => match String::from_utf8(bytes) {
                        Ok(text) => Message::Text(text),
                        Err(_) => return Err(Broken::Text),
                    },
                    _ => Message::Binary(bytes),
                }
            }
        };
        if messages.send(message).await.is_err() {
            return Err(Broken::Off);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    /// A connection that was accepted, and the wire to its client.
    async fn accepted(patience: Duration) -> (Connection, DuplexStream) {
        let (near, mut far) = duplex(1 << 16);
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(near));
        let (mut sender, connection) = handshake.await.expect("a connection");
        tokio::spawn(connection.with_upgrades());
        let request = hyper::Request::get("/")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .body(String::new())
            .expect("a request");
        let asked = tokio::spawn(async move { sender.send_request(request).await });
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(far.read_u8().await.expect("the request"));
        }
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        far.write_all(answer).await.expect("it is sent");
        let response = asked.await.expect("it ends").expect("an answer");
        let upgraded = hyper::upgrade::on(response).await.expect("an upgrade");
        (Connection::accepted(upgraded, 1 << 20, patience), far)
    }

    #[tokio::test]
    async fn half_a_frame_ends_a_connection_in_its_time() {
        let (connection, mut client) = accepted(Duration::from_millis(200)).await;
        // A whole frame, and the next one up to the middle of its payload.
        let whole = frame::write(Kind::Text, b"whole", Some([1, 2, 3, 4]));
        client.write_all(&whole).await.expect("it is sent");
        client.write_all(&whole[..8]).await.expect("it is sent");
        assert_eq!(connection.read().await, Message::Text("whole".to_owned()));
        let end = Message::Close(1006, "no message in time".to_owned());
        assert_eq!(connection.read().await, end);
        assert!(connection.is_down());
        assert!(!connection.write(&Message::Text("late".to_owned())).await);
        // What comes now changes nothing, and the client sees the end.
        let _ = client.write_all(&whole[8..]).await;
        assert_eq!(connection.read().await, end);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("the end");
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn a_message_may_come_in_pieces_for_as_long_as_its_reader_waits() {
        let (connection, mut client) = accepted(Duration::from_secs(60)).await;
        let text = "x".repeat(1 << 20);
        let bytes = frame::write(Kind::Text, text.as_bytes(), Some([9, 8, 7, 6]));
        let sending = tokio::spawn(async move {
            for piece in bytes.chunks(1 << 18) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                client.write_all(piece).await.expect("it is sent");
            }
            client
        });
        assert_eq!(connection.read().await, Message::Text(text));
        assert!(sending.await.is_ok());
    }
}
