//! Family component: files.
