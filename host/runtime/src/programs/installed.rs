//! What is installed in apps: executables, read once and kept until their file changes.

use super::executable::{COMPONENT, EXECUTABLE, MAX_EXECUTABLE};
use super::sources::{FILES, MAX_DEPTH};
use super::{Executable, carried, is_component};
use crate::libraries::{self, LibraryFile};
use crate::plugin::LARGEST_COMPONENT;
use crate::workspace::{Place, write_atomically};
use anyhow::{Context, Result, bail};
use mix_bytecode::Program;
use mix_bytecode::component::CarriedError;
use mix_sandbox::state::while_others_work;
use mix_value::{Value, escjson};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Largest debug data that a program is told: they are written out for each of its runs.
const MAX_DEBUG_DATA: u64 = 1 << 20;

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// No such workspace.
    #[error("no such workspace")]
    Workspace,
    /// No such app.
    #[error("no such app")]
    App,
    /// No such agent.
    #[error("no such agent")]
    Agent,
    /// The only file that could have it cannot be read.
    #[error("{0}")]
    Damaged(String),
}

/// The executables in a file: the one that it is, or those that a component carries.
type Executables = Arc<[Arc<Executable>]>;

/// A file with executables of an app, or why it has none.
struct File {
    path: PathBuf,
    modified: SystemTime,
    executables: Result<Executables, String>,
}

/// Executables of apps, read once and kept until their file changes.
pub struct Installed {
    limit: u64,
    entries: Mutex<Entries>,
    /// Told when a file has been read.
    loaded: Condvar,
}

#[derive(Default)]
struct Entries {
    bytes: u64,
    by_path: HashMap<PathBuf, Entry>,
    /// Files that are being read.
    loading: HashSet<PathBuf>,
    listings: HashMap<PathBuf, Listing>,
}

/// The executables in a folder, as they were when the folder had that time.
struct Listing {
    modified: SystemTime,
    paths: Arc<[PathBuf]>,
}

/// Listings that are kept.
const MAX_LISTINGS: usize = 1_000;

/// A folder that was changed a shorter time ago may change again without a new time.
const SETTLED: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Entry {
    modified: SystemTime,
    length: u64,
    executables: Result<Executables, String>,
}

impl Installed {
    /// `limit`: bytes of executables that are kept in memory.
    pub fn new(limit: u64) -> Installed {
        Installed {
            limit,
            entries: Mutex::new(Entries::default()),
            loaded: Condvar::new(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The executable that offers the agent; the one installed last, if several do.
    pub fn find(&self, place: &Place, agent: &str) -> Result<Arc<Executable>, Missing> {
        let mut best: Option<(bool, SystemTime, PathBuf, Arc<Executable>)> = None;
        let mut damaged = None;
        for file in self.files(place)? {
            let executables = match file.executables {
                Ok(executables) => executables,
                Err(reason) => {
                    damaged = Some(reason);
                    continue;
                }
            };
            let Some((is_agent, executable)) = offering(&executables, agent) else {
                continue;
            };
            let found = (is_agent, file.modified, file.path, executable.clone());
            let better = best
                .as_ref()
                .is_none_or(|best| (found.0, found.1, &found.2) > (best.0, best.1, &best.2));
            if better {
                best = Some(found);
            }
        }
        match (best, damaged) {
            (Some((_, _, _, executable)), _) => Ok(executable),
            (None, Some(reason)) => Err(Missing::Damaged(reason)),
            (None, None) => Err(Missing::Agent),
        }
    }

    /// Names of the agents of an app; those of a damaged file are not known.
    pub fn agents(&self, place: &Place) -> Vec<String> {
        let files = self.files(place).unwrap_or_default();
        files
            .into_iter()
            .filter_map(|file| file.executables.ok())
            .flat_map(|executables| {
                let agents = executables.iter().flat_map(|one| one.agents.keys());
                let names: BTreeSet<String> = agents.cloned().collect();
                names
            })
            .collect()
    }

    /// Drops what is kept of the apps in or below a folder.
    pub fn forget(&self, folder: &Path) {
        let mut entries = self.entries();
        let entries = &mut *entries;
        entries.by_path.retain(|path, entry| {
            let keep = !path.starts_with(folder);
            if !keep {
                entries.bytes = entries.bytes.saturating_sub(entry.length);
            }
            keep
        });
        entries.listings.retain(|path, _| !path.starts_with(folder));
    }

    /// The executables of an app.
    fn files(&self, place: &Place) -> Result<Vec<File>, Missing> {
        let paths = match self.list(&place.code()) {
            Ok(paths) => paths,
            Err(_) if !place.workspace_folder().is_dir() => return Err(Missing::Workspace),
            Err(_) if !place.folder().is_dir() => return Err(Missing::App),
            Err(_) => return Err(Missing::Agent),
        };
        let mut files = Vec::new();
        for path in paths.iter() {
            let Ok(facts) = fs::symlink_metadata(path) else {
                continue;
            };
            let modified = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let executables = self.load(path, modified, facts.len()).map_err(|reason| {
                let name = path.file_name().unwrap_or_default();
                format!("{} cannot be used: {reason}", name.to_string_lossy())
            });
            files.push(File {
                path: path.clone(),
                modified,
                executables,
            });
        }
        Ok(files)
    }

    /// The executables in a folder. It is read again when its time has changed.
    fn list(&self, folder: &Path) -> io::Result<Arc<[PathBuf]>> {
        let modified = fs::metadata(folder)?.modified()?;
        {
            let entries = self.entries();
            if let Some(listing) = entries.listings.get(folder)
                && listing.modified == modified
            {
                return Ok(listing.paths.clone());
            }
        }
        let paths: Arc<[PathBuf]> = fs::read_dir(folder)?
            .flatten()
            .map(|item| item.path())
            .filter(|path| {
                let ending = path.extension();
                ending.is_some_and(|ending| ending == EXECUTABLE || ending == COMPONENT)
            })
            .collect();
        if modified.elapsed().is_ok_and(|age| age > SETTLED) {
            let mut entries = self.entries();
            if entries.listings.len() >= MAX_LISTINGS {
                // Rare, and all of them can be read again.
                entries.listings.clear();
            }
            let listing = Listing {
                modified,
                paths: paths.clone(),
            };
            entries.listings.insert(folder.to_owned(), listing);
        }
        Ok(paths)
    }

    fn load(&self, path: &Path, modified: SystemTime, length: u64) -> Result<Executables, String> {
        loop {
            let mut entries = self.entries();
            if let Some(entry) = entries.by_path.get(path)
                && entry.modified == modified
                && entry.length == length
            {
                return entry.executables.clone();
            }
            if entries.loading.insert(path.to_owned()) {
                break;
            }
            // Somebody else reads it, and what it holds may have to be compiled.
            drop(entries);
            while_others_work(|| self.wait_for(path));
        }
        // Reading and verifying take long for others to wait.
        let _loading = Loading {
            installed: self,
            path,
        };
        let mut uses_libraries = false;
        let executables = executables_of(path, length, &mut |_| {
            uses_libraries = true;
            path.parent().map(libraries::beside).unwrap_or_default()
        });
        let executables = executables
            .map(|found| {
                let kept = found.into_iter().map(|mut executable| {
                    if executable.wants_debug_data {
                        executable.debug_data = debug_data_beside(path);
                    }
                    Arc::new(executable)
                });
                kept.collect::<Executables>()
            })
            .map_err(|error| format!("{error:#}"));
        if uses_libraries && executables.is_err() {
            // What is missing may be there the next time.
            return executables;
        }
        let mut entries = self.entries();
        if entries.bytes + length > self.limit {
            // Rare, and everything in it can be read again.
            entries.by_path.clear();
            entries.bytes = 0;
        }
        entries.bytes += length;
        let entry = Entry {
            modified,
            length,
            executables: executables.clone(),
        };
        entries.by_path.insert(path.to_owned(), entry);
        executables
    }

    /// Until nobody reads that file.
    fn wait_for(&self, path: &Path) {
        let mut entries = self.entries();
        while entries.loading.contains(path) {
            let woken = self.loaded.wait(entries);
            entries = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A file that is being read, until this is dropped.
struct Loading<'a> {
    installed: &'a Installed,
    path: &'a Path,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.installed.entries().loading.remove(self.path);
        self.installed.loaded.notify_all();
    }
}

/// The executable that offers the agent; of several the last one, of modules the one that is an agent.
fn offering<'a, E: AsRef<Executable>>(executables: &'a [E], agent: &str) -> Option<(bool, &'a E)> {
    let offered = executables
        .iter()
        .filter_map(|one| Some((one.as_ref().offers(agent)?, one)));
    offered.max_by_key(|(is_agent, _)| *is_agent)
}

/// What is in a file of the folder of programs. A `.wasm` that is no component of the embedding world is something
/// else, and no error.
fn executables_of(
    path: &Path,
    length: u64,
    find: &mut dyn FnMut(&Program) -> Vec<LibraryFile>,
) -> Result<Vec<Executable>> {
    if !is_component(path) {
        let bytes = read_bounded(path, length, MAX_EXECUTABLE)?;
        return Ok(vec![Executable::linked(bytes, find)?]);
    }
    match carried(&read_bounded(path, length, LARGEST_COMPONENT)?) {
        Err(error) if error.downcast_ref() == Some(&CarriedError::NoComponent) => Ok(Vec::new()),
        found => found,
    }
}

/// What lies beside an executable as its debug data, if it can be read and is not too large.
fn debug_data_beside(path: &Path) -> Option<Value> {
    let path = path.with_extension("dbg");
    let facts = fs::symlink_metadata(&path).ok()?;
    if !facts.is_file() || facts.len() > MAX_DEBUG_DATA {
        return None;
    }
    escjson::parse_plain(&fs::read_to_string(&path).ok()?).ok()
}

fn read_bounded(path: &Path, length: u64, most: u64) -> Result<Vec<u8>> {
    if length > most {
        bail!("it is larger than {most} bytes");
    }
    Ok(fs::read(path)?)
}

/// Puts an executable, or a component that carries some, and the files beside its sources into an app.
pub fn install(place: &Place, name: &str, content: &[u8], path: &Path) -> Result<()> {
    place.create()?;
    let files = path.join(FILES);
    if path.is_dir() && files.is_dir() {
        copy_files(&files, &place.files(), 0)?;
    }
    let ending = match is_component(path) {
        true => COMPONENT,
        false => EXECUTABLE,
    };
    write_atomically(&place.code().join(format!("{name}.{ending}")), content)
}

fn copy_files(from: &Path, to: &Path, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{} is nested too deeply", from.display());
    }
    for item in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let item = item?;
        let kind = item.file_type()?;
        let target = to.join(mix_file_path::encode(&item.file_name().to_string_lossy()));
        if kind.is_dir() {
            copy_files(&item.path(), &target, depth + 1)?;
        } else if kind.is_file() {
            let content = fs::read(item.path())
                .with_context(|| format!("{} cannot be read", item.path().display()))?;
            write_atomically(&target, &content)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::{Digest, compile};
    use mix_compiler::{CompileOptions, SourceFile};
    use sha2::{Digest as _, Sha256};
    use std::sync::Barrier;

    #[test]
    fn a_component_offers_the_programs_that_it_carries() {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place::new(scratch.path(), "local", "app").unwrap();
        place.create().unwrap();
        let program = |texts: &str| {
            let file = SourceFile::new("a.mix", texts.to_owned());
            let compiled = compile(&[file], &CompileOptions::default()).unwrap();
            compiled.executable.expect("a program")
        };
        let agent = |name: &str, value: u32| {
            format!("module {name}()\n  cell output = {value}\nmodule end\n")
        };
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        let first = program(&(agent("a", 1) + &agent("b", 1)));
        let second = program(&(agent("b", 2) + &agent("c", 2)));
        for executable in [&first, &second] {
            mix_bytecode::component::carry(&mut component, executable);
        }
        let file = place.code().join("one.wasm");
        let installed = Installed::new(1 << 20);
        let found = |agent: &str| installed.find(&place, agent).map(|found| found.digest());
        let digest = |bytes: &[u8]| -> Digest { Sha256::digest(bytes).into() };

        fs::write(&file, &component).unwrap();
        assert_eq!(found("a").unwrap(), digest(&first));
        // Of two the last one counts.
        assert_eq!(found("b").unwrap(), digest(&second));
        assert_eq!(found("c").unwrap(), digest(&second));
        let mut names = installed.agents(&place);
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);

        // Other components and modules are somebody else's.
        for other in [&b"\0asm\x0d\0\x01\0"[..], b"\0asm\x01\0\0\0", b"text"] {
            fs::write(&file, other).unwrap();
            assert!(matches!(found("a"), Err(Missing::Agent)));
        }
        // A damaged one may have had the agent.
        let mut bad = b"\0asm\x0d\0\x01\0".to_vec();
        mix_bytecode::component::carry(&mut bad, &first[..first.len() - 1]);
        for damaged in [&bad[..], &component[..component.len() - 1]] {
            fs::write(&file, damaged).unwrap();
            let Err(Missing::Damaged(reason)) = found("a") else {
                panic!("a damaged component is one without agents");
            };
            assert!(reason.starts_with("one.wasm cannot be used: "), "{reason}");
        }
    }

    #[test]
    fn a_file_is_read_once_for_all_who_ask_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place::new(scratch.path(), "local", "app").unwrap();
        place.create().unwrap();
        let file = SourceFile::new("a.mix", "module a()\n  cell output = 1\nmodule end\n");
        let compiled = compile(&[file], &CompileOptions::default()).unwrap();
        let executable = compiled.executable.expect("a program");
        fs::write(place.code().join("one.mixexe"), executable).unwrap();
        let installed = Installed::new(1 << 20);
        let start = Barrier::new(8);
        let found: Vec<_> = std::thread::scope(|scope| {
            let asking = || {
                start.wait();
                installed.find(&place, "a").unwrap()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(asking)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(found.iter().all(|one| Arc::ptr_eq(one, &found[0])));
        assert!(installed.entries().loading.is_empty());
    }

    #[test]
    fn a_listing_follows_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let installed = Installed::new(1 << 20);
        let names = || {
            let paths = installed.list(folder.path()).unwrap();
            let names = paths
                .iter()
                .map(|path| path.file_name().unwrap().to_owned());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        let is_kept = || {
            let entries = installed.entries();
            entries.listings.contains_key(folder.path())
        };
        fs::write(folder.path().join("a.mixexe"), "").unwrap();
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        // Just changed: the next change may leave the same time.
        assert_eq!(names(), ["a.mixexe"]);
        assert!(!is_kept());
        let past = SystemTime::now() - 10 * SETTLED;
        fs::File::open(folder.path())
            .and_then(|folder| folder.set_modified(past))
            .unwrap();
        assert_eq!(names(), ["a.mixexe"]);
        assert!(is_kept());
        fs::write(folder.path().join("b.mixexe"), "").unwrap();
        assert_eq!(names(), ["a.mixexe", "b.mixexe"]);
        fs::remove_file(folder.path().join("a.mixexe")).unwrap();
        assert_eq!(names(), ["b.mixexe"]);
    }
}
