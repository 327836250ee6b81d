//! A stream of events, as a browser reads it.

use std::io::{BufRead, BufReader, Read};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty for a comment.
    pub name: String,
    /// Its id, if it has one.
    pub id: Option<u64>,
    /// Its data, lines joined.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    pub fn json(&self) -> serde_json::Value {
        crate::response_json(self.data.as_bytes())
    }
}

/// The events of a response, in the order in which they come.
pub struct Events(Box<dyn BufRead + Send>);

impl Events {
    /// Reads them from a body.
    pub fn new(body: impl Read + Send + 'static) -> Events {
        Events(Box::new(BufReader::new(body)))
    }

    /// Waits for the next event that has a name; `None` at the end of the stream.
    pub fn next_named(&mut self) -> Option<Event> {
        loop {
            let mut event = Event {
                name: String::new(),
                id: None,
                data: String::new(),
            };
            let mut lines = 0;
            loop {
                let mut line = String::new();
                if self.0.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                let line = line.trim_end_matches('\n');
                if line.is_empty() {
                    break;
                }
                if let Some(name) = line.strip_prefix("event: ") {
                    event.name = name.to_owned();
                } else if let Some(id) = line.strip_prefix("id: ") {
                    event.id = id.parse().ok();
                } else if let Some(data) = line.strip_prefix("data: ") {
                    if lines > 0 {
                        event.data.push('\n');
                    }
                    lines += 1;
                    event.data.push_str(data);
                }
            }
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }
}
