//! Spans on their way to a collector of OpenTelemetry: OTLP over HTTP, as JSON.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use mix_runtime::download::{self, Client};
use mix_runtime::trace::{Kind, Span, Tracer, hex};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Spans that wait to be sent.
const QUEUE: usize = 16_384;

/// Spans of one message.
const BATCH: usize = 2_048;

/// How long spans are gathered.
const PERIOD: Duration = Duration::from_secs(1);

/// Time of one message.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// Most bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// Begins to send spans to the collector at this address.
pub fn start(collector: &http::Uri, version: &str) -> anyhow::Result<Arc<Tracer>> {
    let (tracer, spans) = Tracer::new(QUEUE);
    let address = format!("{}/v1/traces", collector.to_string().trim_end_matches('/')).parse()?;
    let exporter = Exporter {
        client: download::client()?,
        address,
        version: version.to_owned(),
    };
    tokio::spawn(exporter.run(spans));
    Ok(tracer)
}

struct Exporter {
    client: Client<Full<Bytes>>,
    address: http::Uri,
    version: String,
}

impl Exporter {
    async fn run(self, mut spans: mpsc::Receiver<Span>) {
        let mut batch = Vec::new();
        while let Some(first) = spans.recv().await {
            batch.push(first);
            let end = tokio::time::Instant::now() + PERIOD;
            while batch.len() < BATCH {
                match tokio::time::timeout_at(end, spans.recv()).await {
                    Ok(Some(span)) => batch.push(span),
                    Ok(None) | Err(_) => break,
                }
            }
            let text = self.message(&batch).to_string();
            match tokio::time::timeout(SEND_LIMIT, self.send(text)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let lost = batch.len();
                    tracing::warn!(collector = %self.address, error = %format!("{error:#}"), lost, "spans are not taken");
                }
                Err(_) => {
                    tracing::warn!(collector = %self.address, lost = batch.len(), "the collector is too slow")
                }
            }
            batch.clear();
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
