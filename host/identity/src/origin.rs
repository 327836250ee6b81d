//! Agents of other servers: the header `X-Rmx-Origin`, with which a trusted server vouches for the
//! agent that asks.

use crate::caller::RunningAgent;
use crate::keys::KeySet;
use crate::subject::Subject;
use crate::token::{Refusal, decode, verified};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest life of such a token in seconds.
const LIFE: i64 = 60;

/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
}

/// The claims with which this server, the issuer, vouches for an agent at a target.
pub fn origin_claims(issuer: &str, agent: &RunningAgent, target: &str, now: i64) -> Value {
    let subject = agent.subject().to_string();
    json!({ "iss": issuer, "sub": subject, "aud": target, "iat": now, "exp": now + LIFE })
}

/// The agent behind a token of a trusted server whose keys these are. `own`: the origin of the
/// server that is asked.
pub fn verify_origin(
    token: &str,
    keys: &KeySet,
    (issuer, own): (&str, &str),
    now: i64,
) -> Result<RunningAgent, Refusal> {
    let claims = verified(token, keys)?;
    let claims: Claims = decode(claims).ok_or(Refusal::Bad("malformed claims"))?;
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(Refusal::Expired);
    }
    if claims.exp > now + LIFE + LEEWAY {
        return Err(Refusal::Bad("exp"));
    }
    if claims.iss != issuer || claims.aud != own {
        return Err(Refusal::Untrusted);
    }
    let Some(Subject::Agent {
        server,
        workspace,
        app,
        agent,
    }) = Subject::parse(&claims.sub)
    else {
        return Err(Refusal::Bad("sub"));
    };
    // It vouches for its own agents only.
    if !is_host_of(&server, issuer) {
        return Err(Refusal::Untrusted);
    }
    Ok(RunningAgent {
        servers: [server].into(),
        workspace,
        app,
        agent,
        here: false,
    })
}

/// Whether a name is the host of a URL, with or without its port.
fn is_host_of(name: &str, url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    name.eq_ignore_ascii_case(authority) || name.eq_ignore_ascii_case(host)
}
