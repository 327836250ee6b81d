//! Addresses and names of the server on the command line.

use http::Uri;

/// The public URL, without a `/` at its end. It may have a path, which a proxy takes off.
pub fn base(text: &str) -> Result<String, String> {
    match web(text).filter(|uri| uri.query().is_none()) {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("it must be http://HOST[:PORT] or https://HOST[:PORT]".to_owned()),
    }
}

/// Where spans are sent, which may have a path.
pub fn collector(text: &str) -> Result<Uri, String> {
    web(text)
        .filter(|uri| uri.query().is_none())
        .ok_or_else(|| "it must be http://HOST[:PORT] or https://HOST[:PORT]".to_owned())
}

/// A URL without a path.
pub fn origin(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    match web(text).filter(|uri| uri.path() == "/" && uri.query().is_none()) {
        Some(_) => Ok(text.to_ascii_lowercase()),
        None => Err("it must be http://HOST[:PORT] or https://HOST[:PORT]".to_owned()),
    }
}

/// What browsers send as `Origin`, or `*`.
pub fn origin_or_any(text: &str) -> Result<String, String> {
    match text {
        "*" => Ok(text.to_owned()),
        _ => of_scheme(text).ok_or_else(|| "it must be SCHEME://HOST[:PORT] or *".to_owned()),
    }
}

/// Browser extensions have schemes of their own.
fn of_scheme(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_authority =
        authority.parse::<http::uri::Authority>().is_ok() && !authority.contains('@');
    (is_scheme && is_authority).then(|| text.to_ascii_lowercase())
}

/// A name of the server: a part of topics and of subjects of agents.
pub fn name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    match is_name {
        true => Ok(text.to_owned()),
        false => Err("it must be made of letters, digits and - . _ : [ ]".to_owned()),
    }
}

/// An address of HTTP without a user.
fn web(text: &str) -> Option<Uri> {
    // What is behind a `#` is cut off where it is read.
    let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let authority = uri.authority()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && !authority.as_str().contains('@');
    is_web.then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_server_are_checked() {
        for fine in [
            "https://mix.example.com",
            "http://[::1]:8000/",
            "https://h/mix/",
        ] {
            assert_eq!(base(fine), Ok(fine.trim_end_matches('/').to_owned()));
        }
        for bad in [
            "",
            "mix",
            "ftp://h",
            "https://u:p@h/",
            "https://h/?q",
            "https://h/#f",
        ] {
            assert!(base(bad).is_err(), "{bad}");
        }
        assert_eq!(
            origin("https://Files.Example.com/"),
            Ok("https://files.example.com".to_owned())
        );
        assert!(origin("https://files.example.com/path").is_err());
        assert!(origin_or_any("*").is_ok() && origin_or_any("null").is_err());
        assert_eq!(
            origin_or_any("moz-extension://0f-4a"),
            Ok("moz-extension://0f-4a".to_owned())
        );
        assert!(origin_or_any("https://h/path").is_err() && origin_or_any("h").is_err());
        assert!(name("mix.example.com:8443").is_ok());
        assert!(name("").is_err() && name("a/b").is_err() && name("a b").is_err());
    }
}
