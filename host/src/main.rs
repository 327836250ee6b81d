//! The host program: engine, linking, sessions, HTTP API, command line.

fn main() {}
