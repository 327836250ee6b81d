//! Family component: db.
