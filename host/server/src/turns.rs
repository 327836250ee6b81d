//! Turns at things that have names: of two who want the same, one waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Who is at what, and who waits for it.
#[derive(Clone, Default)]
pub struct Turns(Arc<StdMutex<HashMap<String, Arc<Mutex<()>>>>>);

/// A turn, given back when dropped.
pub struct Turn {
    turns: Turns,
    name: String,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn at one thing.
    pub async fn of(&self, name: &str) -> Turn {
        let lock = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(name.to_owned()).or_default().clone()
        };
        // Made before the waiting, which may be given up.
        let mut mine = Turn {
            turns: self.clone(),
            name: name.to_owned(),
            held: None,
        };
        mine.held = Some(lock.lock_owned().await);
        mine
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut turns = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Names come from callers: nothing stays that nobody uses.
        if turns
            .get(&self.name)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            turns.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_stays() {
        let turns = Turns::default();
        let first = turns.of("one").await;
        let _other = turns.of("two").await;
        let soon = Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, turns.of("one")).await.is_err());
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.of("one").await) }
        });
        tokio::time::sleep(soon).await;
        drop(first);
        waiting.await.expect("no panic");
        let left = turns.0.lock().expect("no panic");
        assert_eq!(left.keys().collect::<Vec<_>>(), ["two"]);
    }
}
