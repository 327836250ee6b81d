//! A folder of files that forgets.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use mix_store::folder::{Folder, FolderFile};

use super::names::Names;
use super::power::{Hook, Power};
use super::{Dice, Fault};

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Clone, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
}

/// The folder; clones are the same one.
#[derive(Clone, Default)]
pub struct ForgetfulFolder {
    state: Arc<Mutex<State>>,
    power: Power,
    hook: Hook,
}

struct OpenFile {
    folder: ForgetfulFolder,
    inode: usize,
}

impl Inode {
    fn synced(bytes: Vec<u8>) -> Inode {
        Inode {
            current: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.current, &change);
        self.pending.push(change);
    }

    /// Everything that was synced, and as much of the rest as the dice say, in any order.
    fn after_power_cut(&self, dice: &mut Dice) -> Inode {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match (dice.below(4), change) {
                (0, _) => {}
                (1, Change::Write(offset, written)) => {
                    let torn = dice.below(written.len() as u64 + 1) as usize;
                    apply(
                        &mut bytes,
                        &Change::Write(*offset, written[..torn].to_vec()),
                    );
                }
                _ => apply(&mut bytes, change),
            }
        }
        Inode::synced(bytes)
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, written) => {
            let end = *offset as usize + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset as usize..end].copy_from_slice(written);
        }
        Change::Length(len) => bytes.resize(*len as usize, 0),
    }
}

impl ForgetfulFolder {
    /// An empty one on a disk that has this power.
    pub fn of(power: Power) -> ForgetfulFolder {
        ForgetfulFolder {
            power,
            ..ForgetfulFolder::default()
        }
    }

    fn with(inodes: Vec<Inode>, names: Names, power: Power) -> ForgetfulFolder {
        ForgetfulFolder {
            state: Arc::new(Mutex::new(State { inodes, names })),
            power,
            hook: Hook::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while holding it")
    }

    /// Plans a fault `after` more changing operations.
    pub fn plan(&self, after: u64, fault: Fault) {
        self.power.plan(after, fault);
    }

    /// There is room again.
    pub fn free(&self) {
        self.power.free();
    }

    /// Runs `hook` before the next operation called `operation`.
    pub fn before(&self, operation: &'static str, hook: impl FnOnce() + Send + 'static) {
        self.hook.set(operation, hook);
    }

    /// Forgets a hook that was not needed.
    pub fn forget_hook(&self) {
        self.hook.forget();
    }

    /// What a power cut leaves, on a disk of its own.
    pub fn after_power_cut(&self, dice: &mut Dice) -> ForgetfulFolder {
        self.after_power_cut_of(dice, Power::default())
    }

    /// What a power cut leaves, on a disk that has this power.
    pub fn after_power_cut_of(&self, dice: &mut Dice, power: Power) -> ForgetfulFolder {
        let state = self.state();
        let names = Names::durable(state.names.after_power_cut(dice));
        let inodes = state.inodes.iter();
        let inodes = inodes.map(|inode| inode.after_power_cut(dice)).collect();
        ForgetfulFolder::with(inodes, names, power)
    }

    /// The content of a file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(name).ok()?;
        Some(state.inodes[inode].current.clone())
    }

    /// A copy with one file replaced.
    pub fn with_content(&self, name: &str, bytes: Vec<u8>) -> ForgetfulFolder {
        let state = self.state();
        let mut inodes = state.inodes.clone();
        let mut names = state.names.now().clone();
        inodes.push(Inode::synced(bytes));
        names.insert(name.to_owned(), inodes.len() - 1);
        ForgetfulFolder::with(inodes, Names::durable(names), Power::default())
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.now().keys().cloned().collect()
    }

    /// Counts a changing operation and fails if one is planned.
    fn operation(&self, name: &'static str) -> io::Result<MutexGuard<'_, State>> {
        self.hook.run(name);
        let state = self.state();
        self.power.count()?;
        Ok(state)
    }

    /// The same for what needs no room.
    fn saving_operation(&self, name: &'static str) -> io::Result<MutexGuard<'_, State>> {
        match self.operation(name) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(self.state()),
            other => other,
        }
    }
}

impl Folder for ForgetfulFolder {
    fn open(&self, name: &str, _write: bool) -> io::Result<Box<dyn FolderFile>> {
        let inode = self.state().names.get(name)?;
        Ok(Box::new(OpenFile {
            folder: self.clone(),
            inode,
        }))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let mut state = self.operation("create")?;
        if state.names.has(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.set(name, inode);
        Ok(Box::new(OpenFile {
            folder: self.clone(),
            inode,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation("rename")?.names.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.saving_operation("remove")?
            .names
            .remove(name)
            .map(drop)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.state().names.has(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.operation("sync folder")?.names.sync();
        Ok(())
    }
}

impl FolderFile for OpenFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.folder.state();
        let bytes = &state.inodes[self.inode].current;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    /// A write that fails has written half of it.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut state, written, result) = match self.folder.operation("write") {
            Ok(state) => (state, bytes, Ok(())),
            Err(error) => {
                let half = if self.folder.power.is_late() {
                    bytes.len()
                } else {
                    bytes.len() / 2
                };
                (self.folder.state(), &bytes[..half], Err(error))
            }
        };
        state.inodes[self.inode].change(Change::Write(offset, written.to_vec()));
        result
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.folder.state().inodes[self.inode].current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.folder.saving_operation("set_len")?;
        state.inodes[self.inode].change(Change::Length(len));
        Ok(())
    }

    /// What a sync failed to write is forgotten: the next one finds nothing to
    /// write and succeeds, and the disk does not have it.
    fn sync(&self) -> io::Result<()> {
        let (mut state, result) = match self.folder.operation("sync") {
            Ok(state) => (state, Ok(())),
            Err(error) => (self.folder.state(), Err(error)),
        };
        let inode = &mut state.inodes[self.inode];
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Err(error),
            // What takes no more room than before needs none.
            Err(error)
                if error.kind() != io::ErrorKind::StorageFull
                    || inode.current.len() > inode.durable.len() =>
            {
                inode.pending.clear();
                return Err(error);
            }
            _ => {}
        }
        for change in std::mem::take(&mut inode.pending) {
            apply(&mut inode.durable, &change);
        }
        Ok(())
    }
}
