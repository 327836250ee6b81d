//! Measurements in the text form of Prometheus.

use super::Server;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

/// Requests so far, by route, method and status: all of them from small fixed sets.
#[derive(Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), Series>>,
}

#[derive(Default, Clone)]
struct Series {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
    bytes: u64,
}

impl Metrics {
    /// Counts a request.
    pub fn request(
        &self,
        route: &'static str,
        method: &str,
        status: u16,
        time: Duration,
        bytes: u64,
    ) {
        let method = match method {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let seconds = time.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = requests.entry((route, method, status)).or_default();
        series.count += 1;
        series.seconds += seconds;
        series.bytes += bytes;
        for (bound, count) in BUCKETS.iter().zip(&mut series.buckets) {
            if seconds <= *bound {
                *count += 1;
            }
        }
    }

    /// All measurements.
    pub fn text(&self, server: &Server) -> String {
        let requests = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut text = String::new();
        let name = "mixer_http_request_duration_seconds";
        head(
            &mut text,
            name,
            "histogram",
            "Time from request to response.",
        );
        for ((route, method, status), series) in &requests {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            for (bound, count) in BUCKETS.iter().zip(&series.buckets) {
                line(
                    &mut text,
                    name,
                    "_bucket",
                    &format!("{labels},le=\"{bound}\""),
                    *count,
                );
            }
            line(
                &mut text,
                name,
                "_bucket",
                &format!("{labels},le=\"+Inf\""),
                series.count,
            );
            line(&mut text, name, "_sum", &labels, series.seconds);
            line(&mut text, name, "_count", &labels, series.count);
        }
        let name = "mixer_http_response_bytes_total";
        head(&mut text, name, "counter", "Bytes of response bodies.");
        for ((route, method, status), series) in &requests {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            line(&mut text, name, "", &labels, series.bytes);
        }
        let snapshots = server.assembly.vms.snapshots();
        let name = "mixer_snapshot_runs_total";
        let help = "Runs that began with their program loaded.";
        head(&mut text, name, "counter", help);
        line(&mut text, name, "", "", snapshots.runs);
        for (name, help, value) in [
            (
                "mixer_snapshots",
                "Programs that are kept loaded.",
                snapshots.images as u64,
            ),
            (
                "mixer_snapshot_bytes",
                "Memory of the programs that are kept loaded.",
                snapshots.bytes as u64,
            ),
            (
                "mixer_run_slots",
                "Runs at once.",
                server.slots.total() as u64,
            ),
            ("mixer_runs", "Runs now.", server.slots.taken() as u64),
            (
                "mixer_runs_waiting",
                "Runs that wait for a slot.",
                server.slots.waiting() as u64,
            ),
            (
                "mixer_requests_at_work",
                "Requests that work in a workspace now.",
                server.occupancy.len() as u64,
            ),
            (
                "mixer_event_streams",
                "Streams of topics that are open now.",
                server.streams.len() as u64,
            ),
            (
                "mixer_sessions",
                "Interactive sessions that are open now.",
                server.sessions.len() as u64,
            ),
            (
                "mixer_uptime_seconds",
                "Time since the start.",
                server.started.elapsed().as_secs(),
            ),
            (
                "mixer_tasks",
                "Tasks of the process.",
                tokio::runtime::Handle::current()
                    .metrics()
                    .num_alive_tasks() as u64,
            ),
            (
                "mixer_activity_drops",
                "Entries of activity logs that could not be written.",
                server.activities.dropped(),
            ),
            (
                "mixer_span_drops",
                "Spans that were not sent.",
                server
                    .telemetry
                    .get()
                    .map_or(0, |telemetry| telemetry.tracer.dropped()),
            ),
            (
                "process_open_fds",
                "Open files and connections of the process.",
                open_files(),
            ),
            (
                "process_resident_memory_bytes",
                "Memory of the process.",
                resident_memory(),
            ),
        ] {
            head(&mut text, name, "gauge", help);
            line(&mut text, name, "", "", value);
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string never fails.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = if labels.is_empty() {
        writeln!(text, "{name}{suffix} {value}")
    } else {
        writeln!(text, "{name}{suffix}{{{labels}}} {value}")
    };
}

/// As the system counts them; 0 where it does not say.
fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

/// As the system counts it; 0 where it does not say.
fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
