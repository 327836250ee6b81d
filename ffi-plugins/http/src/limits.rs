//! What the operator allows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mix_plugin_sdk::caller;
use url::{Origin, Url};

/// Time of an exchange without a wish of the program.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest body without a wish of the operator.
const DEFAULT_RESPONSE: usize = 100 << 20;

/// Limits of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Lifts the rules for scheme, host name and address.
    pub dangerous: bool,
    /// Where the rules for targets do not count: the server that the run is on.
    pub own: Option<Origin>,
    /// Number of the caller's token.
    pub callers_token: Option<u64>,
    /// Where the caller's token may be sent.
    pub trusted: Vec<Origin>,
    /// Longest time of an exchange.
    pub timeout: Duration,
    /// Longest body of a response in bytes, after decompression.
    pub response: usize,
    /// The host takes client certificates off requests.
    pub client_tls: bool,
}

impl Limits {
    /// May a token of the host go there? Of tokens other than the caller's the server judges, where there is one.
    pub fn allow_token(&self, number: u64, target: &Origin) -> bool {
        match self.callers_token {
            Some(own) if own == number => self.trusted.contains(target),
            _ => self.own.is_some(),
        }
    }

    /// From the environment variables of the instance and the deadline of the run.
    pub fn of_environment() -> Limits {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let mut limits = parse(
            &variable("MIXER_DANGEROUS_HTTP_MODE"),
            &variable("MIXER_HTTP_TIMEOUT"),
            &variable("MIXER_HTTP_RESPONSE_LIMIT"),
        );
        limits.own = origins(&variable("MIXER_OWN_ORIGIN")).into_iter().next();
        limits.callers_token = variable("MIXER_RUN_TOKEN").parse().ok();
        limits.trusted = origins(&variable("MIXER_TOKEN_ORIGINS"));
        limits.client_tls = variable("MIXER_HTTP_CLIENT_TLS") == "true";
        let deadline = caller().deadline;
        if deadline > 0 {
            let end = UNIX_EPOCH + Duration::from_millis(deadline);
            let left = end
                .duration_since(SystemTime::now())
                .unwrap_or(Duration::ZERO);
            limits.timeout = limits.timeout.min(left);
        }
        limits
    }
}

fn parse(dangerous: &str, timeout: &str, response: &str) -> Limits {
    Limits {
        dangerous: matches!(dangerous, "true" | "1"),
        own: None,
        callers_token: None,
        trusted: Vec::new(),
        timeout: duration(timeout).unwrap_or(DEFAULT_TIMEOUT),
        response: size(response).unwrap_or(DEFAULT_RESPONSE),
        client_tls: false,
    }
}

/// Origins of URLs with commas between them.
fn origins(text: &str) -> Vec<Origin> {
    let urls = text.split(',').filter_map(|url| Url::parse(url).ok());
    urls.map(|url| url.origin()).collect()
}

/// `60s`, `500ms`, `2m`, `1h`, or seconds alone.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// `100MiB`, `64KiB`, `1GiB`, or bytes alone.
fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    // Saturates; the largest value is a bound anyway.
    Some((number * factor) as usize)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_operators_write() {
        let limits = parse("true", "5s", "1MiB");
        assert_eq!(
            limits,
            Limits {
                dangerous: true,
                own: None,
                callers_token: None,
                trusted: vec![],
                timeout: Duration::from_secs(5),
                response: 1 << 20,
                client_tls: false,
            }
        );
        assert_eq!(
            origins("https://a.example.com/x,y,http://b:8000"),
            ["https://a.example.com", "http://b:8000/z"]
                .map(|url| Url::parse(url).unwrap().origin())
        );
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(size("10"), Some(10));
    }

    #[test]
    fn falls_back_to_what_is_safe() {
        for bad in ["", "x", "-1s", "1 week", "1e99"] {
            let limits = parse(bad, bad, bad);
            assert_eq!(
                limits,
                Limits {
                    dangerous: false,
                    own: None,
                    callers_token: None,
                    trusted: vec![],
                    timeout: DEFAULT_TIMEOUT,
                    response: DEFAULT_RESPONSE,
                    client_tls: false,
                },
                "{bad}"
            );
        }
    }
}
