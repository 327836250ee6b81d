//! Family component: core.
