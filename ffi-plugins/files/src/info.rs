//! What a program is told about a file.

use std::time::{SystemTime, UNIX_EPOCH};

use mix_plugin_sdk::mix_value::time::format_time;
use mix_plugin_sdk::{Caller, Map, Value};

use mix_file_path::{FilePath, percent};

/// The record `file`: app, path, kind, metadata, url.
pub fn describe(who: &Caller, path: &FilePath, size: u64, modified: Option<SystemTime>) -> Map {
    let text = path.text();
    let mut about = vec![
        ("size", Value::Int(i64::try_from(size).unwrap_or(i64::MAX))),
        ("contentType", Value::string(content_type(&text))),
    ];
    if let Some(modified) = modified {
        about.push(("modifiedAt", Value::string(timestamp(modified))));
    }
    let url = url(who, &text);
    [
        ("app", Value::string(who.app.as_str())),
        ("path", Value::string(text)),
        ("kind", Value::string("persisted")),
        ("metadata", Value::map(about)),
        ("url", Value::string(url)),
    ]
    .into_iter()
    .map(|(key, value)| (key.into(), value))
    .collect()
}

/// Media type by ending; content is not looked at.
fn content_type(path: &str) -> String {
    mime_guess::from_path(path)
        .first_or_octet_stream()
        .essence_str()
        .to_string()
}

/// Address of the file below the server's public address.
fn url(who: &Caller, path: &str) -> String {
    let base = std::env::var("MIXER_BASE_URL").unwrap_or_default();
    let mut url = format!(
        "{}/v1/ws/{}/app/{}/files",
        base.trim_end_matches('/'),
        who.workspace,
        who.app
    );
    url.push_str(&percent::encode(path, b"-._~/"));
    url
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ`.
fn timestamp(time: SystemTime) -> String {
    format_time(match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times() {
        let at = |millis| timestamp(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(
            timestamp(UNIX_EPOCH - Duration::from_millis(1)),
            "1969-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn types_and_addresses() {
        assert_eq!(content_type("/a/report.JSON"), "application/json");
        assert_eq!(content_type("/a/report"), "application/octet-stream");
        let who = Caller {
            workspace: "local".into(),
            app: "shop".into(),
            ..Caller::default()
        };
        assert_eq!(
            url(&who, "/a b/ü"),
            "/v1/ws/local/app/shop/files/a%20b/%C3%BC"
        );
    }
}
