//! Responses that are streams of events.

use super::reply::{Reply, Streamed};
use bytes::Bytes;
use mix_http_api::{PING, Response};
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;

/// After so long without an event a comment is sent, so that nobody on the way closes the connection.
const QUIET: Duration = Duration::from_secs(15);

/// Events that are written ahead of the connection.
const AHEAD: usize = 4;

/// The writing end; the response ends when it is dropped.
pub struct Events(mpsc::Sender<io::Result<Bytes>>);

impl Events {
    /// A response with this head, and where its events are written.
    pub fn begin(head: Response) -> (Events, Reply) {
        let (send, pieces) = mpsc::channel(AHEAD);
        let stream = Some(Streamed::pieces(pieces));
        (Events(send), Reply { head, stream })
    }

    /// Writes events as fast as the reader takes them; false: it is gone.
    pub async fn write(&self, text: String) -> bool {
        self.0.send(Ok(Bytes::from(text))).await.is_ok()
    }

    /// Returns when the reader is gone.
    pub async fn left(&self) {
        self.0.closed().await;
    }

    /// Waits for what may take long, with a comment now and then. `None`: the reader is gone.
    pub async fn wait<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            match tokio::time::timeout(QUIET, waiting.as_mut()).await {
                Ok(done) => return Some(done),
                Err(_) if self.write(PING.to_owned()).await => {}
                Err(_) => return None,
            }
        }
    }
}
