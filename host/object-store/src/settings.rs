//! How a bucket is reached: the variables `MIXER_S3_*`.

use std::fmt;
use std::time::Duration;

/// Variables that are all set, or none of them.
const REQUIRED: [&str; 5] = [
    "MIXER_S3_ENDPOINT",
    "MIXER_S3_REGION",
    "MIXER_S3_BUCKET_NAME",
    "MIXER_S3_ACCESS_KEY",
    "MIXER_S3_SECRET_KEY",
];

/// The host of public addresses.
const PUBLIC_DOMAIN: &str = "MIXER_S3_PUBLIC_DOMAIN";
/// How long the store may keep a request waiting.
const TIMEOUT: &str = "MIXER_S3_TIMEOUT";
/// That time, unless it is said.
pub(crate) const USUAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest one.
const LONGEST_SECONDS: u64 = 3600;

/// Where a bucket is, and who asks.
#[derive(Clone)]
pub struct Settings {
    /// URL of the store.
    pub endpoint: String,
    /// Region, as it enters signatures.
    pub region: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// Host at which public objects are read by everybody.
    pub public_domain: Option<String>,
    /// How long the store may keep a request waiting: until its answer begins, all attempts together, and between two pieces of it.
    pub timeout: Duration,
}

/// Shows no keys.
impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("bucket", &self.bucket)
            .field("public_domain", &self.public_domain)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Some are set, others are not.
    #[error("files on an S3 store need all of MIXER_S3_*: {0} is missing")]
    Missing(&'static str),
    /// Not a value of that variable.
    #[error("{0} is {1}")]
    Malformed(&'static str, &'static str),
}

impl Settings {
    /// Reads the variables; none if none of them is set.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Settings>, SettingsError> {
        let value = |name: &str| variable(name).filter(|text| !text.is_empty());
        let found = REQUIRED.map(value);
        if found.iter().all(Option::is_none) {
            return match value(PUBLIC_DOMAIN).or_else(|| value(TIMEOUT)) {
                Some(_) => Err(SettingsError::Missing(REQUIRED[0])),
                None => Ok(None),
            };
        }
        if let Some(at) = found.iter().position(Option::is_none) {
            return Err(SettingsError::Missing(REQUIRED[at]));
        }
        let [endpoint, region, bucket, access_key, secret_key] =
            found.map(Option::unwrap_or_default);
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if endpoint
            .parse::<http::Uri>()
            .ok()
            .and_then(|uri| Some((uri.scheme_str()?.to_owned(), uri.host()?.to_owned())))
            .is_none_or(|(scheme, _)| scheme != "http" && scheme != "https")
            || endpoint.contains(['@', '?'])
        {
            return Err(SettingsError::Malformed(
                REQUIRED[0],
                "no address (https://HOST, http://HOST:PORT)",
            ));
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        for (name, text, fault) in [
            (REQUIRED[1], &region, "no name of a region"),
            (REQUIRED[2], &bucket, "no name of a bucket"),
        ] {
            if !text.bytes().all(word) || text.starts_with('.') {
                return Err(SettingsError::Malformed(name, fault));
            }
        }
        if access_key
            .bytes()
            .any(|byte| byte <= b' ' || byte == b'/' || byte > b'~')
        {
            return Err(SettingsError::Malformed(REQUIRED[3], "no name of a key"));
        }
        let public_domain = value(PUBLIC_DOMAIN);
        let host = |byte: u8| word(byte) || byte == b':';
        if public_domain
            .as_ref()
            .is_some_and(|name| !name.bytes().all(host))
        {
            return Err(SettingsError::Malformed(PUBLIC_DOMAIN, "no name of a host"));
        }
        let timeout = match value(TIMEOUT) {
            None => USUAL_TIMEOUT,
            Some(text) => time(&text).ok_or(SettingsError::Malformed(
                TIMEOUT,
                "no time from 1s to 1h (30s, 2m)",
            ))?,
        };
        Ok(Some(Settings {
            endpoint,
            region,
            bucket,
            access_key,
            secret_key,
            public_domain,
            timeout,
        }))
    }
}

/// Whole seconds, minutes or hours.
fn time(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=LONGEST_SECONDS)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        let all = [
            ("MIXER_S3_ENDPOINT", "http://127.0.0.1:5000/"),
            ("MIXER_S3_REGION", "eu-central-1"),
            ("MIXER_S3_BUCKET_NAME", "my-files"),
            ("MIXER_S3_ACCESS_KEY", "AKIA"),
            ("MIXER_S3_SECRET_KEY", "hidden/secret"),
        ];
        Settings::read(|name| {
            let changed = changes.iter().find(|(key, _)| *key == name);
            let found = changed.or(all.iter().find(|(key, _)| *key == name));
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn all_or_none() {
        assert!(Settings::read(|_| None).expect("none").is_none());
        let settings = read(&[]).expect("all").expect("settings");
        assert_eq!(settings.endpoint, "http://127.0.0.1:5000");
        assert!(!format!("{settings:?}").contains("hidden"));
        for name in REQUIRED {
            assert_eq!(
                read(&[(name, "")]).expect_err("one is missing"),
                SettingsError::Missing(name)
            );
        }
        for (lone, value) in [(PUBLIC_DOMAIN, "x.org"), (TIMEOUT, "5s")] {
            let alone = Settings::read(|name| (name == lone).then(|| value.to_owned()));
            assert!(alone.is_err(), "{lone}");
        }
        assert_eq!(settings.timeout, USUAL_TIMEOUT);
        for (text, seconds) in [("5s", 5), ("2m", 120), ("1h", 3600)] {
            let settings = read(&[(TIMEOUT, text)]).expect("all").expect("settings");
            assert_eq!(settings.timeout, Duration::from_secs(seconds));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (name, value) in [
            ("MIXER_S3_ENDPOINT", "127.0.0.1:5000"),
            ("MIXER_S3_ENDPOINT", "ftp://x"),
            ("MIXER_S3_ENDPOINT", "https://me:pw@x"),
            ("MIXER_S3_BUCKET_NAME", "a/b"),
            ("MIXER_S3_BUCKET_NAME", ".."),
            ("MIXER_S3_REGION", "eu central"),
            ("MIXER_S3_ACCESS_KEY", "a b"),
            ("MIXER_S3_PUBLIC_DOMAIN", "https://x.org/"),
            ("MIXER_S3_TIMEOUT", "30"),
            ("MIXER_S3_TIMEOUT", "0s"),
            ("MIXER_S3_TIMEOUT", "2h"),
            ("MIXER_S3_TIMEOUT", "s"),
            ("MIXER_S3_TIMEOUT", "\u{e9}"),
        ] {
            assert!(
                matches!(read(&[(name, value)]), Err(SettingsError::Malformed(..))),
                "{name}={value}"
            );
        }
    }
}
