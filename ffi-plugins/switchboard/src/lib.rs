//! Family component: switchboard.
