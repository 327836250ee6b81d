//! Family component: crypto.
