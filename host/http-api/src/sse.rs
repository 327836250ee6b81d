//! Streams of events (`text/event-stream`), as browsers read them with `EventSource`.

/// Media type.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// What keeps a quiet stream open.
pub const PING: &str = ": ping\n\n";

/// How long a reader waits before it connects again.
pub const RETRY: &str = "retry: 3000\n\n";

/// One event. Every line of the data is a line of the event.
pub fn event(name: &str, id: Option<u64>, data: &str) -> String {
    let mut text = String::with_capacity(name.len() + data.len() + 32);
    if let Some(id) = id {
        text.push_str(&format!("id: {id}\n"));
    }
    text.push_str("event: ");
    text.push_str(name);
    text.push('\n');
    // A carriage return ends a line as well.
    for line in data.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_never_begins_a_line_of_its_own() {
        assert_eq!(
            event("message", Some(7), "{\"a\":1}"),
            "id: 7\nevent: message\ndata: {\"a\":1}\n\n"
        );
        assert_eq!(
            event("log", None, "a\nevent: forged\r\n\nb"),
            "event: log\ndata: a\ndata: event: forged\ndata: \ndata: \ndata: b\n\n"
        );
    }
}
