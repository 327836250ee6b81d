//! A folder that forgets: what was not synced may be lost when the power goes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use mix_store::folder::{AppFolder, Folder, FolderFile};

/// Small, seeded, good enough to choose what survives.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit.max(1)
    }
}

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

#[derive(Clone)]
enum Naming {
    Set(String, usize),
    Remove(String),
}

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This operation and all later ones fail: the power is gone.
    PowerCut,
    /// Only this operation fails.
    Once,
    /// This operation and the ones after it fail, so many in all.
    Several(u64),
    /// Only this operation fails, and if it is a write it has written everything.
    Late,
    /// This operation and the next ones that need room find the disk full.
    Full,
}

type Hook = Box<dyn FnOnce() + Send>;

/// Counts operations and plans faults, for all folders of one disk.
#[derive(Default)]
struct Power {
    operations: u64,
    fault: Option<(u64, Fault)>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<Naming>,
    power: Arc<Mutex<Power>>,
    /// Runs before an operation with this name, once.
    hook: Option<(&'static str, Hook)>,
}

impl State {
    fn is_late(&self) -> bool {
        let power = self.power.lock().expect("no test panics while holding it");
        matches!(power.fault, Some((_, Fault::Late)))
    }
}

fn count(power: &Mutex<Power>) -> io::Result<()> {
    let mut power = power.lock().expect("no test panics while holding it");
    power.operations += 1;
    if let Some((at, fault)) = power.fault {
        let now = power.operations;
        if fault == Fault::Full && now >= at {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if fault == Fault::PowerCut && now >= at {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let last = match fault {
            Fault::Several(count) => at + count - 1,
            _ => at,
        };
        if (at..=last).contains(&now) {
            return Err(io::Error::other("planned fault"));
        }
    }
    Ok(())
}

fn plan(power: &Mutex<Power>, after: u64, fault: Fault) {
    let mut power = power.lock().expect("no test panics while holding it");
    power.fault = Some((power.operations + after, fault));
}

/// The folder; clones are the same one.
#[derive(Clone, Default)]
pub struct ForgetfulFolder {
    state: Arc<Mutex<State>>,
}

struct OpenFile {
    folder: ForgetfulFolder,
    inode: usize,
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while holding it")
    }

    /// Plans a fault `after` more changing operations.
    pub fn plan(&self, after: u64, fault: Fault) {
        plan(&self.state().power, after, fault);
    }

    /// There is room again.
    pub fn free(&self) {
        self.state()
            .power
            .lock()
            .expect("no test panics while holding it")
            .fault = None;
    }

    /// Runs `hook` before the next operation called `operation`.
    pub fn before(&self, operation: &'static str, hook: impl FnOnce() + Send + 'static) {
        self.state().hook = Some((operation, Box::new(hook)));
    }

    /// Forgets a hook that was not needed.
    pub fn forget_hook(&self) {
        self.state().hook = None;
    }

    /// What a power cut leaves: everything that was synced, and as much of the
    /// rest as the dice say. Names survive in order, contents in any.
    pub fn after_power_cut(&self, dice: &mut Dice) -> ForgetfulFolder {
        let state = self.state();
        let mut names = state.durable_names.clone();
        let kept = dice.below(state.pending_names.len() as u64 + 1) as usize;
        for naming in &state.pending_names[..kept] {
            match naming {
                Naming::Set(name, inode) => names.insert(name.clone(), *inode),
                Naming::Remove(name) => names.remove(name),
            };
        }
        let inodes = state
            .inodes
            .iter()
            .map(|inode| {
                let mut bytes = inode.durable.clone();
                for change in &inode.pending {
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
                Inode {
                    current: bytes.clone(),
                    durable: bytes,
                    pending: Vec::new(),
                }
            })
            .collect();
        let image = State {
            inodes,
            names: names.clone(),
            durable_names: names,
            ..State::default()
        };
        ForgetfulFolder {
            state: Arc::new(Mutex::new(image)),
        }
    }

    /// The content of a file.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state
            .names
            .get(name)
            .map(|inode| state.inodes[*inode].current.clone())
    }

    /// A copy with one file replaced.
    pub fn with_content(&self, name: &str, bytes: Vec<u8>) -> ForgetfulFolder {
        let state = self.state();
        let mut inodes = state.inodes.clone();
        let mut names = state.names.clone();
        inodes.push(Inode {
            current: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        });
        names.insert(name.to_owned(), inodes.len() - 1);
        let image = State {
            inodes,
            names: names.clone(),
            durable_names: names,
            ..State::default()
        };
        ForgetfulFolder {
            state: Arc::new(Mutex::new(image)),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Counts a changing operation and fails if one is planned.
    fn operation(&self, name: &'static str) -> io::Result<MutexGuard<'_, State>> {
        let hook = {
            let mut state = self.state();
            match &state.hook {
                Some((wanted, _)) if *wanted == name => state.hook.take(),
                _ => None,
            }
        };
        if let Some((_, hook)) = hook {
            hook();
        }
        let state = self.state();
        count(&state.power)?;
        Ok(state)
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Folder for ForgetfulFolder {
    fn open(&self, name: &str, _write: bool) -> io::Result<Box<dyn FolderFile>> {
        let inode = *self.state().names.get(name).ok_or_else(not_found)?;
        Ok(Box::new(OpenFile {
            folder: self.clone(),
            inode,
        }))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let mut state = self.operation("create")?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state
            .pending_names
            .push(Naming::Set(name.to_owned(), inode));
        drop(state);
        Ok(Box::new(OpenFile {
            folder: self.clone(),
            inode,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operation("rename")?;
        let inode = state.names.remove(from).ok_or_else(not_found)?;
        state.names.insert(to.to_owned(), inode);
        state.pending_names.push(Naming::Remove(from.to_owned()));
        state.pending_names.push(Naming::Set(to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = match self.operation("remove") {
            // Removing needs no room.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.state(),
            other => other?,
        };
        state.names.remove(name).ok_or_else(not_found)?;
        state.pending_names.push(Naming::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.state().names.contains_key(name))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.operation("sync folder")?;
        state.durable_names = state.names.clone();
        state.pending_names.clear();
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
                let state = self.folder.state();
                let half = if state.is_late() {
                    bytes.len()
                } else {
                    bytes.len() / 2
                };
                (state, &bytes[..half], Err(error))
            }
        };
        let inode = &mut state.inodes[self.inode];
        let change = Change::Write(offset, written.to_vec());
        apply(&mut inode.current, &change);
        inode.pending.push(change);
        result
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.folder.state().inodes[self.inode].current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = match self.folder.operation("set_len") {
            // Cutting needs no room.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.folder.state(),
            other => other?,
        };
        let inode = &mut state.inodes[self.inode];
        let change = Change::Length(len);
        apply(&mut inode.current, &change);
        inode.pending.push(change);
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

/// A folder of folders that forgets like they do.
#[derive(Clone, Default)]
pub struct ForgetfulApp {
    state: Arc<Mutex<AppState>>,
}

#[derive(Default)]
struct AppState {
    folders: Vec<ForgetfulFolder>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<Naming>,
    power: Arc<Mutex<Power>>,
    /// Runs before an operation with this name, once.
    hook: Option<(&'static str, Hook)>,
}

impl ForgetfulApp {
    /// Runs `hook` before the next operation on folders called `operation`.
    pub fn before(&self, operation: &'static str, hook: impl FnOnce() + Send + 'static) {
        self.state().hook = Some((operation, Box::new(hook)));
    }

    /// Forgets a hook that was not needed.
    pub fn forget_hook(&self) {
        self.state().hook = None;
    }

    fn operation(&self, name: &'static str) -> io::Result<MutexGuard<'_, AppState>> {
        let hook = {
            let mut state = self.state();
            match &state.hook {
                Some((wanted, _)) if *wanted == name => state.hook.take(),
                _ => None,
            }
        };
        if let Some((_, hook)) = hook {
            hook();
        }
        let state = self.state();
        count(&state.power)?;
        Ok(state)
    }

    /// There is room again.
    pub fn free(&self) {
        self.state()
            .power
            .lock()
            .expect("no test panics while holding it")
            .fault = None;
    }

    fn state(&self) -> MutexGuard<'_, AppState> {
        self.state.lock().expect("no test panics while holding it")
    }

    /// Plans a fault `after` more changing operations.
    pub fn plan(&self, after: u64, fault: Fault) {
        plan(&self.state().power, after, fault);
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        let state = self.state();
        let power = state.power.lock().expect("no test panics while holding it");
        power.operations
    }

    /// What a power cut leaves. Names survive in order, each folder by itself.
    pub fn after_power_cut(&self, dice: &mut Dice) -> ForgetfulApp {
        let state = self.state();
        let mut names = state.durable_names.clone();
        let kept = dice.below(state.pending_names.len() as u64 + 1) as usize;
        for naming in &state.pending_names[..kept] {
            match naming {
                Naming::Set(name, folder) => names.insert(name.clone(), *folder),
                Naming::Remove(name) => names.remove(name),
            };
        }
        let power = Arc::new(Mutex::new(Power::default()));
        let folders = state
            .folders
            .iter()
            .map(|folder| {
                let folder = folder.after_power_cut(dice);
                folder.state().power = power.clone();
                folder
            })
            .collect();
        let image = AppState {
            folders,
            names: names.clone(),
            durable_names: names,
            pending_names: Vec::new(),
            power,
            hook: None,
        };
        ForgetfulApp {
            state: Arc::new(Mutex::new(image)),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The folder of this name.
    pub fn inner(&self, name: &str) -> Option<ForgetfulFolder> {
        let state = self.state();
        state.names.get(name).map(|at| state.folders[*at].clone())
    }
}

impl AppFolder for ForgetfulApp {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        Ok(Arc::new(self.inner(name).ok_or_else(not_found)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        if let Some(folder) = self.inner(name) {
            return Ok(Arc::new(folder));
        }
        let mut state = self.state();
        count(&state.power)?;
        let folder = ForgetfulFolder::default();
        folder.state().power = state.power.clone();
        state.folders.push(folder.clone());
        let at = state.folders.len() - 1;
        state.names.insert(name.to_owned(), at);
        state.pending_names.push(Naming::Set(name.to_owned(), at));
        Ok(Arc::new(folder))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.state().names.contains_key(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operation("rename")?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let at = state.names.remove(from).ok_or_else(not_found)?;
        state.names.insert(to.to_owned(), at);
        state.pending_names.push(Naming::Remove(from.to_owned()));
        state.pending_names.push(Naming::Set(to.to_owned(), at));
        Ok(())
    }

    /// File by file, like a folder of the system; what a file held is gone at
    /// once even where the name of the folder comes back.
    fn remove_all(&self, name: &str) -> io::Result<()> {
        let Some(folder) = self.inner(name) else {
            return Ok(());
        };
        for file in folder.names() {
            folder.remove(&file)?;
        }
        folder.sync()?;
        let mut state = self.state();
        count(&state.power)?;
        state.names.remove(name);
        state.pending_names.push(Naming::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.operation("sync")?;
        state.durable_names = state.names.clone();
        state.pending_names.clear();
        Ok(())
    }
}
