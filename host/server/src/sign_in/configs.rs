//! The providers of a workspace: records of the app `_rmx_admin`.

use super::checks::{check_addresses, check_form};
use crate::Server;
use crate::grants::id_of;
use crate::identity::Admitted;
use crate::manage;
use crate::records::{Database, text};
use mix_address_rules::is_this_machine;
use mix_http_api::{ApiError, Done, HIDDEN};
use mix_identity::{Permission, Target};
use mix_runtime::workspace::Place;
use mix_sandbox::outbound::Outbound;
use mix_value::{Map, Value};
use std::sync::Arc;

/// The app that holds them.
const APP: &str = "_rmx_admin";

/// Type of their records.
const TYPE: &str = "auth_config";

/// Most providers of a workspace.
const MOST: usize = 1000;

/// What everybody sees who sees the workspace.
const PUBLIC: [&str; 6] = ["id", "type", "name", "default", "domain", "scopes"];

/// Addresses, which the rules for outbound requests must allow.
pub(super) const ADDRESSES: [&str; 4] = ["auth_url", "token_url", "userinfo_url", "endpoint"];

/// A provider, as signing in needs it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Id of its record.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How the provider knows the workspace.
    pub client_id: String,
    /// What proves that.
    pub client_secret: Option<String>,
    /// Asks for access without the user.
    pub offline: bool,
    /// Keeps the provider's token of each user.
    pub store_token: bool,
    /// Life of tokens in seconds.
    pub token_lifetime: Option<u64>,
    /// Seconds after which a kept token is refreshed in any case.
    pub force_refresh_after: Option<u64>,
    /// Where the provider sends browsers back to, if not to this server.
    pub callback: Option<String>,
    record: Map,
}

impl Config {
    pub(super) fn of(record: Map) -> Config {
        let member = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
        let is_set = |name: &str| record.get(name) == Some(&Value::Bool(true));
        let seconds = |name: &str| match record.get(name) {
            Some(Value::Int(seconds)) => u64::try_from(*seconds).ok(),
            _ => None,
        };
        Config {
            id: id_of(&record).unwrap_or_default(),
            name: member("name").unwrap_or_default(),
            client_id: member("client_id").unwrap_or_default(),
            client_secret: member("client_secret"),
            offline: is_set("offline"),
            store_token: is_set("store_token"),
            token_lifetime: seconds("token_lifetime"),
            force_refresh_after: seconds("force_refresh_after"),
            callback: member("callback"),
            record,
        }
    }

    /// A text of the description.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.record.get(name).and_then(Value::as_str)
    }

    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let items = match self.record.get(name) {
            Some(Value::Array(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(Value::as_str)
    }

    fn pairs(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = match self.record.get(name) {
            Some(Value::Map(map)) => Some(map),
            _ => None,
        };
        map.into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_ref(), value.as_str()?)))
    }

    /// Whether the provider says who somebody is by an identity token.
    pub fn is_oidc(&self) -> bool {
        matches!(self.text("type"), Some("oidc" | "apple"))
    }

    /// What is asked for.
    pub fn scopes(&self) -> String {
        let scopes: Vec<&str> = self.texts("scopes").collect();
        match scopes.is_empty() && self.is_oidc() {
            true => "openid email".to_owned(),
            false => scopes.join(" "),
        }
    }

    /// Further parameters of the address that browsers are sent to.
    pub fn auth_url_params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs("auth_url_params")
    }

    /// Further headers of requests to the provider.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs("headers")
    }

    /// Members of the provider's answers that are kept beside its token.
    pub fn token_extras(&self) -> Vec<&str> {
        self.texts("token_extras").collect()
    }

    /// Whether an address is at the host whose requests get the kept token.
    pub fn serves(&self, address: &http::Uri) -> bool {
        self.text("domain")
            .is_some_and(|domain| is_at(address, domain))
    }

    /// Whether the kept token may be sent to an address: to the host that it is for, and to those
    /// of the provider itself.
    pub fn may_know(&self, address: &http::Uri) -> bool {
        let own = ADDRESSES.iter().filter_map(|name| self.text(name));
        let hosts =
            own.filter_map(|own| Some(own.parse::<http::Uri>().ok()?.authority()?.to_string()));
        self.serves(address) || hosts.into_iter().any(|host| is_at(address, &host))
    }

    /// Whether a token may be sent to this address.
    pub fn allows(&self, address: &str) -> bool {
        self.texts("redirects").any(|known| extends(address, known))
    }
}

/// Whether an address is at exactly that host, where nobody on the way reads what is sent: over
/// `https`, or on this machine. Without a port it is the usual one of the scheme.
fn is_at(address: &http::Uri, host: &str) -> bool {
    let found = address.host().unwrap_or_default();
    let usual = match address.scheme_str() {
        Some("https") => 443,
        Some("http") if is_this_machine(found) => 80,
        _ => return false,
    };
    let Ok(wanted) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    !wanted.as_str().contains('@')
        && found.eq_ignore_ascii_case(wanted.host())
        && address.port_u16().unwrap_or(usual) == wanted.port_u16().unwrap_or(usual)
}

/// Whether an address is another one, or lies below it.
fn extends(address: &str, known: &str) -> bool {
    let (Ok(found), Ok(wanted)) = (
        address.parse::<http::Uri>(),
        known.trim_end_matches('/').parse::<http::Uri>(),
    ) else {
        return false;
    };
    // What comes before `@` is not the host.
    let is_plain = |uri: &http::Uri| {
        uri.authority()
            .is_some_and(|authority| !authority.as_str().contains('@'))
    };
    let port = |uri: &http::Uri| {
        uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        })
    };
    let host = |uri: &http::Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    let below = match found
        .path()
        .strip_prefix(wanted.path().trim_end_matches('/'))
    {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    };
    // Some servers read encoded separators as if they were none.
    let path = found.path().to_ascii_lowercase();
    let path = path.replace("%2f", "/").replace("%5c", "/");
    let climbs = path
        .split('/')
        .any(|part| part == ".." || part.contains("%2e"));
    is_plain(&found)
        && is_plain(&wanted)
        && matches!(found.scheme_str(), Some("https" | "http"))
        && found.scheme_str() == wanted.scheme_str()
        && host(&found) == host(&wanted)
        && port(&found) == port(&wanted)
        && below
        && !climbs
        && !address.contains(['\r', '\n', '\\'])
}

fn missing() -> ApiError {
    ApiError::new(404, "not_found", "the workspace has no such provider")
}

fn database(server: &Server, ws: &str) -> Result<(Place, Database), ApiError> {
    let place = Place::new(&server.ws_dir, ws, APP).map_err(|_| ApiError::bad_name("workspace"))?;
    let database = Database::new(server, place.clone());
    Ok((place, database))
}

async fn all(server: &Server, ws: &str) -> Result<Vec<Map>, ApiError> {
    let (place, database) = database(server, ws)?;
    if !place.folder().is_dir() {
        return Ok(Vec::new());
    }
    let query = format!("_rmx_type == \"{TYPE}\" | orderAsc(name)");
    database.query(&query, Map::new()).await
}

/// The provider of that name; `default`: the one that is marked so, or the only one.
pub async fn find(server: &Server, ws: &str, name: &str) -> Result<Config, ApiError> {
    let mut all = all(server, ws).await?;
    let at = match name {
        "default" if all.len() == 1 => Some(0),
        "default" => all
            .iter()
            .position(|record| record.get("default") == Some(&Value::Bool(true))),
        name => all
            .iter()
            .position(|record| record.get("name").and_then(Value::as_str) == Some(name)),
    };
    Ok(Config::of(all.swap_remove(at.ok_or_else(missing)?)))
}

/// The providers whose tokens are kept.
pub async fn keeping(server: &Server, ws: &str) -> Result<Vec<Config>, ApiError> {
    let all = all(server, ws).await?.into_iter().map(Config::of);
    Ok(all.filter(|config| config.store_token).collect())
}

/// What a caller sees of a record.
fn shown(record: &Map, is_admin: bool) -> Result<Value, ApiError> {
    let mut shown = Map::new();
    for (name, value) in record {
        if name.starts_with("_rmx_") || !is_admin && !PUBLIC.contains(&name.as_ref()) {
            continue;
        }
        let value = match name.as_ref() {
            "client_secret" => text(HIDDEN),
            _ => value.clone(),
        };
        shown.insert(name.clone(), value);
    }
    shown.insert(Arc::from("id"), text(&id_of(record)?));
    Ok(Value::Map(shown))
}

async fn is_admin(server: &Arc<Server>, who: &Admitted, ws: &str) -> Result<bool, ApiError> {
    let permission = Permission::GrantPermissions;
    manage::may(server, who, ws, permission, &Target::Workspace).await
}

/// All providers, or the one of a name.
pub async fn list(
    server: &Arc<Server>,
    who: &Admitted,
    ws: &str,
    name: Option<&str>,
) -> Result<Done, ApiError> {
    let is_admin = is_admin(server, who, ws).await?;
    let all = all(server, ws).await?;
    let shown: Vec<Value> = match name {
        None => all
            .iter()
            .map(|record| shown(record, is_admin))
            .collect::<Result<_, _>>()?,
        Some(name) => {
            let found = all
                .iter()
                .find(|record| record.get("name").and_then(Value::as_str) == Some(name));
            return Ok(Done::Value(
                200,
                shown(found.ok_or_else(missing)?, is_admin)?,
            ));
        }
    };
    Ok(Done::Value(200, Value::Array(shown)))
}

/// One provider.
pub async fn get(
    server: &Arc<Server>,
    who: &Admitted,
    ws: &str,
    id: &str,
) -> Result<Done, ApiError> {
    let is_admin = is_admin(server, who, ws).await?;
    let record = by_id(server, ws, id).await?;
    Ok(Done::Value(200, shown(&record, is_admin)?))
}

async fn by_id(server: &Server, ws: &str, id: &str) -> Result<Map, ApiError> {
    let mut all = all(server, ws).await?;
    let at = all
        .iter()
        .position(|record| id_of(record).is_ok_and(|found| found == id));
    Ok(all.swap_remove(at.ok_or_else(missing)?))
}

/// All providers as they leave the server: without their secrets.
pub async fn exported(server: &Server, ws: &str) -> Result<Vec<Value>, ApiError> {
    let all = all(server, ws).await?;
    let exported = all.into_iter().map(|mut record| {
        record.retain(|name, _| !name.starts_with("_rmx_") && name.as_ref() != "client_secret");
        Value::Map(record)
    });
    Ok(exported.collect())
}

/// A provider that comes from elsewhere; none if it could not be described here.
pub fn imported(outbound: &Outbound, members: Map) -> Option<Map> {
    let members = mix_http_api::checked_provider(members).ok()?;
    check_addresses(outbound, &members).ok()?;
    check_form(&members).ok()?;
    Some(members)
}

/// A new provider.
pub async fn add(server: &Arc<Server>, ws: &str, members: Map) -> Result<Done, ApiError> {
    check_addresses(&server.assembly.outbound, &members)?;
    check_form(&members)?;
    let _turn = server.grants.pause(ws).await;
    let all = all(server, ws).await?;
    if all.len() >= MOST {
        let message = format!("the workspace has {MOST} providers; delete some first");
        return Err(ApiError::new(409, "conflict", message));
    }
    if all
        .iter()
        .any(|record| record.get("name") == members.get("name"))
    {
        let message = "the workspace has a provider of that name";
        return Err(ApiError::new(409, "exists", message));
    }
    let saved = save(server, ws, members, &all).await?;
    Ok(Done::Value(201, shown(&saved, true)?))
}

/// Other members: all of them (`whole`), or those that change.
pub async fn change(
    server: &Arc<Server>,
    ws: &str,
    id: &str,
    mut members: Map,
    whole: bool,
) -> Result<Done, ApiError> {
    check_addresses(&server.assembly.outbound, &members)?;
    check_form(&members)?;
    let _turn = server.grants.pause(ws).await;
    let stored = by_id(server, ws, id).await?;
    if members
        .get("name")
        .is_some_and(|name| stored.get("name") != Some(name))
    {
        let message = "the name of a provider cannot change";
        return Err(ApiError::new(409, "conflict", message));
    }
    if members.get("client_secret").and_then(Value::as_str) == Some(HIDDEN) {
        members.remove("client_secret");
        if let Some(secret) = stored.get("client_secret").filter(|_| whole) {
            members.insert(Arc::from("client_secret"), secret.clone());
        }
    }
    if !whole {
        let mut merged: Map = stored.clone();
        merged.retain(|name, _| !name.starts_with("_rmx_"));
        for (name, value) in members {
            match value {
                Value::Null => merged.remove(&name),
                value => merged.insert(name, value),
            };
        }
        members = merged;
    }
    if let Some(id) = stored.get("_rmx_id") {
        members.insert(Arc::from("_rmx_id"), id.clone());
    }
    let all = all(server, ws).await?;
    let saved = save(server, ws, members, &all).await?;
    Ok(Done::Value(200, shown(&saved, true)?))
}

/// Saves a provider; if it is the default one, no other is.
async fn save(
    server: &Arc<Server>,
    ws: &str,
    mut record: Map,
    all: &[Map],
) -> Result<Map, ApiError> {
    let (_, database) = database(server, ws)?;
    record.insert(Arc::from("_rmx_type"), text(TYPE));
    if record.get("default") == Some(&Value::Bool(true)) {
        let others = all.iter().filter(|other| {
            other.get("default") == Some(&Value::Bool(true))
                && other.get("_rmx_id") != record.get("_rmx_id")
        });
        for other in others {
            let mut other = other.clone();
            other.retain(|name, _| !name.starts_with("_rmx_") || name.as_ref() == "_rmx_id");
            other.insert(Arc::from("_rmx_type"), text(TYPE));
            other.insert(Arc::from("default"), Value::Bool(false));
            database.save(other).await?;
        }
    }
    database.save(record).await
}

/// Deletes a provider.
pub async fn remove(server: &Arc<Server>, ws: &str, id: &str) -> Result<Done, ApiError> {
    let _turn = server.grants.pause(ws).await;
    by_id(server, ws, id).await?;
    let (_, database) = database(server, ws)?;
    database.delete(&[id.to_owned()]).await?;
    Ok(Done::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::map;

    #[test]
    fn a_token_goes_below_a_known_address_only() {
        let known = "https://app.example.com/in";
        for (address, allowed) in [
            ("https://app.example.com/in", true),
            ("https://app.example.com/in/", true),
            ("https://app.example.com/in/x?y=1", true),
            ("https://app.example.com:443/in", true),
            ("https://APP.example.com/in", true),
            ("https://app.example.com/inside", false),
            ("https://app.example.com/", false),
            ("https://app.example.com/in/../out", false),
            ("https://app.example.com/in/%2e%2e/out", false),
            ("https://app.example.com/in/..%2Fout", false),
            ("https://app.example.com/in/x%5c..%5c..%5cout", false),
            ("https://app.example.com/in/a%2Fb..c", true),
            ("http://app.example.com/in", false),
            ("https://app.example.com:444/in", false),
            ("https://app.example.com.evil.com/in", false),
            ("https://app.example.com@evil.com/in", false),
            ("https://evil.com/in", false),
            ("javascript:alert(1)", false),
            ("//app.example.com/in", false),
            ("", false),
        ] {
            assert_eq!(extends(address, known), allowed, "{address}");
        }
        assert!(extends(
            "https://app.example.com/x",
            "https://app.example.com/"
        ));
    }

    #[test]
    fn what_could_never_be_used_is_refused() {
        let check = |name: &str, value: &str| {
            let value = mix_value::escjson::parse_plain(value).expect("a value");
            match map([(name, value)]) {
                Value::Map(members) => check_form(&members).map_err(|error| error.message),
                other => panic!("{other:?}"),
            }
        };
        for (name, value) in [
            (
                "redirects",
                r#"["https://app.example.com/in", "myapp://signed-in"]"#,
            ),
            ("redirects", "[]"),
            ("callback", r#""https://app.example.com/back""#),
            ("domain", r#""api.example.com:8443""#),
            ("headers", r#"{"x-tenant": "5"}"#),
            ("auth_url_params", r#"{"prompt": "login", "scope": "x"}"#),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name} {value}");
        }
        for (name, value) in [
            ("redirects", r#"["nonsense"]"#),
            ("redirects", r#"["javascript:alert(1)"]"#),
            ("redirects", r#"["/in"]"#),
            ("callback", r#""back""#),
            ("domain", r#""a b""#),
            ("domain", r#""https://api.example.com/""#),
            ("headers", r#"{"a b": "c"}"#),
            ("headers", r#"{"x": "a\r\nb: c"}"#),
            ("auth_url_params", r#"{"state": "x"}"#),
            (
                "auth_url_params",
                r#"{"redirect_uri": "https://evil.example.com"}"#,
            ),
        ] {
            assert!(check(name, value).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn a_kept_token_goes_to_its_host_only() {
        let for_domain = |domain: &str| match map([
            ("_rmx_id", text("0123456789abcdefABCDEF0123456789")),
            ("domain", text(domain)),
            ("token_url", text("https://login.example.com:8443/token")),
        ]) {
            Value::Map(record) => Config::of(record),
            other => panic!("{other:?}"),
        };
        let config = for_domain("api.example.com");
        for (address, serves, may_know) in [
            ("http://api.example.com/x", false, false),
            ("http://api.example.com:80/x", false, false),
            ("http://api.example.com:443/x", false, false),
            ("http://login.example.com:8443/x", false, false),
            ("ws://api.example.com/x", false, false),
            ("ftp://api.example.com/x", false, false),
            ("/x", false, false),
            ("https://api.example.com/x", true, true),
            ("https://API.example.com:443/x", true, true),
            ("https://api.example.com:444/x", false, false),
            ("https://a.api.example.com/x", false, false),
            ("https://example.com/x", false, false),
            ("https://login.example.com:8443/x", false, true),
            ("https://login.example.com/x", false, false),
        ] {
            let uri = address.parse().expect("an address");
            let found = (config.serves(&uri), config.may_know(&uri));
            assert_eq!(found, (serves, may_know), "{address}");
        }
        for (domain, address, serves) in [
            ("localhost", "http://localhost/x", true),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/x", true),
            ("[::1]:8080", "http://[::1]:8080/x", true),
            ("localhost", "https://localhost/x", true),
            ("localhost", "http://localhost:8080/x", false),
            ("127.0.0.1", "http://localhost/x", false),
            ("127.0.0.2", "http://127.0.0.2/x", false),
        ] {
            let uri = address.parse().expect("an address");
            assert_eq!(
                for_domain(domain).serves(&uri),
                serves,
                "{domain} {address}"
            );
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let record = match map([
            ("_rmx_id", text("0123456789abcdefABCDEF0123456789")),
            ("_rmx_type", text(TYPE)),
            ("type", text("oidc")),
            ("name", text("corp")),
            ("client_id", text("c")),
            ("client_secret", text("hush")),
        ]) {
            Value::Map(record) => record,
            other => panic!("{other:?}"),
        };
        let text = |is_admin| {
            mix_value::escjson::format(&shown(&record, is_admin).expect("shown")).expect("a text")
        };
        assert_eq!(
            text(true),
            r#"{"client_id":"c","client_secret":"***","id":"0123456789abcdefABCDEF0123456789","name":"corp","type":"oidc"}"#
        );
        assert_eq!(
            text(false),
            r#"{"id":"0123456789abcdefABCDEF0123456789","name":"corp","type":"oidc"}"#
        );
    }
}
