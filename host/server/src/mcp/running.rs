//! The calls of one conversation that are running, by the ids of their requests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Runs of one conversation at once.
const MOST: usize = 64;

/// Those that have begun and not ended. What stops one is taken out when it is used: its id is free when the call is over.
#[derive(Default)]
pub struct Running(Mutex<HashMap<String, Option<oneshot::Sender<()>>>>);

/// Why a call does not begin.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are too many.
    Busy,
    /// One with this id has not ended.
    SameId,
}

/// The place of a call, until it is dropped, with whoever waited for it or after it.
pub struct Place<'a> {
    running: &'a Running,
    id: String,
    stopped: oneshot::Receiver<()>,
}

impl Running {
    /// Begins a call.
    pub fn begin(&self, id: &serde_json::Value) -> Result<Place<'_>, Refused> {
        let id = id.to_string();
        let mut calls = self.lock();
        if calls.contains_key(&id) {
            return Err(Refused::SameId);
        }
        if calls.len() >= MOST {
            return Err(Refused::Busy);
        }
        let (stop, stopped) = oneshot::channel();
        calls.insert(id.clone(), Some(stop));
        Ok(Place {
            running: self,
            id,
            stopped,
        })
    }

    /// Stops a call, if there is one with that id.
    pub fn stop(&self, id: &serde_json::Value) {
        if let Some(stop) = self.lock().get_mut(&id.to_string()) {
            // The call sees that the sender is gone.
            *stop = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Option<oneshot::Sender<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Returns when the call is to be stopped.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.stopped).await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn an_id_is_taken_until_its_call_is_over() {
        let running = Running::default();
        let begin = |id| running.begin(&id);
        let mut first = begin(json!(1)).expect("room");
        assert_eq!(begin(json!(1)).err(), Some(Refused::SameId));
        let other = begin(json!("1")).expect("another id");
        // Stopped is not over yet.
        running.stop(&json!(1));
        first.stopped().await;
        assert_eq!(begin(json!(1)).err(), Some(Refused::SameId));
        drop(first);
        running.stop(&json!(1));
        assert!(begin(json!(1)).is_ok());
        drop(other);
        assert!(running.lock().is_empty());
    }

    #[test]
    fn calls_that_nobody_waits_for_any_more_take_no_place() {
        let running = Running::default();
        for id in 0..2 * MOST {
            assert!(running.begin(&json!(id)).is_ok());
        }
        let held: Vec<_> = (0..MOST)
            .map_while(|id| running.begin(&json!(id)).ok())
            .collect();
        assert_eq!(held.len(), MOST);
        assert_eq!(running.begin(&json!(MOST)).err(), Some(Refused::Busy));
    }
}
