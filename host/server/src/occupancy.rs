//! Who is at work in a workspace, so that it can be emptied before it is deleted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Requests at work, by workspace and app.
#[derive(Default)]
pub struct Occupancy {
    rooms: Mutex<Rooms>,
    left: Notify,
}

#[derive(Default)]
struct Rooms {
    next: u64,
    inside: HashMap<u64, Inside>,
    /// Places that nobody may enter; an empty app is the whole workspace.
    closed: Vec<(String, String)>,
    /// Apps that nobody enters for a moment.
    paused: Vec<(String, String)>,
}

/// Why nobody gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is being deleted.
    Deleted,
    /// It is being changed, and that takes too long.
    Busy,
}

/// An app that is paused until this is dropped.
pub struct Paused {
    occupancy: Arc<Occupancy>,
    place: (String, String),
}

struct Inside {
    ws: String,
    app: String,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Stop {
    raised: AtomicBool,
    notify: Notify,
}

/// One request at work; over when dropped.
pub struct Presence {
    occupancy: Arc<Occupancy>,
    number: u64,
    stop: Arc<Stop>,
}

/// A place that stays closed until this is dropped.
pub struct Closed {
    occupancy: Arc<Occupancy>,
    place: (String, String),
}

impl Occupancy {
    /// Enters a place; `None` if it is being deleted.
    pub fn enter(self: &Arc<Self>, ws: &str, app: &str) -> Option<Presence> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let is_closed = |place: &(String, String)| {
            place.0 == ws && (place.1.is_empty() || app.is_empty() || place.1 == app)
        };
        if rooms.closed.iter().any(is_closed) {
            return None;
        }
        rooms.next += 1;
        let number = rooms.next;
        let stop = Arc::new(Stop::default());
        rooms.inside.insert(
            number,
            Inside {
                ws: ws.to_owned(),
                app: app.to_owned(),
                stop: stop.clone(),
            },
        );
        Some(Presence {
            occupancy: self.clone(),
            number,
            stop,
        })
    }

    /// Enters a place as soon as it is not paused any more, and a workspace as soon as no app of it is being deleted.
    pub async fn enter_soon(
        self: &Arc<Self>,
        ws: &str,
        app: &str,
        patience: Duration,
    ) -> Result<Presence, Refused> {
        let end = Instant::now() + patience;
        loop {
            let left = self.left.notified();
            if !self.is_in_flux(ws, app) {
                return self.enter(ws, app).ok_or(Refused::Deleted);
            }
            if tokio::time::timeout_at(end.into(), left).await.is_err() {
                return Err(Refused::Busy);
            }
        }
    }

    /// Lets nobody into an app, or into the whole workspace without one, for a moment; who is inside stays.
    pub fn pause(self: &Arc<Self>, ws: &str, app: &str) -> Paused {
        let place = (ws.to_owned(), app.to_owned());
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.paused.push(place.clone());
        Paused {
            occupancy: self.clone(),
            place,
        }
    }

    /// It is paused; or it is a workspace of which an app is being deleted, which does not take long.
    fn is_in_flux(&self, ws: &str, app: &str) -> bool {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut paused = rooms.paused.iter();
        let mut closed = rooms.closed.iter();
        let whole = (ws.to_owned(), String::new());
        paused.any(|place| place.0 == ws && (place.1 == app || place.1.is_empty()))
            || (app.is_empty()
                && closed.any(|place| place.0 == ws)
                && !rooms.closed.contains(&whole))
    }

    /// Closes a workspace, or one app of it, stops what runs there and waits until it is empty.
    /// `None` if somebody else is deleting it.
    pub async fn close(self: &Arc<Self>, ws: &str, app: &str) -> Option<Closed> {
        let place = (ws.to_owned(), app.to_owned());
        {
            let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
            if rooms.closed.contains(&place) {
                return None;
            }
            rooms.closed.push(place.clone());
        }
        let closed = Closed {
            occupancy: self.clone(),
            place,
        };
        loop {
            let left = self.left.notified();
            if self.stop_all(ws, app) == 0 {
                return Some(closed);
            }
            left.await;
        }
    }

    /// Returns when nobody is at work anywhere.
    pub async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// How many are at work.
    pub fn len(&self) -> usize {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.inside.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn stop_all(&self, ws: &str, app: &str) -> usize {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let there = rooms
            .inside
            .values()
            .filter(|inside| inside.ws == ws && (app.is_empty() || inside.app == app));
        there
            .map(|inside| {
                inside.stop.raised.store(true, Ordering::Release);
                inside.stop.notify.notify_waiters();
            })
            .count()
    }
}

impl Presence {
    /// Returns when the place is to be left.
    pub async fn stopped(&self) {
        let notified = self.stop.notify.notified();
        if !self.stop.raised.load(Ordering::Acquire) {
            notified.await;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.occupancy
            .rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .inside
            .remove(&self.number);
        self.occupancy.left.notify_waiters();
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let mut rooms = self
            .occupancy
            .rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The same app may be paused twice.
        if let Some(at) = rooms.paused.iter().position(|place| *place == self.place) {
            rooms.paused.swap_remove(at);
        }
        drop(rooms);
        self.occupancy.left.notify_waiters();
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.occupancy
            .rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed
            .retain(|place| *place != self.place);
        self.occupancy.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paused_app_is_entered_later_or_not_at_all() {
        let occupancy = Arc::new(Occupancy::default());
        let paused = occupancy.pause("w", "app");
        let moment = Duration::from_millis(10);
        let refused = occupancy.enter_soon("w", "app", moment).await;
        assert_eq!(refused.err(), Some(Refused::Busy));
        assert!(occupancy.enter_soon("w", "other", moment).await.is_ok());
        let waiting = {
            let occupancy = occupancy.clone();
            tokio::spawn(async move {
                let long = Duration::from_secs(60);
                occupancy.enter_soon("w", "app", long).await.is_ok()
            })
        };
        tokio::task::yield_now().await;
        drop(paused);
        assert!(waiting.await.expect("it entered"));
        let whole = occupancy.pause("w", "");
        for app in ["", "app"] {
            let refused = occupancy.enter_soon("w", app, moment).await;
            assert_eq!(refused.err(), Some(Refused::Busy));
        }
        drop(whole);
        assert!(occupancy.enter_soon("w", "app", moment).await.is_ok());
    }

    #[tokio::test]
    async fn a_workspace_is_entered_when_its_app_is_gone() {
        let occupancy = Arc::new(Occupancy::default());
        let closed = occupancy.close("w", "app").await.expect("nobody else");
        let moment = Duration::from_millis(10);
        let refused = occupancy.enter_soon("w", "app", moment).await;
        assert_eq!(refused.err(), Some(Refused::Deleted));
        let refused = occupancy.enter_soon("w", "", moment).await;
        assert_eq!(refused.err(), Some(Refused::Busy));
        let waiting = {
            let occupancy = occupancy.clone();
            tokio::spawn(async move {
                let long = Duration::from_secs(60);
                occupancy.enter_soon("w", "", long).await.is_ok()
            })
        };
        tokio::task::yield_now().await;
        drop(closed);
        assert!(waiting.await.expect("it entered"));
        let whole = occupancy.close("w", "").await.expect("nobody else");
        let refused = occupancy.enter_soon("w", "", moment).await;
        assert_eq!(refused.err(), Some(Refused::Deleted));
        drop(whole);
    }

    #[tokio::test]
    async fn a_place_is_closed_when_everybody_has_left() {
        let occupancy = Arc::new(Occupancy::default());
        let here = occupancy.enter("w", "app").expect("open");
        let elsewhere = occupancy.enter("w", "other").expect("open");
        let leaving = tokio::spawn(async move {
            here.stopped().await;
            drop(here);
        });
        let closed = occupancy.close("w", "app").await.expect("nobody else");
        leaving.await.expect("it left");
        assert!(occupancy.enter("w", "app").is_none());
        assert!(occupancy.close("w", "app").await.is_none());
        assert!(occupancy.enter("w", "other").is_some());
        drop(closed);
        assert!(occupancy.enter("w", "app").is_some());
        drop(elsewhere);
    }
}
