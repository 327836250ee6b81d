//! Servers as processes of their own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// A port that nobody listens on.
pub fn free_port() -> Done<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

/// A server process, killed when dropped.
pub struct Process {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Process {
    /// Starts a server that says `listening on http://…`.
    pub fn start(command: &mut Command) -> Done<Process> {
        let mut child = command
            .env("RUST_LOG", "warn")
            // As operators start it.
            .env_remove("RUST_BACKTRACE")
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        let mut process = Process {
            child,
            address: String::new(),
        };
        for line in BufReader::new(out).lines() {
            if let Some(address) = line?.strip_prefix("listening on http://") {
                process.address = address.trim_end_matches('/').to_owned();
                return Ok(process);
            }
        }
        Err("the server ended before it listened".into())
    }

    /// Starts a server that says nothing.
    #[allow(dead_code, reason = "of one of the programs only")]
    pub fn start_quiet(command: &mut Command, address: &str) -> Done<Process> {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let process = Process {
            child,
            address: address.to_owned(),
        };
        let end = Instant::now() + Duration::from_secs(180);
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > end {
                return Err("the server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(process)
    }
}

impl Process {
    /// Memory that it has in use.
    #[allow(dead_code, reason = "of one of the programs only")]
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) << 10
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
