//! Family component: http.
