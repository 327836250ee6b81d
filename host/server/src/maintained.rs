//! Apps whose records are being worked on as a whole.

use mix_http_api::ApiError;
use mix_runtime::workspace::Place;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// One such work per app at a time.
#[derive(Default)]
pub struct Maintained {
    places: Mutex<HashSet<Place>>,
}

/// The place of the one; free when dropped.
pub struct Occupied {
    all: Arc<Maintained>,
    place: Place,
}

impl Maintained {
    /// Whether somebody is at an app.
    pub fn is_at(&self, ws: &str, app: &str) -> bool {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .iter()
            .any(|place| place.workspace == ws && place.app == app)
    }

    /// None: somebody else is at it.
    pub fn enter(self: &Arc<Self>, place: &Place) -> Option<Occupied> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(place.clone()).then(|| Occupied {
            all: self.clone(),
            place: place.clone(),
        })
    }
}

/// Tells whoever comes second.
pub fn refused() -> ApiError {
    ApiError::new(
        409,
        "busy_app",
        "other work of this kind is under way in the app",
    )
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let mut places = self
            .all
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        places.remove(&self.place);
    }
}
