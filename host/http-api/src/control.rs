//! Control parameters of a run: read from the query string, never passed on.

use crate::error::ApiError;
use crate::form::{boolean, twice};
use crate::plan::Settings;

/// Names that are never agent parameters on GET.
const NAMES: [&str; 7] = [
    "timeout",
    "include_raw_body",
    "inputEscEnabled",
    "outputEscEnabled",
    "field",
    "async",
    "token",
];

/// Control parameters with their defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub timeout_ms: u64,
    pub include_raw_body: bool,
    /// `None`: by the type of the body.
    pub input_tags: Option<bool>,
    pub output_tags: bool,
    pub field: Option<String>,
    pub asynchronous: bool,
}

/// Reads them and returns the other pairs.
pub(crate) fn take(
    settings: &Settings,
    pairs: Vec<(String, String)>,
) -> Result<(Control, Vec<(String, String)>), ApiError> {
    let mut control = Control {
        timeout_ms: settings.agent_timeout_ms,
        include_raw_body: false,
        input_tags: None,
        output_tags: true,
        field: None,
        asynchronous: false,
    };
    let mut rest = Vec::new();
    let mut wanted = None;
    let mut seen = Vec::new();
    for (name, value) in pairs {
        if !NAMES.contains(&name.as_str()) {
            rest.push((name, value));
            continue;
        }
        if seen.contains(&name) {
            return Err(twice(&name));
        }
        match name.as_str() {
            "timeout" => wanted = Some(timeout(&value)?),
            "include_raw_body" => control.include_raw_body = boolean(&name, &value)?,
            "inputEscEnabled" => control.input_tags = Some(boolean(&name, &value)?),
            "outputEscEnabled" => control.output_tags = boolean(&name, &value)?,
            "async" => control.asynchronous = boolean(&name, &value)?,
            "field" => control.field = Some(value),
            // A token was judged with the head; it is dropped here.
            _ => {}
        }
        seen.push(name);
    }
    let (default, ceiling) = if control.asynchronous {
        (
            settings.postpone_timeout_ms,
            settings.postpone_timeout_max_ms,
        )
    } else {
        (settings.agent_timeout_ms, settings.agent_timeout_max_ms)
    };
    control.timeout_ms = wanted.unwrap_or(default).min(ceiling);
    Ok((control, rest))
}

/// Milliseconds that a caller gives.
pub(crate) fn timeout(text: &str) -> Result<u64, ApiError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.bytes().all(|byte| byte == b'0') {
        return Err(bad_timeout());
    }
    // More digits than fit are just a very long time.
    Ok(text.parse::<u64>().unwrap_or(u64::MAX))
}

/// 400.
pub(crate) fn bad_timeout() -> ApiError {
    ApiError::bad_param("timeout must be a positive int (milliseconds)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::parse_pairs;

    fn taken(query: &str) -> Result<(Control, Vec<(String, String)>), ApiError> {
        take(&Settings::default(), parse_pairs(query).expect("pairs"))
    }

    #[test]
    fn control_parameters_have_one_value_and_others_any_number() {
        let (control, rest) = taken("a=1&timeout=99999999999999999999&a=2").expect("fine");
        assert_eq!(control.timeout_ms, Settings::default().agent_timeout_max_ms);
        assert_eq!(rest.len(), 2);
        for query in [
            "timeout=1&timeout=1",
            "async=true&async=false",
            "field=a&field=b",
            "timeout=0",
            "timeout=-1",
            "timeout=1s",
            "async=yes",
        ] {
            assert_eq!(taken(query).expect_err(query).code, "bad_param", "{query}");
        }
    }
}
