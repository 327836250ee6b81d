//! The log.

use super::{Color, LogFormat};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Sends log lines to standard error.
pub fn start(format: Option<LogFormat>, quiet: bool, verbose: u8, color: Color) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "info,cranelift=warn,wasmtime=warn",
        (false, 1) => "debug,cranelift=warn,wasmtime=warn,hyper=info,rustls=info",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let terminal = stderr().is_terminal();
    let pretty = match format {
        Some(format) => format == LogFormat::Pretty,
        None => terminal,
    };
    let ansi = match color {
        Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        Color::Always => true,
        Color::Never => false,
    };
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(ansi);
    // Started twice only in tests, where the first one stays.
    let _ = if pretty {
        lines.compact().try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
}
