//! Tokens that providers have given for users: kept sealed, refreshed when they are due.
//!
//! They lie among the secrets of their users, under names that programs cannot use. Each is bound
//! to the description of its provider by the id of that: one that is made anew under the same name
//! is another one.

use super::configs::Config;
use super::provider::{Failed, Provider};
use crate::Server;
use crate::issuing::seconds_now;
use crate::records;
use mix_http_api::ApiError;
use mix_runtime::workspace::Place;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The app in whose name the secrets are asked.
const APP: &str = "_rmx_secrets";

/// Begin of the names of these secrets.
const PREFIX: &str = "\u{1}token/";

/// How long before its end a token is refreshed, in seconds.
const MARGIN: i64 = 60;

/// A token of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What requests are authorised with.
    pub access_token: String,
    refresh_token: Option<String>,
    /// When it was given, in seconds since 1970.
    given: i64,
    /// When it ends, if that was told.
    pub ends: Option<i64>,
    /// Members of the answer that the workspace wants to know.
    pub extras: Map<String, Value>,
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub enum NoToken {
    /// None was given, or the one that was is over and cannot be refreshed.
    None,
    /// The provider does not refresh it.
    NotRefreshed(&'static str),
    /// The secrets cannot be read or written; the log says why.
    Store,
}

impl Kept {
    /// What a provider answers, if there is a token in it. `before`: the token that it replaces.
    pub fn of_answer(
        answer: &Value,
        wanted: &[&str],
        now: i64,
        before: Option<&Kept>,
    ) -> Option<Kept> {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        // Some services write the number as a text.
        let life = match &answer["expires_in"] {
            Value::Number(seconds) => seconds.as_f64().map(|seconds| seconds as i64),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let mut extras = Map::new();
        for name in wanted {
            let told = match &answer[*name] {
                Value::Null => before.and_then(|before| before.extras.get(*name)),
                told => Some(told),
            };
            if let Some(told) = told {
                extras.insert((*name).to_owned(), told.clone());
            }
        }
        Some(Kept {
            access_token: text("access_token").filter(|token| !token.is_empty())?,
            refresh_token: text("refresh_token")
                .or_else(|| before.and_then(|before| before.refresh_token.clone())),
            given: now,
            ends: life.map(|life| now.saturating_add(life.max(0))),
            extras,
        })
    }

    fn is_over(&self, now: i64) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// `most`: seconds after which it is refreshed in any case.
    fn is_due(&self, most: Option<u64>, now: i64) -> bool {
        let is_old =
            |most| now.saturating_sub(self.given) >= i64::try_from(most).unwrap_or(i64::MAX);
        self.ends.is_some_and(|ends| ends - MARGIN <= now) || most.is_some_and(is_old)
    }

    fn to_text(&self) -> String {
        json!({
            "access_token": self.access_token, "refresh_token": self.refresh_token,
            "given": self.given, "ends": self.ends, "extras": self.extras,
        })
        .to_string()
    }

    fn of_text(text: &str) -> Option<Kept> {
        let mut stored: Value = serde_json::from_str(text).ok()?;
        let extras = match stored["extras"].take() {
            Value::Object(extras) => extras,
            _ => Map::new(),
        };
        Some(Kept {
            access_token: stored["access_token"].as_str()?.to_owned(),
            refresh_token: stored["refresh_token"].as_str().map(str::to_owned),
            given: stored["given"].as_i64()?,
            ends: stored["ends"].as_i64(),
            extras,
        })
    }
}

/// Keeps the token with which a user has signed in.
pub async fn keep(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &str,
    kept: &Kept,
) -> Result<(), NoToken> {
    let _turn = server.refreshing.of((ws, user, &config.id)).await;
    write(server, ws, config, user, kept).await
}

/// The token of a user at a provider, refreshed if it is due.
pub async fn current(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &str,
) -> Result<Kept, NoToken> {
    let kept = read(server, ws, config, user).await?;
    if !kept.is_due(config.force_refresh_after, seconds_now()) {
        return Ok(kept);
    }
    // Done to its end even if nobody waits any more: a provider that gives another token to refresh
    // with takes the one that is kept no longer.
    let (server, ws, config, user) = (
        server.clone(),
        ws.to_owned(),
        config.clone(),
        user.to_owned(),
    );
    let refreshing = tokio::spawn(async move { refresh(&server, &ws, &config, &user).await });
    refreshing.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a refresh broke off");
        Err(NoToken::NotRefreshed("internal"))
    })
}

async fn refresh(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &str,
) -> Result<Kept, NoToken> {
    let _turn = server.refreshing.of((ws, user, &config.id)).await;
    let now = seconds_now();
    // Somebody else may have had the turn before.
    let kept = read(server, ws, config, user).await?;
    if !kept.is_due(config.force_refresh_after, now) {
        return Ok(kept);
    }
    match refreshed(server, config, &kept).await {
        Ok(Some(fresh)) => {
            write(server, ws, config, user, &fresh).await?;
            Ok(fresh)
        }
        // What is not over serves until it is.
        _ if !kept.is_over(now) => Ok(kept),
        Ok(None) => Err(NoToken::None),
        Err(Failed(code)) => Err(NoToken::NotRefreshed(code)),
    }
}

/// `None`: the provider gave nothing to refresh it with.
async fn refreshed(
    server: &Arc<Server>,
    config: &Config,
    kept: &Kept,
) -> Result<Option<Kept>, Failed> {
    let Some(refresh_token) = &kept.refresh_token else {
        return Ok(None);
    };
    let provider = Provider::of(server, config.clone()).await;
    let provider = provider.map_err(|_| Failed("provider"))?;
    let answer = provider.refresh(refresh_token).await?;
    let fresh = Kept::of_answer(&answer, &config.token_extras(), seconds_now(), Some(kept));
    fresh.map(Some).ok_or(Failed("no_token"))
}

/// Forgets the token of a user.
pub async fn forget(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &str,
) -> Result<(), NoToken> {
    let _turn = server.refreshing.of((ws, user, &config.id)).await;
    ask(server, ws, user, "$secrets_delete", &[&name(config)]).await?;
    Ok(())
}

async fn read(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &str,
) -> Result<Kept, NoToken> {
    let stored = ask(server, ws, user, "$secrets_get", &[&name(config)]).await?;
    let kept = stored.as_str().and_then(Kept::of_text);
    kept.ok_or(NoToken::None)
}

async fn write(
    server: &Arc<Server>,
    ws: &str,
    config: &Config,
    user: &str,
    kept: &Kept,
) -> Result<(), NoToken> {
    let (name, text) = (name(config), kept.to_text());
    ask(server, ws, user, "$secrets_set", &[&name, &text]).await?;
    Ok(())
}

fn name(config: &Config) -> String {
    format!("{PREFIX}{}", config.id)
}

async fn ask(
    server: &Arc<Server>,
    ws: &str,
    user: &str,
    function: &'static str,
    args: &[&str],
) -> Result<mix_value::Value, NoToken> {
    let place = Place::new(&server.ws_dir, ws, APP).map_err(|_| NoToken::None)?;
    let args = args.iter().map(|arg| records::text(arg)).collect();
    let args = mix_value::Value::Array(args);
    let asked = records::perform(
        &server.assembly,
        place,
        user,
        function,
        &args,
        records::OWN_TIME,
    );
    asked.await.map_err(|failure| match failure.code.as_str() {
        "ERR_NOT_FOUND" => NoToken::None,
        _ => {
            tracing::error!(function, code = %failure.code, "{}", failure.message);
            NoToken::Store
        }
    })
}

impl NoToken {
    /// What a caller of the interface is told.
    pub fn error(&self) -> ApiError {
        match self {
            NoToken::None => {
                let message = "no token of this provider is kept for you: sign in first";
                ApiError::new(404, "not_found", message)
            }
            NoToken::NotRefreshed(code) => {
                let message = format!("the provider does not refresh the token: {code}");
                ApiError::new(502, "upstream", message)
            }
            NoToken::Store => ApiError::internal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_answers_is_kept_and_read_again() {
        let answer = json!({
            "access_token": "a", "refresh_token": "r", "expires_in": 600,
            "instance_url": "https://x.example.com", "scope": "s",
        });
        let wanted = ["instance_url", "absent"];
        let first = Kept::of_answer(&answer, &wanted, 1000, None).expect("a token");
        assert_eq!(Kept::of_text(&first.to_text()), Some(first.clone()));
        assert_eq!((first.ends, first.extras.len()), (Some(1600), 1));
        // A provider that rotates nothing leaves what was told before.
        let answer = json!({ "access_token": "b", "expires_in": "60" });
        let second = Kept::of_answer(&answer, &wanted, 2000, Some(&first)).expect("a token");
        assert_eq!(second.refresh_token.as_deref(), Some("r"));
        assert_eq!((second.ends, &second.extras), (Some(2060), &first.extras));
        for none in [
            json!({}),
            json!({ "access_token": "" }),
            json!({ "access_token": 7 }),
        ] {
            assert_eq!(
                Kept::of_answer(&none, &wanted, 0, Some(&first)),
                None,
                "{none}"
            );
        }
        assert_eq!(Kept::of_text("{}"), None);
    }

    #[test]
    fn a_token_is_due_before_it_ends_and_when_it_is_old() {
        let answer = json!({ "access_token": "a", "expires_in": 600 });
        let kept = Kept::of_answer(&answer, &[], 1000, None).expect("a token");
        for (most, now, is_due) in [
            (None, 1000, false),
            (None, 1539, false),
            (None, 1540, true),
            (Some(100), 1099, false),
            (Some(100), 1100, true),
        ] {
            assert_eq!(kept.is_due(most, now), is_due, "{most:?} {now}");
        }
        assert!(!kept.is_over(1599) && kept.is_over(1600));
        let endless = Kept::of_answer(&json!({ "access_token": "a" }), &[], 0, None);
        assert!(!endless.expect("a token").is_due(None, i64::MAX));
    }
}
