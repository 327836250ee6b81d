//! Sealing: the first writer at a new fence fixes what of the log before it counts.

use super::{Disk, newest, numbered, read_header};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, FolderFile, read_to_end};
use crate::ids::draw;
use crate::log::{HEADER_LEN, Header, SWAP, log_name, read_frames};
use crate::state::{State, state_name};

/// The newest state, if there is one.
pub(crate) fn read_state(folder: &dyn Folder) -> Result<Option<State>> {
    let fence = newest(folder, "db.state.")?;
    if fence == 0 {
        return Ok(None);
    }
    let name = state_name(fence);
    let file = folder
        .open(&name, false)
        .doing(|| format!("opening {name}"))?;
    let bytes = read_to_end(&*file, 0).doing(|| format!("reading {name}"))?;
    State::decode(&bytes, fence).map(Some)
}

/// The newest log up to that of `fence` that has a header.
pub(super) fn newest_begun(
    folder: &dyn Folder,
    fence: u64,
) -> Result<Option<(Header, Box<dyn FolderFile>)>> {
    for candidate in numbered(folder, "write.log.")?
        .into_iter()
        .rev()
        .filter(|number| *number <= fence)
    {
        let name = log_name(candidate);
        match folder.open(&name, false) {
            Ok(file) => {
                if let Some(header) = read_header(&*file, candidate)? {
                    return Ok(Some((header, file)));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).doing(|| format!("opening {name}")),
        }
    }
    Ok(None)
}

/// What was committed since the last checkpoint is lost.
pub(super) fn without_log() -> StoreError {
    StoreError::Corrupt("there is a state without a write log".into())
}

impl Disk {
    /// Gives the announced log of `fence` its header, with these flags, and the frames it takes over.
    pub(super) fn seal(&mut self, fence: u64, flags: u32) -> Result<()> {
        loop {
            let state = read_state(&*self.folder)?;
            let Some((previous, file)) = newest_begun(&*self.folder, fence - 1)? else {
                if state.is_some() {
                    return Err(without_log());
                }
                let header = Header {
                    fence,
                    previous: 0,
                    seal: 0,
                    base: 0,
                    generation: draw()?,
                    flags,
                };
                return self.write_whole(&log_name(fence), &header.encode());
            };
            if previous.flags & SWAP != 0 && !self.os_locked {
                return Err(StoreError::Locked {
                    holder: "a folder swap of another program".into(),
                });
            }
            let base = state.as_ref().map_or(0, |state| state.sequence);
            if previous.base > base {
                // A checkpoint went on between our two looks: the state must be read again.
                self.options.clock.sleep(1);
                if state == read_state(&*self.folder)? {
                    return Err(StoreError::Corrupt(
                        "the write log begins after the state".into(),
                    ));
                }
                continue;
            }
            let bytes = read_to_end(&*file, HEADER_LEN as u64)
                .doing(|| format!("reading {}", log_name(previous.fence)))?;
            let read = read_frames(&bytes, previous.base, &previous)?;
            let seal = read
                .frames
                .last()
                .map_or(previous.base, |frame| frame.sequence);
            if seal < base {
                return Err(StoreError::Corrupt(
                    "the write log ends before the state".into(),
                ));
            }
            if read.end < bytes.len() {
                self.warnings.push(format!(
                    "{} bytes of an unfinished commit were left out",
                    bytes.len() - read.end
                ));
            }
            let header = Header {
                fence,
                previous: previous.fence,
                seal,
                base,
                generation: previous.generation,
                flags,
            };
            let mut sealed = header.encode();
            for frame in read.frames.iter().filter(|frame| frame.sequence > base) {
                frame.encode_into(&mut sealed);
            }
            return self.write_whole(&log_name(fence), &sealed);
        }
    }
}
