//! HTTP front of a composed component.
