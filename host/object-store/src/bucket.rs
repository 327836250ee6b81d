//! A bucket: looking at objects, reading, copying, deleting.

use crate::error::{Result, StoreError};
use crate::settings::Settings;
use crate::transport::{Call, Transport, piece};
use crate::xml;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Method};
use hyper::body::Incoming;
use std::io::{self, Read};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;

/// A bucket on a store.
pub struct Bucket {
    pub(crate) transport: Transport,
    pub(crate) runtime: Handle,
}

/// What is known about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Bytes.
    pub size: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    /// Changes with the content; without quotes.
    pub tag: String,
}

/// The bytes of an object as they come. What the store breaks off is an error, never a shorter object.
pub struct ObjectReader {
    body: Incoming,
    runtime: Handle,
    piece: Bytes,
    left: u64,
    /// Longest wait for the next piece.
    patience: Duration,
}

impl Bucket {
    /// A bucket; nothing is asked yet. To be made inside the runtime whose tasks it uses.
    pub fn new(settings: Settings) -> Result<Bucket> {
        Ok(Bucket {
            transport: Transport::new(settings)?,
            runtime: Handle::current(),
        })
    }

    /// Host at which public objects are read by everybody.
    pub fn public_domain(&self) -> Option<&str> {
        self.transport.settings().public_domain.as_deref()
    }

    /// How long the store may keep a request waiting.
    pub fn patience(&self) -> Duration {
        self.transport.settings().timeout
    }

    /// What is known about an object; none if there is none.
    pub fn look(&self, key: &str) -> Result<Option<ObjectFacts>> {
        let call = Call::plain(Method::HEAD, key);
        let answer = self.runtime.block_on(self.transport.send(&call));
        match answer {
            Ok(answer) => facts(answer.headers()).map(Some),
            Err(StoreError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of an object that was looked at; [`StoreError::Changed`] if it is another one by now.
    pub fn read(&self, key: &str, facts: &ObjectFacts, range: Range<u64>) -> Result<ObjectReader> {
        let length = range.end.saturating_sub(range.start);
        let tag = format!("\"{}\"", facts.tag);
        let part = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let mut headers = vec![("if-match", tag.as_str())];
        if length < facts.size {
            headers.push(("range", part.as_str()));
        }
        let call = Call {
            headers: &headers,
            ..Call::plain(Method::GET, key)
        };
        let answer = self.runtime.block_on(self.transport.send(&call));
        let answer = answer.map_err(|error| match error {
            StoreError::Refused { status: 404, .. } => StoreError::Changed,
            other => other,
        })?;
        let announced = number(answer.headers(), "content-length");
        if announced.is_some_and(|announced| announced != length) {
            return Err(StoreError::Changed);
        }
        Ok(ObjectReader {
            body: answer.into_body(),
            runtime: self.runtime.clone(),
            piece: Bytes::new(),
            left: length,
            patience: self.transport.settings().timeout,
        })
    }

    /// Copies an object over whatever is there; false if there is none to be copied.
    pub fn copy(&self, from: &str, to: &str) -> Result<bool> {
        let source = self.transport.source(from);
        let call = Call {
            headers: &[("x-amz-copy-source", source.as_str())],
            ..Call::plain(Method::PUT, to)
        };
        let copied = self.runtime.block_on(async {
            let answer = self.transport.send(&call).await?;
            self.transport.text(answer).await
        });
        match copied {
            // A copy that fails on its way is told inside of an answer of success.
            Ok(text) => failure_inside(&text).map(|()| true),
            Err(StoreError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object, if it is there.
    pub fn delete(&self, key: &str) -> Result<()> {
        let call = Call::plain(Method::DELETE, key);
        match self.runtime.block_on(self.transport.send(&call)) {
            Ok(_) | Err(StoreError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while self.piece.is_empty() {
            let next = self.runtime.block_on(piece(&mut self.body, self.patience));
            match next.map_err(io::Error::other)? {
                Some(next) => self.piece = next,
                None if self.left == 0 => return Ok(0),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..count]);
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("the store sends more than the object has"))?;
        Ok(count)
    }
}

/// The failure that an answer of success may hold.
pub(crate) fn failure_inside(text: &str) -> Result<()> {
    match xml::elements(text, "Error").next() {
        None => Ok(()),
        Some(inside) => Err(StoreError::Refused {
            status: 500,
            code: xml::text(inside, "Code").unwrap_or_default(),
            message: xml::text(inside, "Message").unwrap_or_default(),
        }),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn facts(headers: &HeaderMap) -> Result<ObjectFacts> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let size = number(headers, "content-length");
    Ok(ObjectFacts {
        size: size.ok_or(StoreError::Malformed("it has no length"))?,
        modified: text("last-modified")
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .unwrap_or(UNIX_EPOCH),
        tag: text("etag")
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
    })
}
