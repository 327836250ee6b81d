//! Who is at work in a workspace, so that it can be emptied before it is deleted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

    fn is_empty(&self) -> bool {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.inside.is_empty()
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

impl Drop for Closed {
    fn drop(&mut self) {
        self.occupancy
            .rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed
            .retain(|place| *place != self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
