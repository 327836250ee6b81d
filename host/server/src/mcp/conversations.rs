//! The conversations over HTTP.

use super::Conversation;
use crate::handler::random_text;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Conversations at once.
const MOST: usize = 10_000;

/// Those of one user, whose oldest ones make place for new ones: nobody ends those of others.
const MOST_OF_USER: usize = MOST / 10;

/// How long a conversation is kept that nobody uses.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Those that are kept, by their ids.
#[derive(Default)]
pub struct Conversations(Mutex<HashMap<String, Kept>>);

struct Kept {
    user: String,
    used: Instant,
    conversation: Arc<Conversation>,
}

impl Conversations {
    /// A new one and its id. If a user has too many, or all together have, the one that was not used for longest goes.
    pub fn begin(&self, user: &str) -> (String, Arc<Conversation>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| kept.used.elapsed() < LIFE);
        let own = all.values().filter(|kept| kept.user == user).count();
        let of_user = own >= MOST_OF_USER;
        if of_user || all.len() >= MOST {
            let oldest = all
                .iter()
                .filter(|(_, kept)| !of_user || kept.user == user)
                .min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                all.remove(&oldest);
            }
        }
        let id = random_text(32);
        let conversation = Arc::new(Conversation::default());
        all.insert(
            id.clone(),
            Kept {
                user: user.to_owned(),
                used: Instant::now(),
                conversation: conversation.clone(),
            },
        );
        (id, conversation)
    }

    /// A conversation of this user.
    pub fn find(&self, id: &str, user: &str) -> Option<Arc<Conversation>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.get_mut(id).filter(|kept| kept.user == user)?;
        kept.used = Instant::now();
        Some(kept.conversation.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_many_ends_only_their_own() {
        let conversations = Conversations::default();
        let (others, _) = conversations.begin("bob");
        let (first, _) = conversations.begin("ada");
        assert!(conversations.find(&first, "bob").is_none());
        let (mut last, mut second) = (String::new(), String::new());
        for number in 0..MOST_OF_USER {
            last = conversations.begin("ada").0;
            if number == 0 {
                second = last.clone();
            }
        }
        assert!(conversations.find(&first, "ada").is_none());
        assert!(conversations.find(&second, "ada").is_some());
        assert!(conversations.find(&last, "ada").is_some());
        assert!(conversations.find(&others, "bob").is_some());
    }
}
