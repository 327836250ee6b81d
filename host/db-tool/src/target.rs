//! Which database, and how it is opened.

use std::path::{Path, PathBuf};

use mix_file_path::folder_name;
use mix_store::{Database, OpenOptions};

use crate::args::DbArgs;
use crate::failure::Failure;
use crate::say;

/// The folder of an app, and how its database is opened.
pub(crate) struct Target {
    path: PathBuf,
    name: Option<String>,
    read_only: bool,
    no_lock: bool,
    wait: Option<u64>,
}

impl Target {
    pub fn new(args: &DbArgs) -> Result<Target, Failure> {
        let (path, name) = match (&args.path, &args.ws_dir, &args.app) {
            // The parser of arguments does not see it if one stands before the command and one behind it.
            (Some(_), _, Some(_)) => {
                return Err(Failure::usage("--path cannot be used with --app"));
            }
            (Some(path), _, None) => (path.clone(), None),
            (None, Some(ws_dir), Some(app)) => {
                let folder = ws_dir.join(folder(&args.ws)?).join(folder(app)?);
                (folder, Some(app.clone()))
            }
            // A query can be parsed without a database.
            (None, _, _) if matches!(args.action, crate::args::Action::Parse { .. }) => {
                (PathBuf::new(), None)
            }
            _ => return Err(Failure::usage("db needs --path, or --ws-dir and --app")),
        };
        Ok(Target {
            path,
            name,
            read_only: args.read_only,
            no_lock: args.no_lock,
            wait: args
                .wait
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// The folder of the app.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions {
            name: self.name.clone(),
            program: "mixer db".into(),
            os_lock_held: self.no_lock,
            create: false,
            ..OpenOptions::default()
        };
        if let Some(wait) = self.wait {
            (options.wait, options.lock_wait) = (wait, wait);
        }
        options
    }

    /// Opens it for reading only, without any lock. Whoever says so gets what is intact of a damaged one.
    pub fn read(&self) -> Result<Database, Failure> {
        let options = OpenOptions {
            read_only: true,
            damaged: self.read_only,
            ..self.options()
        };
        self.open(options)
    }

    /// Opens it for writing.
    pub fn write(&self) -> Result<Database, Failure> {
        self.refuse_if_read_only()?;
        self.open(self.options())
    }

    /// One in memory, if there is none: what cannot be saved there leaves none behind.
    pub fn rehearsal(&self) -> Result<Option<Database>, Failure> {
        self.refuse_if_read_only()?;
        let is_there = ["v2", "v2.new", "v2.old"]
            .iter()
            .any(|name| self.path.join(name).exists());
        match is_there {
            true => Ok(None),
            false => Ok(Some(Database::in_memory(OpenOptions::default())?)),
        }
    }

    /// Opens it for writing; a new one if there is none.
    pub fn create(&self) -> Result<Database, Failure> {
        self.refuse_if_read_only()?;
        let options = OpenOptions {
            create: true,
            ..self.options()
        };
        self.open(options)
    }

    pub fn refuse_if_read_only(&self) -> Result<(), Failure> {
        if self.read_only {
            return Err(Failure::usage("--read-only, but this command writes"));
        }
        Ok(())
    }

    fn open(&self, options: OpenOptions) -> Result<Database, Failure> {
        let database = Database::open(&self.path, options)
            .map_err(|error| Failure::opening(&self.path, error))?;
        for warning in database.take_warnings() {
            say(format_args!("warning: {warning}"));
        }
        Ok(database)
    }
}

/// The folder of an app or workspace.
fn folder(name: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return Err(Failure::usage("the name of an app or workspace is empty"));
    }
    Ok(folder_name(name))
}
