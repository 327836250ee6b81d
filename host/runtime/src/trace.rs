//! Spans of requests, runs and calls of plugins, for OpenTelemetry.
//!
//! A [`Trace`] is a place in a trace: what is begun there becomes a child of it. Finished spans go to
//! a queue; who takes them out and where they are sent is the business of whoever made it.
//! Trace contexts come and go as the headers `traceparent` and `tracestate` (W3C Trace Context).

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Most members of a `tracestate`, and most bytes of those that are handed on.
const MOST_MEMBERS: usize = 32;
const MOST_STATE: usize = 512;

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work inside of the process.
    Internal,
    /// The answer to a request.
    Server,
    /// A request to somebody else.
    Client,
}

/// One finished span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace: [u8; 16],
    /// The span itself.
    pub id: [u8; 8],
    /// The span it belongs to; none: it is the first of this process and its caller named none.
    pub parent: Option<[u8; 8]>,
    /// What was done.
    pub name: String,
    /// What it is about.
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Facts, with the names that OpenTelemetry gives them.
    pub attributes: Vec<(&'static str, String)>,
    /// Code of the failure, if it failed.
    pub error: Option<String>,
}

/// Where finished spans go.
pub struct Tracer {
    spans: mpsc::Sender<Span>,
    dropped: AtomicU64,
}

/// A place in a trace.
#[derive(Clone)]
pub struct Trace {
    tracer: Arc<Tracer>,
    trace: [u8; 16],
    span: [u8; 8],
    /// What the callers say about the trace, to be handed on.
    state: Option<Arc<str>>,
}

/// A span that goes on; it ends when it is dropped.
pub struct Open {
    place: Trace,
    parent: Option<[u8; 8]>,
    name: String,
    kind: Kind,
    start: u64,
    attributes: Vec<(&'static str, String)>,
    error: Option<String>,
    is_kept: bool,
}

impl Tracer {
    /// A tracer, and where its spans arrive; what finds no room among `most` is left out.
    pub fn new(most: usize) -> (Arc<Tracer>, mpsc::Receiver<Span>) {
        let (spans, receiver) = mpsc::channel(most);
        let tracer = Tracer {
            spans,
            dropped: AtomicU64::new(0),
        };
        (Arc::new(tracer), receiver)
    }

    /// Spans that found no room so far, or were lost behind it.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Who takes the spans out could not send so many of them.
    pub fn lost(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// The span of a request. `header` and `state`: its `traceparent` and `tracestate`, if it has them.
    /// `None` if the caller does not want it to be recorded.
    pub fn request(
        self: &Arc<Self>,
        header: Option<&str>,
        state: &str,
        name: String,
    ) -> Option<Open> {
        let (trace, parent) = match header.and_then(parse) {
            Some((_, _, false)) => return None,
            Some((trace, parent, true)) => (trace, Some(parent)),
            None => (random()?, None),
        };
        let place = Trace {
            tracer: self.clone(),
            trace,
            span: random()?,
            // What is said of a trace that nobody names is about none.
            state: parent.and_then(|_| handed_on(state)).map(Arc::from),
        };
        Some(Open::new(place, parent, name, Kind::Server))
    }
}

impl Trace {
    /// Begins a span that belongs to this place.
    pub fn begin(&self, name: impl Into<String>, kind: Kind) -> Option<Open> {
        let place = Trace {
            span: random()?,
            ..self.clone()
        };
        Some(Open::new(place, Some(self.span), name.into(), kind))
    }

    /// What the callers say about the trace, as the header `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The place as the header `traceparent`.
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        hex(&mut text, &self.trace);
        text.push('-');
        hex(&mut text, &self.span);
        text.push_str("-01");
        text
    }
}

impl Open {
    fn new(place: Trace, parent: Option<[u8; 8]>, name: String, kind: Kind) -> Open {
        Open {
            place,
            parent,
            name,
            kind,
            start: now(),
            attributes: Vec::new(),
            error: None,
            is_kept: true,
        }
    }

    /// The place of what belongs to it.
    pub fn place(&self) -> &Trace {
        &self.place
    }

    /// Adds a fact.
    pub fn note(&mut self, name: &'static str, value: impl Into<String>) {
        self.attributes.push((name, value.into()));
    }

    /// What it is called, when that is known better.
    pub fn rename(&mut self, name: String) {
        self.name = name;
    }

    /// It is not recorded after all.
    pub fn discard(mut self) {
        self.is_kept = false;
    }

    /// It has failed.
    pub fn fail(&mut self, code: impl Into<String>) {
        self.error = Some(code.into());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_kept {
            return;
        }
        let span = Span {
            trace: self.place.trace,
            id: self.place.span,
            parent: self.parent,
            name: std::mem::take(&mut self.name),
            kind: self.kind,
            start: self.start,
            end: now().max(self.start),
            attributes: std::mem::take(&mut self.attributes),
            error: self.error.take(),
        };
        let tracer = &self.place.tracer;
        if tracer.spans.try_send(span).is_err() {
            tracer.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Trace, span and whether it is recorded; `None` for what is no `traceparent`.
fn parse(header: &str) -> Option<([u8; 16], [u8; 8], bool)> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may say more after that.
    let is_known = version == "00" && parts.next().is_none();
    let is_later = version.len() == 2 && version != "ff" && version > "00";
    if !(is_known || is_later) || flags.len() != 2 {
        return None;
    }
    let trace: [u8; 16] = bytes(trace)?;
    let span: [u8; 8] = bytes(span)?;
    let [flags] = bytes::<1>(flags)?;
    let is_set = trace.iter().any(|byte| *byte != 0) && span.iter().any(|byte| *byte != 0);
    is_set.then_some((trace, span, flags & 1 == 1))
}

/// A `tracestate` as it is handed on: as it came, without members at its end that are too much. `None` for what is none.
fn handed_on(state: &str) -> Option<String> {
    let members = || {
        state
            .split(',')
            .map(str::trim)
            .filter(|one| !one.is_empty())
    };
    let is_member = |one: &str| {
        let name = one.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && one.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    if members().count() > MOST_MEMBERS || !members().all(is_member) {
        return None;
    }
    let mut text = String::new();
    for member in members() {
        let comma = usize::from(!text.is_empty());
        if text.len() + comma + member.len() > MOST_STATE {
            break;
        }
        text.extend([","].iter().take(comma).copied());
        text.push_str(member);
    }
    (!text.is_empty()).then_some(text)
}

/// Lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let fits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 * N || !text.bytes().all(fits) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Appends bytes as hexadecimal digits.
pub fn hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    // All zeros would be none.
    bytes[0] |= u8::from(bytes.iter().all(|byte| *byte == 0));
    Some(bytes)
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn spans_belong_to_each_other_and_to_their_caller() {
        let (tracer, mut spans) = Tracer::new(8);
        let mut request = tracer
            .request(Some(HEADER), "a=1, b@c=2:3", "GET".to_owned())
            .expect("recorded");
        let run = request.place().begin("run", Kind::Internal).expect("begun");
        let header = run.place().header();
        assert_eq!(run.place().state(), Some("a=1,b@c=2:3"));
        drop(run);
        request.note("http.route", "/v1");
        request.fail("busy");
        drop(request);
        let (run, request) = (
            spans.try_recv().expect("a span"),
            spans.try_recv().expect("a span"),
        );
        assert_eq!(run.parent, Some(request.id));
        assert_eq!(
            request.parent,
            Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31])
        );
        assert_eq!(run.trace, request.trace);
        assert_eq!(request.error.as_deref(), Some("busy"));
        assert!(run.start >= request.start && run.end <= request.end);
        assert_eq!(parse(&header), Some((run.trace, run.id, true)));
        assert!(header.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    }

    #[test]
    fn malformed_contexts_begin_a_trace_and_unwanted_ones_none() {
        let (tracer, mut spans) = Tracer::new(1);
        for wrong in [
            "",
            "00",
            "01-x-y-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            let open = tracer
                .request(Some(wrong), "a=1", String::new())
                .expect("recorded");
            assert_eq!(open.parent, None, "{wrong}");
            assert_eq!(open.place().state(), None, "{wrong}");
            drop(open);
            let _ = spans.try_recv();
        }
        let later = HEADER.replacen("00-", "42-", 1) + "-more";
        assert!(parse(&later).is_some());
        let unwanted = HEADER.replace("-01", "-00");
        assert!(tracer.request(Some(&unwanted), "", String::new()).is_none());
        // What finds no room is counted.
        drop(tracer.request(None, "", String::new()));
        drop(tracer.request(None, "", String::new()));
        assert_eq!(tracer.dropped(), 1);
    }

    #[test]
    fn states_are_handed_on_within_limits() {
        let same = |state: &str| assert_eq!(handed_on(state).as_deref(), Some(state));
        same("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        same(&["x=1"; MOST_MEMBERS].join(","));
        assert_eq!(handed_on(&["x=1"; MOST_MEMBERS + 1].join(",")), None);
        for none in ["", " , ", "x", "=1", "a=1,x", "a=\u{e9}", "a=\t1"] {
            assert_eq!(handed_on(none), None, "{none:?}");
        }
        assert_eq!(handed_on(",a=1 ,, b=2\t").as_deref(), Some("a=1,b=2"));
        let long = format!("b={}", "x".repeat(MOST_STATE - 6));
        same(&format!("a=1,{long}"));
        assert_eq!(handed_on(&format!("a=12,{long}")).as_deref(), Some("a=12"));
        assert_eq!(handed_on(&format!("{long}xxxxx")), None);
    }
}
