//! The Mix VM as a component.
