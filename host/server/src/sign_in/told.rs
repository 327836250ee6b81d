//! What providers have told of themselves: where their endpoints are, and the keys that they sign with. Signing in does not ask
//! for it each time.
//!
//! What is kept depends on nothing but the request that asked for it, so that workspaces may have it in common.

use mix_identity::KeySet;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it holds.
const LIFE: Duration = Duration::from_secs(600);

/// Between two times that somebody is asked again because a token does not fit what was told.
const AGAIN: Duration = Duration::from_secs(10);

/// Providers whose words are kept.
const MOST: usize = 256;

/// Longest request and longest answer that are kept.
const LONGEST: usize = 64 << 10;

/// What all providers have told.
#[derive(Default)]
pub struct Told {
    /// Their descriptions.
    pub descriptions: Kept<Description>,
    /// Their keys.
    pub keys: Kept<KeySet>,
}

/// Where a provider has what, and who it says it is.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// Where browsers are sent.
    pub auth_url: Option<String>,
    /// Where codes are exchanged.
    pub token_url: Option<String>,
    /// Where users are described.
    pub userinfo_url: Option<String>,
    /// Where its keys are.
    pub keys_url: Option<String>,
    /// Its name in tokens.
    pub issuer: Option<String>,
}

impl Description {
    /// Reads what OpenID Connect Discovery says.
    pub fn of(told: &Value) -> Description {
        let member = |name: &str| told[name].as_str().map(str::to_owned);
        Description {
            auth_url: member("authorization_endpoint"),
            token_url: member("token_endpoint"),
            userinfo_url: member("userinfo_endpoint"),
            keys_url: member("jwks_uri"),
            issuer: member("issuer"),
        }
    }
}

/// Answers by what was asked.
pub struct Kept<T>(Mutex<HashMap<String, Answer<T>>>);

struct Answer<T> {
    since: Instant,
    /// When somebody last was to be asked again.
    again: Option<Instant>,
    told: Arc<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// What was answered lately.
    pub fn find(&self, asked: &str) -> Option<Arc<T>> {
        let kept = self.lock();
        let answer = kept.get(asked)?;
        (answer.since.elapsed() < LIFE).then(|| answer.told.clone())
    }

    /// Keeps an answer of so many bytes; the oldest one makes place.
    pub fn keep(&self, asked: String, told: T, bytes: usize) -> Arc<T> {
        let told = Arc::new(told);
        let mut kept = self.lock();
        let before = kept.remove(&asked);
        if bytes > LONGEST || asked.len() > LONGEST {
            return told;
        }
        if kept.len() >= MOST {
            let oldest = kept.iter().min_by_key(|(_, answer)| answer.since);
            if let Some(oldest) = oldest.map(|(asked, _)| asked.clone()) {
                kept.remove(&oldest);
            }
        }
        let answer = Answer {
            since: Instant::now(),
            again: before.and_then(|before| before.again),
            told: told.clone(),
        };
        kept.insert(asked, answer);
        told
    }

    /// Whether what was answered is to be asked for again: anybody may bring a token that does not fit it.
    pub fn is_due(&self, asked: &str) -> bool {
        let mut kept = self.lock();
        let Some(answer) = kept.get_mut(asked) else {
            // Nothing is kept of it, so that it has just been asked for.
            return false;
        };
        let is_due = answer.again.is_none_or(|again| again.elapsed() >= AGAIN);
        if is_due {
            answer.again = Some(Instant::now());
        }
        is_due
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Answer<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(kept: &Kept<u32>, asked: &str, by: Duration) {
        let mut kept = kept.lock();
        let answer = kept.get_mut(asked).expect("an answer");
        answer.since -= by;
        answer.again = answer.again.map(|again| again - by);
    }

    #[test]
    fn an_answer_holds_for_a_while_and_few_are_kept() {
        let kept = Kept::default();
        assert_eq!(*kept.keep("a".to_owned(), 1, 9), 1);
        assert_eq!(kept.find("a").as_deref(), Some(&1));
        age(&kept, "a", LIFE);
        assert!(kept.find("a").is_none());
        kept.keep("a".to_owned(), 2, 9);
        assert_eq!(kept.find("a").as_deref(), Some(&2));
        kept.keep("a".to_owned(), 3, LONGEST + 1);
        kept.keep("x".repeat(LONGEST + 1), 3, 9);
        assert_eq!(kept.lock().len(), 0);
        for number in 0..=MOST {
            kept.keep(number.to_string(), 0, 9);
        }
        assert_eq!(kept.lock().len(), MOST);
        assert!(kept.find("0").is_none() && kept.find("1").is_some());
    }

    #[test]
    fn who_brings_tokens_that_do_not_fit_has_it_asked_for_now_and_then() {
        let kept = Kept::default();
        assert!(!kept.is_due("a"));
        kept.keep("a".to_owned(), 1, 9);
        assert!(kept.is_due("a"));
        kept.keep("a".to_owned(), 2, 9);
        assert!(!kept.is_due("a"));
        age(&kept, "a", AGAIN);
        assert!(kept.is_due("a") && !kept.is_due("a"));
    }
}
