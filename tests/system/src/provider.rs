//! A provider of sign-in on loopback: it describes itself, exchanges codes for tokens and says who
//! a user is. A code is `MAIL/NONCE`; an access token is the address of its user, and `~N` after it
//! once it was refreshed. Tokens of users called `short…` have to be refreshed at once, those of
//! users called `gone…` are over and are not refreshed. `/api` tells how it was asked.

use crate::IdentityService;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Where it describes itself.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The provider; its thread ends with the test process.
pub struct Provider {
    port: u16,
    asked: Receiver<String>,
    signer: Arc<IdentityService>,
    descriptions: Arc<AtomicUsize>,
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
        let descriptions = Arc::new(AtomicUsize::new(0));
        let (signing, described) = (signer.clone(), descriptions.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(&stream);
                let (line, headers, body) = read(&mut reader);
                if line.contains(DISCOVERY) {
                    described.fetch_add(1, Ordering::SeqCst);
                }
                let base = format!("http://127.0.0.1:{port}");
                let (status, answer) =
                    answer(&base, &client, &signing, &sender, (&line, &headers, &body));
                let text = answer.to_string();
                let _ = write!(
                    &stream,
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });
        Provider {
            port,
            asked,
            signer,
            descriptions,
        }
    }

    /// How often it was asked to describe itself.
    pub fn descriptions(&self) -> usize {
        self.descriptions.load(Ordering::SeqCst)
    }

    /// Signs with a new key from now on.
    pub fn rotate(&self) {
        self.signer.rotate();
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The forms of all exchanges since it was last asked.
    pub fn exchanges(&self) -> Vec<String> {
        self.asked.try_iter().collect()
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
        DISCOVERY => (
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
            let _ = asked.send(body.to_owned());
            let member = |name: &str| {
                let found = body.split('&').find_map(|pair| pair.strip_prefix(name));
                found.map(|text| text.replace("%2F", "/").replace("%40", "@"))
            };
            if let Some(token) = member("refresh_token=") {
                return refreshed(&token);
            }
            let code = member("code=").unwrap_or_default();
            let Some((mail, nonce)) = code.split_once('/') else {
                return (400, json!({ "error": "invalid_grant" }));
            };
            let claims = json!({
                "iss": base, "aud": client, "sub": "42", "email": mail, "nonce": nonce,
                "exp": crate::now() + 600,
            });
            let token = signer.token_with(claims);
            let life = match mail {
                mail if mail.starts_with("short") => 30,
                mail if mail.starts_with("gone") => 0,
                _ => 600,
            };
            let granted = json!({
                "id_token": token, "access_token": mail, "expires_in": life,
                "refresh_token": format!("{mail}~1"), "instance_url": base,
            });
            (200, granted)
        }
        "/api" => (200, json!({ "authorization": authorization(headers) })),
        "/userinfo" => {
            let mail = authorization(headers).and_then(|value| value.strip_prefix("Bearer "));
            match mail {
                Some(mail) => (200, json!({ "id": 7, "email": mail, "client_id": client })),
                None => (401, Value::Null),
            }
        }
        _ => (404, Value::Null),
    }
}

fn authorization(headers: &[String]) -> Option<&str> {
    headers.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("authorization");
        is_it.then(|| value.trim())
    })
}

/// Another token, and another one to refresh that with.
fn refreshed(token: &str) -> (u16, Value) {
    let Some((mail, number)) = token.split_once('~') else {
        return (400, json!({ "error": "invalid_grant" }));
    };
    let number = number.parse::<u32>().unwrap_or_default() + 1;
    if mail.starts_with("gone") {
        return (400, json!({ "error": "invalid_grant" }));
    }
    let fresh = format!("{mail}~{number}");
    let granted = json!({ "access_token": fresh, "refresh_token": fresh, "expires_in": 600 });
    (200, granted)
}
