//! An HTTP server on loopback that answers only when enough requests have come in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Holds requests back until a number of them is there. Each is answered with the last
/// part of its path. `/held` is never answered, `/when-held` once `/held` was asked for.
pub struct Gate {
    port: u16,
    closed: Receiver<()>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Count>,
    changed: Condvar,
}

#[derive(Default)]
struct Count {
    others: usize,
    held: usize,
}

impl Gate {
    /// Starts listening; opens when `count` requests have come in. The threads end with the
    /// test process.
    pub fn start(count: usize) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0")
            .unwrap_or_else(|error| panic!("no free port: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let (sender, closed) = channel();
        let seen = Arc::new(Seen::default());
        let known = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, sender) = (Arc::clone(&seen), sender.clone());
                std::thread::spawn(move || serve(stream, &seen, count, &sender));
            }
        });
        Gate {
            port,
            closed,
            seen: known,
        }
    }

    /// Where to ask.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until so many requests have come in.
    pub fn wait_for(&self, count: usize) {
        self.seen.wait(|_| (), |seen| seen.others >= count);
    }

    /// Lets all pass, with one request more.
    pub fn pass(&self) {
        self.seen.wait(|seen| seen.others += 1, |_| true);
    }

    /// Waits until `/held` was asked for.
    pub fn wait_for_held(&self) {
        self.seen.wait(|_| (), |seen| seen.held > 0);
    }

    /// Waits until the client of `/held` has closed its connection, or fails the test.
    pub fn wait_for_close(&self) {
        self.closed
            .recv_timeout(Duration::from_secs(60))
            .unwrap_or_else(|_| panic!("the connection was not closed"));
    }
}

impl Seen {
    /// Counts a request and waits until the condition holds.
    fn wait(&self, count: impl FnOnce(&mut Count), open: impl Fn(&Count) -> bool) {
        let mut seen = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut seen);
        self.changed.notify_all();
        while !open(&seen) {
            let waited = self.changed.wait(seen);
            seen = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn serve(stream: TcpStream, seen: &Seen, count: usize, closed: &Sender<()>) {
    let mut reader = BufReader::new(&stream);
    let mut request_line = String::new();
    let mut line = String::new();
    if reader.read_line(&mut request_line).is_err() {
        return;
    }
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
    let path = request_line.split(' ').nth(1).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    match name {
        // A port that is looked at, as harnesses do.
        "" => return,
        "held" => {
            seen.wait(|seen| seen.held += 1, |_| true);
            // Ends when the client does.
            let _ = reader.read_to_end(&mut Vec::new());
            let _ = closed.send(());
            return;
        }
        "when-held" => seen.wait(|_| (), |seen| seen.held > 0),
        _ => seen.wait(|seen| seen.others += 1, |seen| seen.others >= count),
    }
    let _ = write!(
        &stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{name}",
        name.len()
    );
}
