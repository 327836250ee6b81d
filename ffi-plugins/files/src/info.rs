//! What a program is told about a file.

use std::time::{SystemTime, UNIX_EPOCH};

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
    let millis = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    };
    let (day, millis) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, date) = civil(day);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar
/// (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
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
