//! An HTTP server on loopback that keeps what is posted to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// One request as it came in.
#[derive(Debug)]
pub struct Received {
    /// `POST /path HTTP/1.1`.
    pub request_line: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body bytes.
    pub body: Vec<u8>,
}

/// Accepts requests, answers `200 {"ok":true}` and hands them on.
pub struct Sink {
    port: u16,
    requests: Receiver<Received>,
}

impl Sink {
    /// Starts listening. The thread ends with the test process.
    pub fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0")
            .unwrap_or_else(|error| panic!("no free port: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream, &sender));
            }
        });
        Sink { port, requests }
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/inbox", self.port)
    }

    /// The next request, or a failure of the test after ten seconds.
    pub fn next(&self) -> Received {
        self.requests
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or_else(|_| panic!("nothing was posted"))
    }

    /// True if nothing has come in.
    pub fn is_empty(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

fn serve(stream: TcpStream, sender: &Sender<Received>) {
    let Ok(mut answer) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(stream);
    let mut request_line = String::new();
    if reader.read_line(&mut request_line).is_err() {
        return;
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() {
            return;
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_string())),
            None => break,
        }
    }
    let body = read_body(&mut reader, &headers);
    let text = "{\"ok\":true}";
    let _ = write!(
        answer,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = sender.send(Received {
        request_line: request_line.trim_end().to_string(),
        headers,
        body,
    });
}

/// Reads a body with a length or in chunks.
fn read_body(reader: &mut impl BufRead, headers: &[(String, String)]) -> Vec<u8> {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        loop {
            let mut size = String::new();
            if reader.read_line(&mut size).is_err() {
                break;
            }
            let size = u64::from_str_radix(size.trim(), 16).unwrap_or(0);
            let _ = reader.by_ref().take(size).read_to_end(&mut body);
            let mut end = String::new();
            if reader.read_line(&mut end).is_err() || size == 0 {
                break;
            }
        }
    } else if let Some(length) = header("content-length").and_then(|text| text.parse().ok()) {
        let _ = reader.by_ref().take(length).read_to_end(&mut body);
    }
    body
}
