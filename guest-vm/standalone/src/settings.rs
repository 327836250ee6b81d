//! The environment variables of `mixer serve`, as far as they mean something here.
//!
//! `MIXER_OPEN_RECORDS=true` is one of this component alone: it offers the endpoints of
//! the record store to everybody who can reach the host. Without it they answer 401.

use mix_http_api::{Access, Settings};

/// Settings of all requests.
pub fn of_environment() -> Settings {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let mut settings = Settings {
        // Nobody here can check a token, and the component cannot see who reaches it.
        access: Access::Open {
            records: matches!(variable("MIXER_OPEN_RECORDS").as_str(), "true" | "1"),
        },
        only_workspace: Some(workspace()),
        ..Settings::default()
    };
    if let Some(size) = size(&variable("MIXER_BODY_LIMIT")) {
        settings.body_limit = size;
    }
    if let Some(size) = size(&variable("MIXER_PARAMS_LIMIT")) {
        settings.params_limit = size;
    }
    if let Some(time) = millis(&variable("MIXER_AGENT_TIMEOUT")) {
        settings.agent_timeout_ms = time;
    }
    if let Some(time) = millis(&variable("MIXER_AGENT_TIMEOUT_MAX")) {
        settings.agent_timeout_max_ms = time;
    }
    let origins = variable("MIXER_CORS_ORIGIN");
    if !origins.is_empty() {
        settings.cors_origins = origins
            .split(',')
            .map(|origin| origin.trim().to_string())
            .collect();
    }
    settings
}

/// The one workspace that is served.
pub fn workspace() -> String {
    match std::env::var("MIXER_WS") {
        Ok(name) if mix_http_api::is_workspace_name(&name) => name,
        _ => "local".to_string(),
    }
}

/// `500ms`, `60s`, `2m`, `1h`, or seconds alone.
pub fn millis(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|millis| *millis > 0)
}

/// `64KiB`, `1MiB`, `1GiB`, or bytes alone.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(size("1MiB"), Some(1 << 20));
        assert_eq!(size("10"), Some(10));
        assert_eq!(millis("60s"), Some(60_000));
        assert_eq!(millis("2 m"), Some(120_000));
        for bad in ["", "x", "1.5s", "-1", "5 parsecs", "99999999999999999999"] {
            assert_eq!((size(bad), millis(bad)), (None, None), "{bad}");
        }
        assert_eq!(millis("0"), None);
    }
}
