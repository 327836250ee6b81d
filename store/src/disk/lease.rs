//! The lease: who may write at the present fence.

use std::io;

use mix_value::{Value, escjson};

use super::Disk;
use crate::error::{Doing, Result, StoreError};
use crate::folder::read_to_end;
use crate::log::log_name;

/// A holder that has not stirred for so long is dead.
const DEAD_AFTER: i64 = 10_000;
const POLL: u64 = 20;
/// How long to wait for a holder that has an OS lock. It holds the lease for
/// one turn only, so "at once" would refuse where a moment's patience serves.
const OS_WAIT: i64 = 2_000;

fn lease_name(fence: u64) -> String {
    format!("LEASE.{fence}")
}

/// What a lease file says, as far as it can be read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Holder {
    raw: Vec<u8>,
    is_os: bool,
    beat: Option<i64>,
    program: String,
    pid: i64,
}

impl Holder {
    fn describe(&self, now: i64) -> String {
        let age = self
            .beat
            .map_or(0, |beat| now.saturating_sub(beat).max(0) / 1000);
        let program = if self.program.is_empty() {
            "another program"
        } else {
            &self.program
        };
        format!("{program} (pid {}, for {age} s)", self.pid)
    }
}

impl Disk {
    /// Takes the lease of the present fence and gives its number.
    pub(super) fn acquire(&mut self) -> Result<u64> {
        let begun = self.now();
        let mut fence = match &self.open {
            Some(open) => open.header.fence,
            None => self.newest("write.log.")?,
        };
        let mut watched: Option<(u64, Holder, i64)> = None;
        loop {
            if fence == 0 {
                self.create_empty(&log_name(1))?;
                fence = 1;
            }
            if self.try_lease(fence)? {
                if !self.log_exists(fence + 1)? {
                    self.lease = Some(fence);
                    return Ok(fence);
                }
                self.remove_lease(fence);
                fence = self.newest("write.log.")?;
                continue;
            }
            if self.log_exists(fence + 1)? {
                fence = self.newest("write.log.")?;
                continue;
            }
            let now = self.now();
            let Some(holder) = self.read_holder(fence)? else {
                continue; // Gone since we looked.
            };
            let since = match &watched {
                Some((of, seen, since)) if *of == fence && *seen == holder => *since,
                _ => now,
            };
            let silent = holder
                .beat
                .is_some_and(|beat| now.saturating_sub(beat) > DEAD_AFTER);
            if silent || holder.is_os && self.os_locked || now.saturating_sub(since) >= DEAD_AFTER {
                self.create_empty(&log_name(fence + 1))?;
                fence = self.newest("write.log.")?;
                watched = None;
                continue;
            }
            let patience = i64::try_from(self.options.wait).unwrap_or(i64::MAX);
            let patience = if holder.is_os {
                patience.min(OS_WAIT)
            } else {
                patience
            };
            if now.saturating_sub(begun) >= patience {
                return Err(StoreError::Locked {
                    holder: holder.describe(now),
                });
            }
            watched = Some((fence, holder, since));
            self.options.clock.sleep(POLL);
        }
    }

    /// Gives the lease back.
    pub(super) fn release(&mut self) {
        if let Some(fence) = self.lease.take() {
            self.remove_lease(fence);
        }
    }

    fn remove_lease(&self, fence: u64) {
        // A lease that cannot be removed costs the next writer its patience, nothing more.
        let _ = self.folder.remove(&lease_name(fence));
    }

    fn try_lease(&self, fence: u64) -> Result<bool> {
        let name = lease_name(fence);
        match self.folder.create_new(&name) {
            Ok(file) => {
                let text = self.lease_text();
                match file.write_at(0, text.as_bytes()) {
                    Ok(()) => Ok(true),
                    Err(error) => {
                        self.remove_lease(fence);
                        Err(error).doing(|| format!("writing {name}"))
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error).doing(|| format!("creating {name}")),
        }
    }

    fn lease_text(&self) -> String {
        let map = Value::map([
            ("owner", Value::from(self.owner.as_str())),
            (
                "kind",
                Value::from(if self.os_locked { "os" } else { "lease" }),
            ),
            ("beat", Value::Int(self.now())),
            ("n", Value::Int(1)),
            ("program", Value::from(self.options.program.as_str())),
            ("pid", Value::Int(process_id())),
        ]);
        // Strings and ints always have a text.
        escjson::format_plain(&map).unwrap_or_default()
    }

    fn read_holder(&self, fence: u64) -> Result<Option<Holder>> {
        let file = match self.folder.open(&lease_name(fence), false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing(|| format!("opening {}", lease_name(fence))),
        };
        let raw = read_to_end(&*file, 0).unwrap_or_default();
        let parsed = std::str::from_utf8(&raw)
            .ok()
            .and_then(|text| escjson::parse_plain(text).ok());
        let Some(map) = parsed.as_ref().and_then(Value::as_map) else {
            return Ok(Some(Holder {
                raw,
                ..Holder::default()
            }));
        };
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        Ok(Some(Holder {
            is_os: text("kind") == "os",
            beat: map.get("beat").and_then(Value::as_int),
            program: text("program").chars().take(80).collect(),
            pid: map.get("pid").and_then(Value::as_int).unwrap_or(0),
            raw,
        }))
    }

    pub(super) fn log_exists(&self, fence: u64) -> Result<bool> {
        let name = log_name(fence);
        self.folder
            .exists(&name)
            .doing(|| format!("looking for {name}"))
    }
}

#[cfg(not(target_family = "wasm"))]
fn process_id() -> i64 {
    i64::from(std::process::id())
}

/// Components have no process id.
#[cfg(target_family = "wasm")]
fn process_id() -> i64 {
    0
}
