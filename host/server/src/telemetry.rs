//! Spans on their way to a collector of OpenTelemetry: OTLP over HTTP, as JSON.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use mix_runtime::download::{self, Client};
use mix_runtime::trace::{Kind, Span, Tracer, hex};
use serde_json::{Value, json};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Spans that wait to be sent.
const QUEUE: usize = 16_384;

/// Spans of one message.
const BATCH: usize = 2_048;

/// How long spans are gathered.
const PERIOD: Duration = Duration::from_secs(1);

/// Time of one message.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// Time of the last messages, when the server stops.
const LAST_LIMIT: Duration = Duration::from_secs(2);

/// Most bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// What spans are given to, and what sends them.
pub struct Telemetry {
    /// Takes spans.
    pub tracer: Arc<Tracer>,
    asked: mpsc::Sender<oneshot::Sender<()>>,
}

impl Telemetry {
    /// Waits until what is there now was sent, or could not be.
    pub async fn sent(&self) {
        let (done, is_done) = oneshot::channel();
        if self.asked.send(done).await.is_ok() {
            let _ = tokio::time::timeout(LAST_LIMIT, is_done).await;
        }
    }
}

/// Begins to send spans to the collector at this address.
pub fn start(collector: &http::Uri, version: &str) -> anyhow::Result<Telemetry> {
    let (tracer, spans) = Tracer::new(QUEUE);
    let (asked, asks) = mpsc::channel(1);
    let address = format!("{}/v1/traces", collector.to_string().trim_end_matches('/')).parse()?;
    let exporter = Exporter {
        client: download::client()?,
        address,
        version: version.to_owned(),
        tracer: Arc::downgrade(&tracer),
    };
    tokio::spawn(exporter.run(spans, asks));
    Ok(Telemetry { tracer, asked })
}

struct Exporter {
    client: Client<Full<Bytes>>,
    address: http::Uri,
    version: String,
    /// Counts what is lost.
    tracer: Weak<Tracer>,
}

/// Why spans are sent now.
enum Cause {
    /// There are enough of them, or the time is over.
    Due,
    /// Somebody waits until they are sent.
    Asked(oneshot::Sender<()>),
    /// No more will come.
    End,
}

impl Exporter {
    async fn run(
        self,
        mut spans: mpsc::Receiver<Span>,
        mut asks: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        let mut batch = Vec::new();
        loop {
            let cause = gather(&mut spans, &mut asks, &mut batch).await;
            self.deliver(&mut batch).await;
            match cause {
                Cause::Due => {}
                Cause::End => return,
                Cause::Asked(done) => {
                    for _ in 0..QUEUE.div_ceil(BATCH) {
                        while batch.len() < BATCH
                            && let Ok(span) = spans.try_recv()
                        {
                            batch.push(span);
                        }
                        self.deliver(&mut batch).await;
                    }
                    // Whoever asked may have left.
                    let _ = done.send(());
                }
            }
        }
    }

    /// Sends a batch, which is empty then.
    async fn deliver(&self, batch: &mut Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        let text = self.message(batch).to_string();
        let lost = batch.len();
        batch.clear();
        let error = match tokio::time::timeout(SEND_LIMIT, self.send(text)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "it is too slow".to_owned(),
        };
        tracing::warn!(collector = %self.address, error, lost, "spans are not taken");
        if let Some(tracer) = self.tracer.upgrade() {
            tracer.lost(lost);
        }
    }

    async fn send(&self, text: String) -> anyhow::Result<()> {
        let request = http::Request::post(&self.address)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        // Read to its end, the connection serves the next message.
        let _ = Limited::new(answer.into_body(), ANSWER).collect().await;
        anyhow::ensure!(status.is_success(), "it answers {status}");
        Ok(())
    }

    fn message(&self, spans: &[Span]) -> Value {
        let resource = [
            ("service.name", "mixer".to_owned()),
            ("service.version", self.version.clone()),
        ];
        json!({ "resourceSpans": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeSpans": [{
                "scope": { "name": "mixer" },
                "spans": spans.iter().map(span).collect::<Vec<_>>(),
            }],
        }] })
    }
}

/// Gathers spans for a period from the first one on.
async fn gather(
    spans: &mut mpsc::Receiver<Span>,
    asks: &mut mpsc::Receiver<oneshot::Sender<()>>,
    batch: &mut Vec<Span>,
) -> Cause {
    let mut end: Option<Instant> = None;
    while batch.len() < BATCH {
        let over = tokio::time::sleep_until(end.unwrap_or_else(Instant::now));
        tokio::select! {
            Some(done) = asks.recv() => return Cause::Asked(done),
            span = spans.recv() => match span {
                Some(span) => {
                    batch.push(span);
                    end.get_or_insert_with(|| Instant::now() + PERIOD);
                }
                None => return Cause::End,
            },
            () = over, if end.is_some() => return Cause::Due,
        }
    }
    Cause::Due
}

fn span(span: &Span) -> Value {
    let digits = |bytes: &[u8]| {
        let mut text = String::new();
        hex(&mut text, bytes);
        text
    };
    let mut value = json!({
        "traceId": digits(&span.trace),
        "spanId": digits(&span.id),
        "name": span.name,
        "kind": match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes(&span.attributes),
    });
    if let Some(parent) = &span.parent {
        value["parentSpanId"] = json!(digits(parent));
    }
    if let Some(code) = &span.error {
        value["status"] = json!({ "code": 2, "message": code });
    }
    value
}

fn attributes(attributes: &[(&'static str, String)]) -> Value {
    let members = attributes.iter().map(|(name, value)| {
        let value = match *name {
            "http.response.status_code" => json!({ "intValue": value }),
            _ => json!({ "stringValue": value }),
        };
        json!({ "key": name, "value": value })
    });
    Value::Array(members.collect())
}
