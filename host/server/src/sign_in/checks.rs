//! What the description of a provider must fulfil beside the form of its members.

use super::configs::{ADDRESSES, Config};
use mix_http_api::ApiError;
use mix_sandbox::outbound::Outbound;
use mix_value::{Map, Value};

/// Parameters of the address that browsers are sent to which are the server's own.
const OWN_PARAMS: [&str; 7] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// What could never be used is refused while somebody is there to mend it.
pub(super) fn check_form(members: &Map) -> Result<(), ApiError> {
    let is_address = |text: &str| {
        let uri = text.parse::<http::Uri>();
        uri.is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some())
    };
    let config = Config::of(members.clone());
    if !config.texts("redirects").all(is_address) {
        let message = "redirects must be addresses, such as https://app.example.com/in";
        return Err(ApiError::bad_param(message));
    }
    if config
        .callback
        .as_deref()
        .is_some_and(|text| !is_address(text))
    {
        return Err(ApiError::bad_param("callback must be an address"));
    }
    let is_host = |text: &str| {
        let host = text.parse::<http::uri::Authority>();
        host.is_ok_and(|host| !host.as_str().contains('@'))
    };
    if config.text("domain").is_some_and(|text| !is_host(text)) {
        return Err(ApiError::bad_param("domain must be a host"));
    }
    for (name, value) in config.headers() {
        let fits = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && http::HeaderValue::from_str(value).is_ok();
        if !fits {
            let message = format!("headers cannot have {name:?} with this value");
            return Err(ApiError::bad_param(message));
        }
    }
    if let Some((name, _)) = config
        .auth_url_params()
        .find(|(name, _)| OWN_PARAMS.contains(name))
    {
        let message = format!("auth_url_params cannot have {name}: the server gives it");
        return Err(ApiError::bad_param(message));
    }
    Ok(())
}

/// Addresses that the server would ask.
pub(super) fn check_addresses(outbound: &Outbound, members: &Map) -> Result<(), ApiError> {
    for name in ADDRESSES {
        let Some(address) = members.get(name).and_then(Value::as_str) else {
            continue;
        };
        let blocked = |reason: &str| {
            ApiError::new(
                400,
                "url_blocked",
                format!("{name} is not allowed: {reason}"),
            )
            .with_detail("reason", Value::from(reason))
        };
        let uri: http::Uri = address.parse().map_err(|_| blocked("no address"))?;
        let judged = outbound.judge(&uri);
        judged.map_err(|reason| blocked(&reason.to_string()))?;
    }
    Ok(())
}
