//! Requests about signing in: the providers of a workspace, and the way through one of them.

use super::Job;
use crate::body::{object, object_or_form, refuse_unknown, take_text};
use crate::error::ApiError;
use crate::form::Params;
use crate::head::Head;
use crate::names::is_agent_name;
use mix_value::{Map, Value};

/// Kinds of providers.
const TYPES: [&str; 4] = ["oauth", "oidc", "apple", "sfdc_oauth"];

/// What stands for a secret that is not shown, and keeps the one that is stored.
pub const HIDDEN: &str = "***";

/// Members that are texts.
const TEXTS: [&str; 11] = [
    "type",
    "name",
    "client_id",
    "client_secret",
    "auth_url",
    "token_url",
    "userinfo_url",
    "endpoint",
    "domain",
    "callback",
    "id",
];

/// Members that are flags.
const FLAGS: [&str; 3] = ["default", "store_token", "offline"];

/// Members that are lists of texts.
const LISTS: [&str; 3] = ["scopes", "token_extras", "redirects"];

/// Members that are seconds.
const TIMES: [&str; 2] = ["token_lifetime", "force_refresh_after"];

/// Members that are maps of texts.
const MAPS: [&str; 2] = ["auth_url_params", "headers"];

/// Most elements of a list or map.
const MOST: usize = 100;

/// Longest text.
const LONGEST: usize = 8 << 10;

/// How a user comes to a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// The way begins: the address to come back to at its end.
    Begin {
        /// Where the token is sent.
        redirect: String,
    },
    /// The provider sends the user back.
    Return {
        /// What was given to it.
        state: String,
        /// What the token is asked for with.
        code: Option<String>,
        /// What went wrong there.
        error: Option<String>,
        /// The cookies of the browser.
        cookies: String,
    },
    /// A token of the provider for one of the workspace.
    Exchange {
        /// An identity token.
        id_token: Option<String>,
        /// An access token.
        access_token: Option<String>,
    },
    /// The token that the provider has given for the caller.
    Original,
}

/// `?name=`
pub(super) fn list(head: &Head) -> Result<Job, ApiError> {
    Ok(Job::ListAuthConfigs(Params::of(head)?.text("name")?))
}

/// A whole description of a provider.
pub(super) fn full(head: &Head, body: &[u8]) -> Result<Map, ApiError> {
    checked_provider(object(head, body)?)
}

/// A whole description of a provider, wherever it comes from.
pub fn checked_provider(members: Map) -> Result<Map, ApiError> {
    let mut members = checked(members)?;
    members.retain(|_, value| *value != Value::Null);
    for needed in ["type", "name", "client_id"] {
        if !members.contains_key(needed) {
            return Err(ApiError::bad_param(format!("{needed} is missing")));
        }
    }
    Ok(members)
}

/// Members that change; null removes.
pub(super) fn partial(head: &Head, body: &[u8]) -> Result<Map, ApiError> {
    let members = checked(object(head, body)?)?;
    for needed in ["type", "name", "client_id"] {
        if members.get(needed) == Some(&Value::Null) {
            return Err(ApiError::bad_param(format!("{needed} cannot be removed")));
        }
    }
    Ok(members)
}

fn checked(mut members: Map) -> Result<Map, ApiError> {
    let known: Vec<&str> = [&TEXTS[..], &FLAGS[..], &LISTS[..], &TIMES[..], &MAPS[..]].concat();
    refuse_unknown(&members, &known)?;
    // The path says which one is meant.
    members.remove("id");
    for (name, value) in &members {
        let name = name.as_ref();
        let fits = match value {
            Value::Null => true,
            Value::String(text) if TEXTS.contains(&name) => text.len() <= LONGEST,
            Value::Bool(_) => FLAGS.contains(&name),
            Value::Array(items) if LISTS.contains(&name) => {
                items.len() <= MOST && items.iter().all(is_short)
            }
            Value::Int(seconds) if TIMES.contains(&name) => (1..=315_360_000).contains(seconds),
            Value::Map(map) if MAPS.contains(&name) => {
                map.len() <= MOST && map.values().all(is_short)
            }
            _ => false,
        };
        if !fits {
            let what = match name {
                name if TEXTS.contains(&name) => "a text",
                name if FLAGS.contains(&name) => "a bool",
                name if LISTS.contains(&name) => "an array of texts",
                name if TIMES.contains(&name) => "a number of seconds",
                _ => "an object of texts",
            };
            return Err(ApiError::bad_param(format!("{name} must be {what}")));
        }
    }
    if let Some(Value::String(kind)) = members.get("type")
        && !TYPES.contains(&kind.as_ref())
    {
        let known = TYPES.join(", ");
        return Err(ApiError::bad_param(format!("type must be one of {known}")));
    }
    if let Some(Value::String(name)) = members.get("name")
        && (!is_agent_name(name) || name.as_ref() == "default")
    {
        return Err(ApiError::bad_name("provider"));
    }
    Ok(members)
}

fn is_short(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.len() <= LONGEST)
}

/// `?redirect=`
pub(super) fn begin(head: &Head) -> Result<Job, ApiError> {
    let redirect = Params::of(head)?.text("redirect")?;
    let redirect =
        redirect.ok_or_else(|| ApiError::new(400, "bad_redirect", "redirect is missing"))?;
    Ok(Job::SignIn(SignIn::Begin { redirect }))
}

/// `?state=&code=` or `?state=&error=`
pub(super) fn come_back(head: &Head) -> Result<Job, ApiError> {
    let params = Params::of(head)?;
    let Some(state) = params.text("state")? else {
        return Err(ApiError::bad_param("state is missing"));
    };
    Ok(Job::SignIn(SignIn::Return {
        state,
        code: params.text("code")?,
        error: params.text("error")?,
        cookies: head.all("cookie", "; "),
    }))
}

/// `{idToken}` or `{accessToken}`, in the query of a GET or in the body.
pub(super) fn exchange(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let (id_token, access_token) = if head.routed_method() == "GET" {
        let params = Params::of(head)?;
        (params.text("idToken")?, params.text("accessToken")?)
    } else {
        let mut members = object_or_form(head, body)?;
        refuse_unknown(&members, &["idToken", "accessToken"])?;
        let mut one = |name: &str| take_text(&mut members, name);
        (one("idToken")?, one("accessToken")?)
    };
    if id_token.is_none() && access_token.is_none() {
        return Err(ApiError::bad_param("idToken or accessToken is missing"));
    }
    Ok(Job::SignIn(SignIn::Exchange {
        id_token,
        access_token,
    }))
}

/// Nothing is to be said beside who asks.
pub(super) fn original(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    if head.routed_method() != "GET" {
        refuse_unknown(&object_or_form(head, body)?, &[])?;
    }
    Ok(Job::SignIn(SignIn::Original))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_of(text: &str) -> Result<Map, ApiError> {
        let head = Head {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            authority: None,
        };
        full(&head, text.as_bytes())
    }

    #[test]
    fn a_provider_has_members_of_known_kinds() {
        let good = r#"{"type":"oidc","name":"corp","client_id":"c","scopes":["openid"],"default":true,"token_lifetime":60,"headers":{"a":"b"},"domain":null}"#;
        assert_eq!(full_of(good).expect("fine").len(), 7);
        for wrong in [
            r#"{"name":"corp","client_id":"c"}"#,
            r#"{"type":"ldap","name":"corp","client_id":"c"}"#,
            r#"{"type":"oidc","name":"default","client_id":"c"}"#,
            r#"{"type":"oidc","name":"a/b","client_id":"c"}"#,
            r#"{"type":"oidc","name":"corp","client_id":7}"#,
            r#"{"type":"oidc","name":"corp","client_id":"c","scopes":"openid"}"#,
            r#"{"type":"oidc","name":"corp","client_id":"c","scopes":[1]}"#,
            r#"{"type":"oidc","name":"corp","client_id":"c","token_lifetime":0}"#,
            r#"{"type":"oidc","name":"corp","client_id":"c","default":"yes"}"#,
            r#"{"type":"oidc","name":"corp","client_id":"c","headers":["a"]}"#,
            r#"{"type":"oidc","name":"corp","client_id":"c","colour":"red"}"#,
        ] {
            let error = full_of(wrong).expect_err(wrong);
            assert_eq!(error.status, 400, "{wrong}");
        }
    }
}
