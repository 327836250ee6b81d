//! Requests over HTTP: head and body of anybody, up to the response or the work to be done.
//! What is sent back is a response that a client can read, without a header of the caller's making.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mix_http_api::{Access, Facts, Head, Plan, Response, RunOutcome, Settings, Step, plan};
use mix_value::{Value, escjson, msgpack};
use std::sync::Arc;

/// How the server is configured; each bit of the number changes something.
fn settings(number: u8) -> Arc<Settings> {
    let is = |bit: u8| number & (1 << bit) != 0;
    let mut settings = Settings::default();
    if is(0) {
        settings.access = Access::Identity;
    }
    if is(1) {
        settings.only_workspace = Some("local".to_owned());
    }
    if is(2) {
        settings.cors_origins = vec!["https://example.com".to_owned()];
    }
    if is(3) {
        settings.allowed_hosts = Some(vec!["localhost".to_owned()]);
    }
    if is(4) {
        settings.files_origin = Some("https://files.example.com".to_owned());
    }
    if is(5) {
        settings.body_limit = 64;
        settings.params_limit = 16;
    }
    Arc::new(settings)
}

/// A request in the form of HTTP/1.1, and its body.
fn request(bytes: &[u8]) -> (Head, &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (lines, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[][..]),
    };
    // A server sees the bytes of a head as characters of Latin-1.
    let lines: String = lines.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = lines.split('\n');
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or_default();
    // Control characters end a request before it gets here.
    let is_plain = |text: &&str| !text.contains(|sign: char| sign.is_control());
    let headers = lines
        .filter(is_plain)
        .filter_map(|line| line.split_once(": "));
    let head = Head {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        authority: None,
    };
    (head, body)
}

/// What every client relies on.
fn check(response: &Response) {
    assert!((200..600).contains(&response.status), "{}", response.status);
    for (name, value) in &response.headers {
        let is_sent = |sign: char| matches!(sign, ' '..='~' | '\u{80}'..='\u{ff}');
        assert!(value.chars().all(is_sent), "{name}: {value:?}");
    }
    let media_type = response.header("content-type").unwrap_or_default();
    if media_type.starts_with("application/json") && !response.body.is_empty() {
        serde_json::from_slice::<serde::de::IgnoredAny>(&response.body).expect("JSON");
    }
    if media_type == "application/msgpack" {
        msgpack::decode(&response.body).expect("a value");
    }
    assert_eq!(response.status >= 400, !response.code.is_empty());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&number, bytes)) = bytes.split_first() else {
        return;
    };
    let (head, body) = request(bytes);
    let needs = match plan(&settings(number), head, &Facts::default()) {
        Plan::Reply(response) => return check(&response),
        Plan::Body(needs) => needs,
    };
    needs.flaw().as_ref().map(check);
    check(&needs.too_large());
    let answer = || {
        std::str::from_utf8(body)
            .ok()
            .and_then(|text| escjson::parse(text).ok())
    };
    match needs.with_body(body) {
        Step::Reply(response) => check(&response),
        Step::Run(run) => {
            let output = answer().unwrap_or_else(|| {
                msgpack::decode(&run.params).expect("parameters that were read")
            });
            check(&run.finish(RunOutcome::Output(output.clone())));
            check(&run.events());
            let _ = run.last_event(RunOutcome::Output(output));
            let _ = run.header_map();
        }
        Step::Call(call) => check(&call.finish(Ok(answer().unwrap_or(Value::Null)))),
        Step::Manage(managed) => {
            let _ = format!("{:?}", managed.job);
        }
    }
});
