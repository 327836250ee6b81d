//! The lease: who may write at the present fence.

use std::io;
use std::sync::Arc;

use mix_value::{Value, escjson};

use super::{Disk, enter, read_header};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, FolderFile, read_to_end};
use crate::log::{Header, SWAP, log_name};
use crate::time::Clock;

/// A holder that has not stirred for so long is dead.
const DEAD_AFTER: i64 = 10_000;
/// A holder stirs so often while it works.
const RENEW_AFTER: i64 = 1_000;
const POLL: u64 = 20;
/// How long to wait for a holder that has an OS lock. It holds the lease for
/// one turn only, so "at once" would refuse where a moment's patience serves.
const OS_WAIT: i64 = 2_000;

/// How long a folder may be missing while a compaction exchanges it.
const EXCHANGE_WAIT: i64 = 1_000;

pub(super) fn lease_name(fence: u64) -> String {
    format!("LEASE.{fence}")
}

/// What a lease file says, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// The log of a fence whose lease was taken, as it was found then.
pub(super) struct Entered {
    pub fence: u64,
    pub file: Box<dyn FolderFile>,
    /// None of one that was announced only.
    pub header: Option<Header>,
}

impl Disk {
    /// Takes the lease of the present fence and gives its log. A folder that
    /// is missing for a moment, because a compaction exchanges it, is waited for; one
    /// that was removed is left for the one in its place.
    pub(super) fn acquire(&mut self) -> Result<Entered> {
        let begun = self.now();
        loop {
            match self.acquire_here() {
                Err(StoreError::NoSuchDb(_))
                    if let Some(app) = &self.app
                        && self.now().saturating_sub(begun) < EXCHANGE_WAIT =>
                {
                    self.folder = enter(&**app, self.os_locked, &mut self.warnings)?;
                    self.quiet = None;
                    self.options.clock.sleep(POLL);
                }
                Err(error)
                    if error.is_not_found() && self.now().saturating_sub(begun) < EXCHANGE_WAIT =>
                {
                    self.options.clock.sleep(POLL);
                }
                other => return other,
            }
        }
    }

    fn acquire_here(&mut self) -> Result<Entered> {
        let mut begun = self.now();
        if let Some(distrusted) = self.distrusted {
            // What was written at this fence may not be on the disk, whatever a later sync
            // says. The log of the next one is written anew and takes over what there is.
            self.create_empty(&log_name(distrusted + 1))?;
            self.distrusted = None;
        }
        let mut known = self.open.as_ref().map(|open| open.header.fence);
        let mut watched: Option<(u64, Holder, i64)> = None;
        loop {
            // That of the last turn mostly still is the present one. Whether it is, is found out with
            // the lease in hand.
            let known = known.take();
            let mut fence = match known {
                Some(fence) => fence,
                None => self.newest("write.log.")?,
            };
            if fence == 0 {
                if self.is_known {
                    return Err(StoreError::NoSuchDb(
                        "any longer: the folder was removed".into(),
                    ));
                }
                self.create_empty(&log_name(1))?;
                fence = 1;
            }
            if self.try_lease(fence)? {
                match self.enter_current(fence) {
                    Ok(Some(entered)) => {
                        self.lease = Some(fence);
                        return Ok(entered);
                    }
                    Ok(None) => self.remove_lease(fence),
                    Err(error) => {
                        self.remove_lease(fence);
                        return Err(error);
                    }
                }
                continue;
            }
            // What is not the present fence must not be raised, whoever has left its lease.
            if self.log_exists(fence + 1)? || known.is_some() && !self.log_exists(fence)? {
                continue;
            }
            let now = self.now();
            // None: given back since we looked.
            let holder = self.read_holder(fence)?;
            if let Some(holder) = &holder {
                let since = match &watched {
                    Some((of, seen, since)) if *of == fence && seen == holder => *since,
                    _ => now,
                };
                let silent = holder
                    .beat
                    .is_some_and(|beat| now.saturating_sub(beat) > DEAD_AFTER);
                let dead = silent
                    || holder.is_os && self.os_locked
                    || now.saturating_sub(since) >= DEAD_AFTER;
                if dead {
                    self.create_empty(&log_name(fence + 1))?;
                    watched = None;
                    // At the next fence another dead one may be found, and be watched as long.
                    begun = self.now();
                    continue;
                }
                watched = Some((fence, holder.clone(), since));
            }
            let patience = i64::try_from(self.options.wait).unwrap_or(i64::MAX);
            let is_os = holder.as_ref().is_some_and(|holder| holder.is_os);
            let patience = if is_os {
                patience.min(OS_WAIT)
            } else {
                patience
            };
            if now.saturating_sub(begun) >= patience {
                let holder =
                    holder.map_or_else(|| "others, in turns".into(), |holder| holder.describe(now));
                return Err(StoreError::Locked { holder });
            }
            self.options.clock.sleep(POLL);
        }
    }

    /// The log of a fence if nobody raised it, and the log is not that of a folder
    /// swap. A swap that its program did not end is ended here by raising the
    /// fence, if no other program can be at it.
    fn enter_current(&self, fence: u64) -> Result<Option<Entered>> {
        if self.log_exists(fence + 1)? {
            return Ok(None);
        }
        let name = log_name(fence);
        let file = match self.folder.open(&name, true) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing(|| format!("opening {name}")),
        };
        let header = read_header(&*file, fence)?;
        if header.is_none_or(|header| header.flags & SWAP == 0) {
            return Ok(Some(Entered {
                fence,
                file,
                header,
            }));
        }
        if !self.os_locked {
            return Err(StoreError::Locked {
                holder: "a compaction of another program".into(),
            });
        }
        self.create_empty(&log_name(fence + 1))?;
        Ok(None)
    }

    /// What keeps the lease of this turn alive during long work.
    pub(super) fn pulse(&self) -> Pulse {
        Pulse(self.lease.map(|fence| Beating {
            folder: Arc::clone(&self.folder),
            clock: Arc::clone(&self.options.clock),
            fence,
            text: self.lease_text(),
            last: self.now(),
            count: 1,
        }))
    }

    pub(super) fn lease_text(&self) -> LeaseText {
        LeaseText {
            owner: self.owner.clone(),
            is_os: self.os_locked,
            program: self.options.program.clone(),
        }
    }

    /// Gives the lease back. That of a log nobody may go on writing stays behind.
    pub(super) fn release(&mut self) {
        if let Some(fence) = self.lease.take()
            && self.distrusted != Some(fence)
        {
            self.remove_lease(fence);
        }
    }

    pub(super) fn remove_lease(&self, fence: u64) {
        // A lease that cannot be removed costs the next writer its patience, nothing more.
        let _ = self.folder.remove(&lease_name(fence));
    }

    pub(super) fn try_lease(&self, fence: u64) -> Result<bool> {
        let name = lease_name(fence);
        match self.folder.create_new(&name) {
            Ok(file) => {
                let text = self.lease_text().format(self.now(), 1);
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

/// What a lease says about its holder.
pub(super) struct LeaseText {
    owner: String,
    is_os: bool,
    program: String,
}

impl LeaseText {
    pub(super) fn format(&self, beat: i64, count: i64) -> String {
        let map = Value::map([
            ("owner", Value::from(self.owner.as_str())),
            ("kind", Value::from(if self.is_os { "os" } else { "lease" })),
            ("beat", Value::Int(beat)),
            ("n", Value::Int(count)),
            ("program", Value::from(self.program.as_str())),
            ("pid", Value::Int(process_id())),
        ]);
        // Strings and ints always have a text.
        escjson::format_plain(&map).unwrap_or_default()
    }
}

/// Renews the lease now and then during long work.
pub(crate) struct Pulse(Option<Beating>);

struct Beating {
    folder: Arc<dyn Folder>,
    clock: Arc<dyn Clock>,
    fence: u64,
    text: LeaseText,
    last: i64,
    count: i64,
}

impl Pulse {
    /// For readers, who hold no lease.
    pub fn silent() -> Pulse {
        Pulse(None)
    }

    /// Renews the lease if a second has passed. A failure is no harm: whoever
    /// takes the silent lease raises the fence, and that is noticed.
    pub fn beat(&mut self) {
        let Some(beating) = &mut self.0 else { return };
        let now = beating.clock.now();
        if now.saturating_sub(beating.last) < RENEW_AFTER {
            return;
        }
        beating.last = now;
        beating.count += 1;
        let folder = &beating.folder;
        let temporary = format!("tmp-lease-{}", beating.text.owner);
        // Left over from a renewal that failed half-way.
        let _ = folder.remove(&temporary);
        let text = beating.text.format(now, beating.count);
        let _ = folder
            .create_new(&temporary)
            .and_then(|file| file.write_at(0, text.as_bytes()))
            .and_then(|()| folder.rename(&temporary, &lease_name(beating.fence)));
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn process_id() -> i64 {
    i64::from(std::process::id())
}

/// Components have no process id.
#[cfg(target_family = "wasm")]
pub(crate) fn process_id() -> i64 {
    0
}
