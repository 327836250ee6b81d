//! A provider of sign-in on loopback: it describes itself, exchanges codes for tokens and says who
//! a user is. A code is `MAIL/NONCE`; an access token is the address of its user.

use crate::IdentityService;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The provider; its thread ends with the test process.
pub struct Provider {
    port: u16,
    asked: Receiver<String>,
}

impl Provider {
    /// Starts to serve.
    pub fn start(client: &str) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0")
            .unwrap_or_else(|error| panic!("no free port: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let (sender, asked) = channel();
        let signer = Arc::new(IdentityService::start());
        let client = client.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(&stream);
                let (line, headers, body) = read(&mut reader);
                let base = format!("http://127.0.0.1:{port}");
                let (status, answer) =
                    answer(&base, &client, &signer, &sender, (&line, &headers, &body));
                let text = answer.to_string();
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        Provider { port, asked }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The form of the last exchange of a code.
    pub fn exchanged(&self) -> String {
        self.asked
            .try_iter()
            .last()
            .unwrap_or_else(|| panic!("no code was exchanged"))
    }
}

fn read(reader: &mut impl BufRead) -> (String, Vec<String>, String) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(length) if length > 2 => lines.push(line.trim().to_owned()),
            _ => break,
        }
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<u64>().ok())?
    });
    let mut body = String::new();
    let _ = reader
        .take(length.unwrap_or_default())
        .read_to_string(&mut body);
    let first = match lines.is_empty() {
        true => String::new(),
        false => lines.remove(0),
    };
    (first, lines, body)
}

fn answer(
    base: &str,
    client: &str,
    signer: &IdentityService,
    asked: &Sender<String>,
    (line, headers, body): (&str, &[String], &str),
) -> (u16, Value) {
    let path = line.split(' ').nth(1).unwrap_or_default();
    match path {
        "/.well-known/openid-configuration" => (
            200,
            json!({
                "issuer": base,
                "authorization_endpoint": format!("{base}/authorize?tenant=1"),
                "token_endpoint": format!("{base}/token"),
                "userinfo_endpoint": format!("{base}/userinfo"),
                "jwks_uri": signer.key_url(),
            }),
        ),
        "/token" => {
            let code = body.split('&').find_map(|pair| pair.strip_prefix("code="));
            let code = code
                .unwrap_or_default()
                .replace("%2F", "/")
                .replace("%40", "@");
            let _ = asked.send(body.to_owned());
            let Some((mail, nonce)) = code.split_once('/') else {
                return (400, json!({ "error": "invalid_grant" }));
            };
            let claims = json!({
                "iss": base, "aud": client, "sub": "42", "email": mail, "nonce": nonce,
                "exp": crate::now() + 600,
            });
            let token = signer.token_with(claims);
            (
                200,
                json!({ "id_token": token, "access_token": mail, "expires_in": 600 }),
            )
        }
        "/userinfo" => {
            let mail = headers.iter().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_it = name.eq_ignore_ascii_case("authorization");
                is_it.then(|| value.trim().strip_prefix("Bearer "))?
            });
            match mail {
                Some(mail) => (200, json!({ "id": 7, "email": mail, "client_id": client })),
                None => (401, Value::Null),
            }
        }
        _ => (404, Value::Null),
    }
}
