//! Tokens that a run holds without seeing them: that of its caller, and those that providers have
//! given for its user. A program knows a token by a number.

use super::Rights;
use crate::manage::metadata;
use crate::sign_in::{self, Config, NoToken};
use http::{HeaderValue, Uri};
use mix_runtime::bindings::Failure;
use mix_runtime::home::CALLERS_TOKEN;
use mix_runtime::instance::failure;
use mix_runtime::workspace::Place;
use mix_value::{Token, Value};
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The tokens of providers of one run.
#[derive(Default)]
pub struct Given {
    /// The providers of the workspace that keep tokens, once they are looked at.
    known: OnceCell<Vec<Config>>,
    /// Those whose tokens the program holds; the first has the number after the caller's.
    held: Mutex<Vec<Config>>,
}

impl Given {
    fn number_of(&self, config: Config) -> u64 {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match held.iter().position(|one| one.id == config.id) {
            Some(at) => at,
            None => {
                held.push(config);
                held.len() - 1
            }
        };
        CALLERS_TOKEN + 1 + at as u64
    }

    fn of_number(&self, number: u64) -> Option<Config> {
        let at = usize::try_from(number.checked_sub(CALLERS_TOKEN + 1)?).ok()?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(at).cloned()
    }
}

fn none(provider: &str) -> Failure {
    let message = format!("the user has no token of auth plugin {provider:?}");
    failure("ERR_NOT_FOUND", message)
}

fn unknown() -> Failure {
    failure("ERR_TOKEN", "this run was not given that token".to_owned())
}

fn refused(why: &NoToken, provider: &str) -> Failure {
    match why {
        NoToken::None => none(provider),
        NoToken::NotRefreshed(code) => {
            let message = format!("the provider does not refresh the token: {code}");
            failure("ERR_TOKEN", message)
        }
        NoToken::Store => failure("ERR_IO", "the tokens cannot be read".to_owned()),
    }
}

/// The header that a token authorises a request with.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Rights {
    /// Whose tokens they are.
    fn user(&self) -> Result<String, Failure> {
        match &self.who.caller.user {
            Some(user) => Ok(user.name()),
            None => {
                let message = "anonymous users have no tokens: sign in first".to_owned();
                Err(failure("ERR_PERMISSION", message))
            }
        }
    }

    async fn provider(&self, name: &str) -> Result<Config, Failure> {
        let found = sign_in::find(&self.server, &self.agent.workspace, name).await;
        found.map_err(|error| match error.status {
            404 => none(name),
            _ => failure("ERR_IO", error.message),
        })
    }

    /// The text of the token of a provider, refreshed if it is due.
    async fn kept(&self, config: &Config) -> Result<sign_in::Kept, Failure> {
        let (ws, user) = (&self.agent.workspace, self.user()?);
        let kept = sign_in::current(&self.server, ws, config, &user).await;
        kept.map_err(|why| refused(&why, &config.name))
    }

    /// The token that a provider has given for the user.
    pub(super) async fn provider_token(&self, name: &str) -> Result<Value, Failure> {
        self.user()?;
        let config = self.provider(name).await?;
        self.kept(&config).await?;
        let number = self.given.number_of(config);
        Ok(Value::Token(Token::Reference(number)))
    }

    /// Forgets the token of a provider.
    pub(super) async fn forget_token(&self, name: &str) -> Result<Value, Failure> {
        let (ws, user) = (&self.agent.workspace, self.user()?);
        let config = self.provider(name).await?;
        let forgotten = sign_in::forget(&self.server, ws, &config, &user).await;
        forgotten.map_err(|why| refused(&why, name))?;
        Ok(Value::from(name))
    }

    /// What a provider has told beside a token.
    pub(super) async fn token_extra(&self, name: &str, token: u64) -> Result<Value, Failure> {
        let absent = || {
            let message = format!("no provider has told {name:?} with this token");
            failure("ERR_NOT_FOUND", message)
        };
        if token == CALLERS_TOKEN {
            return Err(absent());
        }
        let config = self.given.of_number(token).ok_or_else(unknown)?;
        let kept = self.kept(&config).await?;
        let told = kept.extras.get(name).ok_or_else(absent)?;
        Ok(sign_in::of_json(told))
    }

    /// The text of a token, where the app may see it.
    pub(super) async fn token_text(&self, token: u64) -> Result<Value, Failure> {
        let (ws, app) = (&self.agent.workspace, &self.agent.app);
        let place = Place::new(&self.server.ws_dir, ws, app);
        let allowed = match place {
            Ok(place) => metadata::shows_tokens(&self.server, &place).await,
            Err(_) => Ok(false),
        };
        match allowed {
            Ok(true) => {}
            Ok(false) => {
                let message = "this app may not turn tokens into text: its metadata have no settings.tokenText";
                return Err(failure("ERR_PERMISSION", message.to_owned()));
            }
            Err(error) => return Err(failure("ERR_IO", error.message)),
        }
        if token == CALLERS_TOKEN {
            let own = self.who.token.as_deref().ok_or_else(unknown)?;
            return Ok(Value::from(own));
        }
        let config = self.given.of_number(token).ok_or_else(unknown)?;
        Ok(Value::from(self.kept(&config).await?.access_token.as_str()))
    }

    /// The authorisation of the token of a provider, where it may be sent.
    pub(super) async fn provider_authorization(
        &self,
        uri: &Uri,
        token: u64,
    ) -> Option<HeaderValue> {
        let config = self.given.of_number(token)?;
        if !config.may_know(uri) {
            return None;
        }
        self.header_of(&config).await
    }

    /// The authorisation that a provider's own host gets without being asked.
    pub(super) async fn domain_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let ws = &self.agent.workspace;
        let known = self.given.known.get_or_init(|| async {
            let all = sign_in::keeping(&self.server, ws).await;
            all.unwrap_or_else(|error| {
                tracing::error!(?error, "the providers of a workspace cannot be read");
                Vec::new()
            })
        });
        let config = known.await.iter().find(|config| config.serves(uri))?;
        self.header_of(config).await
    }

    async fn header_of(&self, config: &Config) -> Option<HeaderValue> {
        match self.kept(config).await {
            Ok(kept) => bearer(&kept.access_token),
            Err(why) if why.code == "ERR_NOT_FOUND" => None,
            Err(why) => {
                tracing::warn!(provider = %config.name, code = %why.code, "{}", why.message);
                None
            }
        }
    }
}
