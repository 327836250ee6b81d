//! Signing in through a provider: a browser goes there and comes back with a token of the workspace.
//!
//! ```text
//! login ── state, cookie, PKCE ──► provider ──► callback ── code ──► provider's token
//!                                                  └─ who it is ──► token of the workspace ──► redirect#token=…
//! ```
//!
//! What is under way is kept in memory, for ten minutes, and counts once.

mod checks;
mod configs;
mod kept;
mod provider;
mod told;

pub use configs::{Config, add, change, exported, find, get, imported, keeping, list, remove};
pub use kept::{Kept, NoToken, current, forget};
pub use told::Told;

use crate::Server;
use crate::identity::Admitted;
use crate::issuing::{SignedIn, seconds_now};
use crate::records::{map, text};
use crate::signals::random_id;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mix_file_path::percent;
use mix_http_api::{ApiError, Done, Route, SignIn};
use mix_value::{Map, Value, escjson};
use provider::{Failed, Provider, SILENT};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a user may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Ways that are under way at once.
const MOST: usize = 10_000;

/// Those of one workspace: anybody may begin them.
const MOST_OF_WORKSPACE: usize = MOST / 4;

/// Life of a token of the workspace without a wish of its administrators, in seconds.
const TOKEN_LIFE: u64 = 90 * 24 * 3600;

/// Begin of the names of cookies that bind a way to its browser.
const COOKIE: &str = "rmx_signin_";

/// Ways that are under way, by their state.
#[derive(Default)]
pub struct UnderWay(Mutex<HashMap<String, Way>>);

struct Way {
    workspace: String,
    config: String,
    redirect: String,
    cookie: String,
    /// Where the provider sends the browser back to.
    place: String,
    verifier: String,
    nonce: String,
    begun: Instant,
}

impl UnderWay {
    /// The oldest ones of a workspace make place for new ones of it: whoever floods it keeps nobody else from signing in.
    fn begin(&self, state: String, way: Way) -> Result<(), ApiError> {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ways.len() >= MOST_OF_WORKSPACE {
            ways.retain(|_, way| way.begun.elapsed() < PATIENCE);
            let own = ways
                .iter()
                .filter(|(_, other)| other.workspace == way.workspace);
            let (count, oldest) = own.fold((0, None), |(count, oldest), (state, way)| {
                let older = oldest.filter(|(begun, _)| *begun <= way.begun);
                (count + 1, older.or(Some((way.begun, state))))
            });
            let oldest = oldest.map(|(_, state)| state.clone());
            if count >= MOST_OF_WORKSPACE
                && let Some(oldest) = oldest
            {
                ways.remove(&oldest);
            }
        }
        if ways.len() >= MOST {
            return Err(ApiError::new(503, "busy", "too many users are signing in"));
        }
        ways.insert(state, way);
        Ok(())
    }

    /// A way counts once.
    fn take(&self, state: &str) -> Option<Way> {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let way = ways.remove(state)?;
        (way.begun.elapsed() < PATIENCE).then_some(way)
    }
}

/// Does a step of signing in.
pub async fn answer(
    server: &Arc<Server>,
    who: &Admitted,
    route: &Route,
    step: &SignIn,
) -> Result<Done, ApiError> {
    if server.identity.is_none() {
        let message = "this server knows no users: it has none of the flags of identity";
        return Err(ApiError::new(404, "not_found", message));
    }
    match step {
        SignIn::Begin { redirect } => begin(server, route, redirect).await,
        SignIn::Return {
            state,
            code,
            error,
            cookies,
        } => {
            let answer = (code.as_deref(), error.as_deref());
            come_back(server, route, state, answer, cookies).await
        }
        SignIn::Original => {
            let config = configs::find(server, &route.ws, &route.name).await?;
            let kept = kept::current(server, &route.ws, &config, &who.caller.name()).await;
            let kept = kept.map_err(|none| none.error())?;
            let extras = kept.extras.iter();
            let mut shown: Map = extras
                .map(|(name, value)| (Arc::from(name.as_str()), of_json(value)))
                .collect();
            shown.insert(Arc::from("access_token"), text(&kept.access_token));
            let ends = kept.ends.map_or(Value::Null, |ends| text(&time_of(ends)));
            shown.insert(Arc::from("expires"), ends);
            Ok(Done::Value(200, Value::Map(shown)))
        }
        SignIn::Exchange {
            id_token,
            access_token,
        } => {
            let config = configs::find(server, &route.ws, &route.name).await?;
            let provider = Provider::of(server, config).await?;
            let user = match (id_token, access_token) {
                (Some(token), _) => provider.of_id_token(token, None).await,
                (None, Some(token)) => provider.of_checked_access_token(token).await,
                (None, None) => Err(Failed("no_token")),
            };
            let user = user.map_err(|failed| match failed {
                // Nothing is known about the token.
                SILENT => ApiError::new(502, "upstream", "the provider gives no answer of use"),
                Failed(code) => {
                    let message = format!("the provider does not vouch for this token: {code}");
                    ApiError::new(401, "bad_token", message)
                }
            })?;
            let (token, end) = issue(server, &route.ws, &provider.config, &user).await?;
            let answer = map([("token", text(&token)), ("expires", text(&time_of(end)))]);
            Ok(Done::Value(200, answer))
        }
    }
}

/// Sends the browser to the provider.
async fn begin(server: &Arc<Server>, route: &Route, redirect: &str) -> Result<Done, ApiError> {
    let config = configs::find(server, &route.ws, &route.name).await?;
    if !config.allows(redirect) {
        let message = "redirect is none of the addresses that the provider has in redirects";
        return Err(ApiError::new(400, "bad_redirect", message));
    }
    let provider = Provider::of(server, config).await?;
    let config = &provider.config;
    let (state, cookie, nonce) = (random_id()?, random_id()?, random_id()?);
    let verifier = random_id()? + &random_id()?;
    let challenge = challenge(&verifier);
    let place = return_address(server, &route.ws, config);
    let mut params = vec![
        ("response_type", "code"),
        ("client_id", config.client_id.as_str()),
        ("redirect_uri", place.as_str()),
        ("state", state.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let scopes = config.scopes();
    if !scopes.is_empty() {
        params.push(("scope", scopes.as_str()));
    }
    if config.is_oidc() {
        params.push(("nonce", nonce.as_str()));
    }
    if config.offline {
        params.push(("access_type", "offline"));
    }
    params.extend(config.auth_url_params());
    let address = with_params(&provider.auth_url, &params);
    let kept = set_cookie(&state, &cookie, &place, PATIENCE);
    let way = Way {
        workspace: route.ws.clone(),
        config: config.name.clone(),
        redirect: redirect.to_owned(),
        cookie,
        place: place.clone(),
        verifier,
        nonce,
        begun: Instant::now(),
    };
    server.under_way.begin(state, way)?;
    Ok(Done::Redirect(address, Some(kept)))
}

/// The browser comes back from the provider, and goes on to where it was to come back to.
async fn come_back(
    server: &Arc<Server>,
    route: &Route,
    state: &str,
    (code, error): (Option<&str>, Option<&str>),
    cookies: &str,
) -> Result<Done, ApiError> {
    let unknown = || {
        let message = "this way of signing in is unknown, or over: begin again";
        ApiError::bad_param(message)
    };
    let way = server.under_way.take(state).ok_or_else(unknown)?;
    // Somebody else's browser, or another way.
    let name = cookie_name(state);
    let is_same = cookies
        .split(';')
        .filter_map(|cookie| cookie.trim().split_once('='))
        .any(|(found, value)| found == name && value == way.cookie);
    if !is_same || way.workspace != route.ws {
        return Err(unknown());
    }
    let signed_in = async {
        let config = configs::find(server, &route.ws, &way.config).await?;
        if route.name != config.name && route.name != "default" {
            return Err(unknown());
        }
        let provider = Provider::of(server, config).await?;
        let user = match (code, error) {
            (_, Some(_)) => Err(Failed("refused")),
            (None, None) => Err(Failed("no_code")),
            (Some(code), None) => {
                let way = (
                    way.place.as_str(),
                    way.verifier.as_str(),
                    way.nonce.as_str(),
                );
                provider.user(code, way).await
            }
        };
        match user {
            Err(Failed(code)) => Ok(Err(code)),
            Ok((user, granted)) => {
                let config = &provider.config;
                let wanted = config.token_extras();
                let kept = Kept::of_answer(&granted, &wanted, seconds_now(), None);
                if let Some(kept) = kept.filter(|_| config.store_token) {
                    let keeping = kept::keep(server, &route.ws, config, &user.email, &kept);
                    keeping.await.map_err(|none| none.error())?;
                }
                let (token, _) = issue(server, &route.ws, config, &user).await?;
                Ok(Ok(token))
            }
        }
    };
    let fragment = match signed_in.await {
        Ok(Ok(token)) => format!("token={token}&ws={}", route.ws),
        Ok(Err(code)) => format!("error={code}"),
        Err(error) => format!("error={}", error.code),
    };
    let address = format!(
        "{}#{fragment}",
        way.redirect.split('#').next().unwrap_or_default()
    );
    let over = set_cookie(state, "", &way.place, Duration::ZERO);
    Ok(Done::Redirect(address, Some(over)))
}

/// The cookie of a way. Its path is that of the way back, when it is taken away too: browsers keep
/// one of another path.
fn set_cookie(state: &str, value: &str, place: &str, life: Duration) -> String {
    let path = place.find("://").and_then(|at| {
        let rest = &place[at + 3..];
        rest.find('/').map(|slash| &rest[slash..])
    });
    format!(
        "{}={value}; HttpOnly; Secure; SameSite=Lax; Path={}; Max-Age={}",
        cookie_name(state),
        path.unwrap_or("/"),
        life.as_secs()
    )
}

fn cookie_name(state: &str) -> String {
    format!("{COOKIE}{}", state.get(..8).unwrap_or_default())
}

/// A time in seconds as records have it.
fn time_of(seconds: i64) -> String {
    mix_store::time::format_time(seconds.saturating_mul(1000))
}

/// What a provider told, as a value of programs.
pub fn of_json(told: &serde_json::Value) -> Value {
    // Without tags: whatever a provider writes is data.
    escjson::parse_plain(&told.to_string()).unwrap_or(Value::Null)
}

/// A token of the workspace, and when it ends.
async fn issue(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &SignedIn,
) -> Result<(String, i64), ApiError> {
    let life = config.token_lifetime.unwrap_or(TOKEN_LIFE);
    let (keys, ws, user) = (server.clone(), ws.to_owned(), user.clone());
    let signing = tokio::task::spawn_blocking(move || keys.keys.user_token(&ws, &user, life));
    match signing.await {
        Ok(Ok(token)) => Ok(token),
        Ok(Err(error)) => {
            tracing::error!(%error, "the key of a workspace");
            Err(ApiError::internal())
        }
        Err(error) => {
            tracing::error!(%error, "signing broke off");
            Err(ApiError::internal())
        }
    }
}

/// Where the provider sends the browser back to.
fn return_address(server: &Server, ws: &str, config: &Config) -> String {
    match &config.callback {
        Some(address) => address.clone(),
        None => format!(
            "{}/v1/ws/{ws}/auth/{}/callback",
            server.base_url, config.name
        ),
    }
}

fn with_params(address: &str, params: &[(&str, &str)]) -> String {
    let mut address = address.to_owned();
    for (name, value) in params {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(&form(name));
        address.push('=');
        address.push_str(&form(value));
    }
    address
}

/// What proves later that whoever comes back has begun (PKCE, method S256).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// A text as it stands in a form.
fn form(text: &str) -> String {
    percent::encode(text, b"-._~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            challenge(verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    fn way(workspace: &str) -> Way {
        let text = String::new;
        Way {
            workspace: workspace.to_owned(),
            config: text(),
            redirect: text(),
            cookie: text(),
            place: text(),
            verifier: text(),
            nonce: text(),
            begun: Instant::now(),
        }
    }

    #[test]
    fn a_way_counts_once() {
        let ways = UnderWay::default();
        ways.begin("s".to_owned(), way("one")).expect("room");
        assert!(ways.take("other").is_none());
        assert!(ways.take("s").is_some() && ways.take("s").is_none());
        let filled = (0..MOST).map(|number| (number.to_string(), way(&(number % 4).to_string())));
        ways.0.lock().expect("no panic").extend(filled);
        let full = ways.begin("x".to_owned(), way("another"));
        assert_eq!(full.expect_err("full").code, "busy");
    }

    #[test]
    fn who_floods_a_workspace_leaves_the_others_their_ways() {
        let ways = UnderWay::default();
        let begin = |workspace: &str, state: &str| {
            ways.begin(state.to_owned(), way(workspace)).expect("room");
        };
        begin("other", "other");
        for number in 0..=MOST_OF_WORKSPACE {
            begin("flooded", &number.to_string());
        }
        begin("third", "third");
        assert_eq!(
            ways.0.lock().expect("no panic").len(),
            MOST_OF_WORKSPACE + 2
        );
        for state in ["other", "third", "1", &MOST_OF_WORKSPACE.to_string()] {
            assert!(ways.take(state).is_some(), "{state}");
        }
        assert!(ways.take("0").is_none());
    }
}
