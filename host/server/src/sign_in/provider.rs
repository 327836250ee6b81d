//! What a provider says about a user.

use super::configs::Config;
use super::form;
use super::told::Description;
use crate::Server;
use crate::issuing::{SignedIn, seconds_now};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use mix_http_api::ApiError;
use mix_identity::{Issuers, KeySet, Refusal, TokenKind, User, Verifier, claims};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Longest answer.
const MOST: usize = 512 << 10;

/// Time of one exchange.
const TIME: Duration = Duration::from_secs(10);

/// Where a provider describes itself, below its address.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Why nobody has signed in: a code for the page that the browser comes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed(pub &'static str);

/// The provider cannot be reached, or what it answers is none.
pub const SILENT: Failed = Failed("provider");

/// The provider answers that it will not.
const UNWILLING: Failed = Failed("provider_refused");

/// Longest e-mail address and name of a user: both stand in each token.
const LONGEST: usize = 320;

/// A provider with all its addresses.
pub struct Provider {
    server: Arc<Server>,
    /// Its description.
    pub config: Config,
    /// Where browsers are sent.
    pub auth_url: String,
    /// What it told, with what its description says instead.
    told: Description,
}

impl Provider {
    /// Asks the provider for the addresses that its description leaves out.
    pub async fn of(server: &Arc<Server>, config: Config) -> Result<Provider, ApiError> {
        let mut provider = Provider {
            server: server.clone(),
            auth_url: String::new(),
            told: Description::default(),
            config,
        };
        let upstream = |message: &str| ApiError::new(502, "upstream", message);
        if let Some(endpoint) = provider.config.text("endpoint") {
            let endpoint = endpoint.trim_end_matches('/');
            let address = match endpoint.ends_with(DISCOVERY) {
                true => endpoint.to_owned(),
                false => format!("{endpoint}{DISCOVERY}"),
            };
            let told = provider.described(&address).await;
            let told = told.map_err(|failed| {
                upstream(match failed {
                    UNWILLING => "the provider refuses to describe itself",
                    _ => "the provider does not describe itself: no answer of use",
                })
            })?;
            provider.told = (*told).clone();
        }
        for (name, address) in [
            ("auth_url", &mut provider.told.auth_url),
            ("token_url", &mut provider.told.token_url),
            ("userinfo_url", &mut provider.told.userinfo_url),
        ] {
            if let Some(own) = provider.config.text(name).filter(|own| !own.is_empty()) {
                *address = Some(own.to_owned());
            }
        }
        provider.auth_url = provider.told.auth_url.take().unwrap_or_default();
        let is_address = provider.auth_url.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some()
        });
        if !is_address {
            return Err(upstream("the provider has no auth_url"));
        }
        Ok(provider)
    }

    /// Who has signed in, and what the provider gave for the code that the browser brought.
    /// That code was asked for with an address to come back to, a verifier and a nonce.
    pub async fn user(
        &self,
        code: &str,
        (place, verifier, nonce): (&str, &str, &str),
    ) -> Result<(SignedIn, Value), Failed> {
        let granted = self
            .granted(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", place),
                ("code_verifier", verifier),
            ])
            .await?;
        let user = match granted["id_token"].as_str() {
            Some(token) if self.config.is_oidc() => self.of_id_token(token, Some(nonce)).await,
            _ if self.config.is_oidc() => Err(Failed("no_id_token")),
            _ => {
                let token = granted["access_token"].as_str();
                self.of_access_token(token.ok_or(Failed("no_token"))?).await
            }
        }?;
        Ok((user, granted))
    }

    /// What the provider gives for a token that is good for that.
    pub async fn refresh(&self, token: &str) -> Result<Value, Failed> {
        let members = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.granted(&members).await
    }

    /// What the provider gives for a form of these members, in the name of this workspace.
    async fn granted(&self, members: &[(&str, &str)]) -> Result<Value, Failed> {
        let address = self
            .told
            .token_url
            .as_deref()
            .ok_or(Failed("no_token_url"))?;
        let mut members = members.to_vec();
        members.push(("client_id", self.config.client_id.as_str()));
        if let Some(secret) = &self.config.client_secret {
            members.push(("client_secret", secret.as_str()));
        }
        let body: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{}={}", form(name), form(value)))
            .collect();
        let request = self
            .request(http::Method::POST, address, None)?
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body.join("&")));
        self.ask(request).await
    }

    /// The user of an identity token. `nonce`: what the token must have been made for.
    pub async fn of_id_token(&self, token: &str, nonce: Option<&str>) -> Result<SignedIn, Failed> {
        let keys_url = self.told.keys_url.as_deref().ok_or(Failed("no_keys"))?;
        let issuer = self.told.issuer.clone().ok_or(Failed("no_issuer"))?;
        let issuers = Issuers {
            issuers: vec![issuer],
            audiences: vec![self.config.client_id.clone()],
        };
        let verified = |keys: &KeySet| {
            let verifier = Verifier {
                keys: Some(keys),
                // No token is one of this process: see below.
                process_key: &[0; 32],
                own: None,
                issuers: &issuers,
                now: seconds_now(),
            };
            verifier.verify(token)
        };
        let kept = &self.server.providers.keys;
        let asked = self.asked(keys_url);
        let known = kept.find(&asked);
        let caller = match known.as_deref().map(verified) {
            Some(Ok(caller)) => Ok(caller),
            // The provider may have other keys by now.
            Some(Err(Refusal::UnknownKey | Refusal::Bad(_))) if kept.is_due(&asked) => {
                verified(&*self.keys(keys_url, asked).await?)
            }
            Some(refused) => refused,
            None => verified(&*self.keys(keys_url, asked).await?),
        };
        let caller = caller.map_err(|_| Failed("bad_id_token"))?;
        if caller.kind != TokenKind::KeySet {
            return Err(Failed("bad_id_token"));
        }
        let claims = claims(token).ok_or(Failed("bad_id_token"))?;
        if nonce.is_some_and(|nonce| claims["nonce"].as_str() != Some(nonce)) {
            return Err(Failed("bad_nonce"));
        }
        signed_in(&claims)
    }

    /// The user of an access token that this server has got from the provider itself.
    async fn of_access_token(&self, token: &str) -> Result<SignedIn, Failed> {
        signed_in(&self.userinfo(token).await?)
    }

    /// The user of an access token that somebody brings: the provider must say that it was made for
    /// this workspace.
    pub async fn of_checked_access_token(&self, token: &str) -> Result<SignedIn, Failed> {
        let told = self.userinfo(token).await?;
        let own = Some(self.config.client_id.as_str());
        let is_own = ["client_id", "azp", "aud"]
            .iter()
            .any(|name| told[*name].as_str() == own);
        if !is_own {
            return Err(Failed("other_client"));
        }
        signed_in(&told)
    }

    /// What it says of itself, lately or now.
    async fn described(&self, address: &str) -> Result<Arc<Description>, Failed> {
        let (kept, asked) = (&self.server.providers.descriptions, self.asked(address));
        if let Some(told) = kept.find(&asked) {
            return Ok(told);
        }
        let told = self.get(address, None).await?;
        let description = Description::of(&told);
        Ok(kept.keep(asked, description, told.to_string().len()))
    }

    /// Its keys, as it has them now.
    async fn keys(&self, address: &str, asked: String) -> Result<Arc<KeySet>, Failed> {
        let told = self.get(address, None).await?.to_string();
        let keys = KeySet::parse(told.as_bytes()).map_err(|_| Failed("no_keys"))?;
        Ok(self.server.providers.keys.keep(asked, keys, told.len()))
    }

    /// All that the answer of an address depends on.
    fn asked(&self, address: &str) -> String {
        let mut asked = address.to_owned();
        for (name, value) in self.config.headers() {
            // Neither has a line break in it.
            asked.extend(["\n", name, ":", value]);
        }
        asked
    }

    async fn userinfo(&self, token: &str) -> Result<Value, Failed> {
        let address = self
            .told
            .userinfo_url
            .as_deref()
            .ok_or(Failed("no_userinfo"))?;
        self.get(address, Some(token)).await
    }

    async fn get(&self, address: &str, token: Option<&str>) -> Result<Value, Failed> {
        let request = self.request(http::Method::GET, address, token)?;
        self.ask(request.body(Bytes::new())).await
    }

    fn request(
        &self,
        method: http::Method,
        address: &str,
        token: Option<&str>,
    ) -> Result<http::request::Builder, Failed> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(address)
            .header(ACCEPT, "application/json");
        for (name, value) in self.config.headers() {
            request = request.header(name, value);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        Ok(request)
    }

    async fn ask(
        &self,
        request: Result<http::Request<Bytes>, http::Error>,
    ) -> Result<Value, Failed> {
        let request = request.map_err(|_| Failed("bad_address"))?;
        let answer = self.server.assembly.outbound.ask(request, MOST, TIME).await;
        let answer = answer.map_err(|error| {
            tracing::warn!(provider = %self.config.name, %error, "a provider does not answer");
            SILENT
        })?;
        let status = answer.status();
        if !status.is_success() {
            tracing::warn!(provider = %self.config.name, status = status.as_u16(), "a provider refuses");
            return Err(if status.is_client_error() {
                UNWILLING
            } else {
                SILENT
            });
        }
        serde_json::from_slice(answer.body()).map_err(|error| {
            tracing::warn!(provider = %self.config.name, %error, "a provider does not answer in JSON");
            SILENT
        })
    }
}

/// Who the claims of a provider are about: an e-mail address is needed, and not one that it says is not verified.
fn signed_in(claims: &Value) -> Result<SignedIn, Failed> {
    let verified = match &claims["email_verified"] {
        Value::Null => None,
        Value::Bool(flag) => Some(*flag),
        // Some services write the flag as a text.
        Value::String(text) => Some(text == "true"),
        _ => Some(false),
    };
    let sub = ["sub", "id", "user_id"]
        .iter()
        .find_map(|name| match &claims[*name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
    let sub = sub
        .filter(|sub| sub.len() <= 256)
        .ok_or(Failed("no_user"))?;
    let short = |name: &str| claims[name].as_str().filter(|text| text.len() <= LONGEST);
    match User::of_claims(&sub, short("email"), verified) {
        User::Email(email) => Ok(SignedIn {
            sub,
            email,
            name: short("name").map(str::to_owned),
        }),
        User::Sub(_) => Err(Failed("no_email")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_user_has_an_address_that_is_not_unverified() {
        let user = |claims| signed_in(&claims).map(|user| (user.sub, user.email));
        assert_eq!(
            user(json!({ "sub": "1", "email": "Ada@Example.com" })),
            Ok(("1".to_owned(), "ada@example.com".to_owned()))
        );
        assert!(user(json!({ "id": 7, "email": "a@b.c", "email_verified": true })).is_ok());
        for (claims, code) in [
            (json!({ "sub": "1" }), "no_email"),
            (json!({ "sub": "1", "email": "x" }), "no_email"),
            (
                json!({ "sub": "1", "email": "a@b.c", "email_verified": false }),
                "no_email",
            ),
            (
                json!({ "sub": "1", "email": "a@b.c", "email_verified": "false" }),
                "no_email",
            ),
            (
                json!({ "sub": "1", "email": format!("{}@b.c", "a".repeat(LONGEST)) }),
                "no_email",
            ),
            (json!({ "email": "a@b.c" }), "no_user"),
            (json!({ "sub": "", "email": "a@b.c" }), "no_user"),
        ] {
            assert_eq!(user(claims.clone()), Err(Failed(code)), "{claims}");
        }
    }
}
