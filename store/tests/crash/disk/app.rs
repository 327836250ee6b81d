//! A folder of folders that forgets like they do.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use mix_store::folder::{AppFolder, Folder};

use super::names::Names;
use super::power::{Hook, Power};
use super::{Dice, Fault, ForgetfulFolder};

/// The folder; clones are the same one.
#[derive(Clone, Default)]
pub struct ForgetfulApp {
    state: Arc<Mutex<State>>,
    power: Power,
    hook: Hook,
}

#[derive(Default)]
struct State {
    folders: Vec<ForgetfulFolder>,
    names: Names,
}

impl ForgetfulApp {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while holding it")
    }

    /// Runs `hook` before the next operation on folders called `operation`.
    pub fn before(&self, operation: &'static str, hook: impl FnOnce() + Send + 'static) {
        self.hook.set(operation, hook);
    }

    /// Forgets a hook that was not needed.
    pub fn forget_hook(&self) {
        self.hook.forget();
    }

    /// Plans a fault `after` more changing operations.
    pub fn plan(&self, after: u64, fault: Fault) {
        self.power.plan(after, fault);
    }

    /// There is room again.
    pub fn free(&self) {
        self.power.free();
    }

    /// Changing operations so far.
    pub fn operations(&self) -> u64 {
        self.power.operations()
    }

    /// What a power cut leaves, on a disk of its own. Names survive in order, each folder by itself.
    pub fn after_power_cut(&self, dice: &mut Dice) -> ForgetfulApp {
        let state = self.state();
        let names = Names::durable(state.names.after_power_cut(dice));
        let power = Power::default();
        let folders = state.folders.iter();
        let folders = folders
            .map(|folder| folder.after_power_cut_of(dice, power.clone()))
            .collect();
        ForgetfulApp {
            state: Arc::new(Mutex::new(State { folders, names })),
            power,
            hook: Hook::default(),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.now().keys().cloned().collect()
    }

    /// The folder of this name.
    pub fn inner(&self, name: &str) -> Option<ForgetfulFolder> {
        self.existing(name).ok()
    }

    fn existing(&self, name: &str) -> io::Result<ForgetfulFolder> {
        let state = self.state();
        let at = state.names.get(name)?;
        Ok(state.folders[at].clone())
    }

    /// Counts a changing operation and fails if one is planned.
    fn operation(&self, name: &'static str) -> io::Result<MutexGuard<'_, State>> {
        self.hook.run(name);
        let state = self.state();
        self.power.count()?;
        Ok(state)
    }
}

impl AppFolder for ForgetfulApp {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        Ok(Arc::new(self.existing(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        if let Some(folder) = self.inner(name) {
            return Ok(Arc::new(folder));
        }
        let mut state = self.operation("create")?;
        let folder = ForgetfulFolder::of(self.power.clone());
        let at = state.folders.len();
        state.folders.push(folder.clone());
        state.names.set(name, at);
        Ok(Arc::new(folder))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.state().names.has(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operation("rename")?;
        if state.names.has(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.rename(from, to)
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
        self.operation("remove")?.names.remove(name).map(drop)
    }

    fn sync(&self) -> io::Result<()> {
        self.operation("sync")?.names.sync();
        Ok(())
    }
}
