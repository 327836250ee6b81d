//! HTTP servers on loopback that take one request at a time and answer as a function says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Starts one and gives its address. The function gets the head of a request and the connection, which is closed
/// afterwards. The thread ends with the test process.
pub fn serve(mut answer: impl FnMut(&str, &mut TcpStream) + Send + 'static) -> String {
    let listener =
        TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no free port: {error}"));
    let port = listener.local_addr().map_or(0, |address| address.port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = head(&mut stream);
            answer(&head, &mut stream);
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// The head of a request or an answer, with the line that ends it; what follows stays in the stream.
pub fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// The path of a request, by its head.
pub fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

/// Answers with a status and header lines, in front of those that every answer has, and a body.
pub fn respond(stream: &mut TcpStream, status_and_headers: &str, body: &str) {
    // A client that has left is no matter of the server.
    let _ = write!(
        stream,
        "HTTP/1.1 {status_and_headers}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}
