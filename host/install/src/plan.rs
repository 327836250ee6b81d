//! From a package to what will be done: nothing is changed yet.

use crate::apply::Commit;
use crate::assign::{Renamed, assign, write};
use crate::conditions::{Action, Circumstances, Target, target};
use crate::database::{failed, find, fresh_id, id_of, lock, look, newest, open, unpack_image};
use crate::journal::{self, Journal, SetStep, Step};
use crate::report::{AppReport, Report};
use crate::staging::{NEW, Staging, private_folder};
use mix_app_files::{AppFiles, FilePath, FilesError, FolderPath, Item, folder_name};
use mix_package::{
    App, Format, Limits, Package, PackageError, Pattern, RecordSource, Result, Warning,
};
use mix_value::{Map, Ref, Value, msgpack};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most refs that the agent `_rmx_setup` is told.
const MAX_REFS: usize = 100_000;

/// What the caller wants.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Install over what was published later.
    pub force: bool,
    /// Where it is to run.
    pub platform: Option<String>,
    /// What it is to run in.
    pub surface: Option<String>,
    /// Who installs.
    pub actor: String,
}

/// An install that was found possible.
pub struct Plan {
    staging: Staging,
    package: Package<File>,
    targets: BTreeMap<String, Target>,
    steps: Vec<Step>,
    report: Report,
    setup: Setup,
    actor: String,
}

/// What the agents `_rmx_setup` are told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup {
    pub apps: Vec<String>,
    pub params: Map,
}

impl Staging {
    /// Reads the uploaded package and decides what is to be done.
    pub fn plan(self, request: &Request) -> Result<Plan> {
        let upload = self.upload();
        let package = Package::open(File::open(&upload)?, &Limits::PACKAGE)?;
        if package.format == Format::Mastertape {
            let message = "this is a whole workspace; import it";
            return Err(PackageError::new("wrong_kind", message));
        }
        let sha256 = hash(&upload)?;
        let mut plan = Plan {
            report: Report {
                format: package.format,
                id: package.id.clone(),
                apps: Vec::new(),
                navigate: package.navigate.clone(),
                warnings: package.warnings.clone(),
            },
            staging: self,
            package,
            targets: BTreeMap::new(),
            steps: Vec::new(),
            setup: Setup::default(),
            actor: request.actor.clone(),
        };
        plan.find_targets(request)?;
        plan.write_records()?;
        for app in plan.package.apps.clone() {
            plan.files(&app, request, &sha256)?;
        }
        plan.setup();
        Ok(plan)
    }
}

impl Plan {
    /// What will be done.
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn find_targets(&mut self, request: &Request) -> Result<()> {
        let given = Circumstances {
            force: request.force,
            platform: request.platform.as_deref(),
            surface: request.surface.as_deref(),
        };
        let workspace = self.staging.workspace.clone();
        for app in self.package.apps.clone() {
            let found = target(&workspace, self.package.format, &app, &given)?;
            self.add(found);
        }
        // Records for apps that the package does not bring itself.
        let others: Vec<String> = self
            .package
            .records
            .iter()
            .map(|set| set.app.clone())
            .collect();
        for name in others {
            if self.targets.contains_key(&name) {
                continue;
            }
            let folder = workspace.join(folder_name(&name));
            if !folder.is_dir() {
                self.report.warnings.push(Warning {
                    code: "no_such_app",
                    entry: None,
                    message: format!("the records for app {name} are left out: it is not there"),
                });
                continue;
            }
            let database = look(&folder)?;
            self.add(Target {
                name,
                folder,
                action: Action::Update,
                database,
                metadata: None,
            });
        }
        Ok(())
    }

    fn add(&mut self, target: Target) {
        let (action, reason) = match target.action {
            Action::Create => ("created", None),
            Action::Fresh | Action::Replace => ("replaced", None),
            Action::Update => ("updated", None),
            Action::Skip(reason) => ("skipped", Some(reason)),
        };
        self.report.apps.push(AppReport {
            name: target.name.clone(),
            action,
            reason,
            ..AppReport::default()
        });
        if reason.is_none() {
            self.steps.push(Step {
                app: target.name.clone(),
                folder: folder_name(&target.name),
                is_whole: matches!(target.action, Action::Create | Action::Fresh),
                sets: Vec::new(),
                metadata: None,
                install: None,
                replaces_code: target.action == Action::Replace,
                deletions: Vec::new(),
                files: Vec::new(),
                has_code: false,
            });
        }
        self.targets.insert(target.name.clone(), target);
    }

    /// Decides about all records, then writes them under their ids.
    fn write_records(&mut self) -> Result<()> {
        let folder = self.staging.folder.join("records");
        private_folder(&folder)?;
        let sets = self.package.records.clone();
        let checks = self.package.checks.clone();
        let mut renamed = Renamed::default();
        let mut assigned = BTreeMap::new();
        for (number, set) in sets.iter().enumerate() {
            let Some(target) = self.targets.get(&set.app) else {
                continue;
            };
            if matches!(target.action, Action::Skip(_)) {
                continue;
            }
            if matches!(set.source, RecordSource::Image(_)) {
                if target.action != Action::Create && target.action != Action::Fresh {
                    let message = "an image of a database is for a new app only";
                    return Err(PackageError::bad_manifest("$", message).found(set.app.as_str()));
                }
                // Verified by being unpacked.
                let folder = folder_name(&set.app);
                let aside = self.staging.folder.join("image");
                let new = self.staging.folder.join(NEW).join(&folder);
                private_folder(&new)?;
                unpack_image(&mut self.package, set, &aside, &new)?;
                continue;
            }
            let done = assign(
                &mut self.package,
                number,
                set,
                target,
                &checks,
                &mut renamed,
            )?;
            assigned.insert(number, done);
        }
        for (number, set) in sets.iter().enumerate() {
            let Some(done) = assigned.get(&number) else {
                continue;
            };
            let batches = write(&mut self.package, number, set, done, &renamed, &folder)?;
            let deleted = self.deleted_by(set)?;
            if let Some(report) = self.report.apps.iter_mut().find(|app| app.name == set.app) {
                report.saved += done.counts.saved;
                report.replaced += done.counts.replaced;
                report.skipped += done.counts.skipped;
                report.deleted += deleted;
            }
            if let Some(step) = self.steps.iter_mut().find(|step| step.app == set.app) {
                step.sets.push(SetStep {
                    delete: set
                        .delete
                        .as_ref()
                        .filter(|_| !step.is_whole)
                        .map(|query| query.to_value()),
                    options: set
                        .options
                        .iter()
                        // Ids are decided.
                        .filter(|name| !name.eq_ignore_ascii_case("DontUseId"))
                        .cloned()
                        .collect(),
                    batches,
                });
            }
        }
        Ok(())
    }

    fn deleted_by(&self, set: &mix_package::RecordSet) -> Result<u64> {
        let target = self.targets.get(&set.app);
        let database = target.filter(|target| target.action == Action::Update);
        let (Some(database), Some(query)) = (
            database.and_then(|target| target.database.as_ref()),
            &set.delete,
        ) else {
            return Ok(0);
        };
        let mut count = 0;
        find(database, query, Map::new(), &mut |_| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// Files, metadata and the record about the install.
    fn files(&mut self, app: &App, request: &Request, sha256: &str) -> Result<()> {
        let Some(target) = self.targets.get(&app.name) else {
            return Ok(());
        };
        let Some(step) = self.steps.iter_mut().find(|step| step.app == app.name) else {
            return Ok(());
        };
        step.files = app.files.iter().map(|file| file.path.text()).collect();
        step.has_code = app.has_code;
        if !step.is_whole {
            step.deletions = app
                .deletions
                .iter()
                .map(|pattern| pattern.text().to_owned())
                .collect();
        }
        let id = |stored: Option<&Map>| -> Result<Value> {
            let known: Option<Ref> = stored.and_then(id_of).filter(|_| !step.is_whole);
            Ok(Value::Ref(match known {
                Some(id) => id,
                None => fresh_id()?,
            }))
        };
        step.metadata = match &app.metadata {
            None => None,
            Some(metadata) => {
                let mut record = mix_package::portable(metadata.clone());
                record.insert("_rmx_id".into(), id(target.metadata.as_ref())?);
                Some(record)
            }
        };
        let installed = match &target.database {
            Some(database) => newest(database, "install")?,
            None => None,
        };
        let text = |text: &str| Value::from(text);
        let manifest = |name: &str| {
            self.package
                .manifest
                .get(name)
                .cloned()
                .unwrap_or(Value::Null)
        };
        step.install = Some(Map::from([
            ("_rmx_id".into(), id(installed.as_ref())?),
            ("_rmx_type".into(), text("install")),
            (
                "id".into(),
                self.package.id.as_deref().map_or(Value::Null, text),
            ),
            ("version".into(), text(self.package.format.name())),
            ("name".into(), text(&app.name)),
            ("created".into(), manifest("created")),
            ("metadata".into(), manifest("metadata")),
            ("manifest".into(), Value::Map(self.package.manifest.clone())),
            ("sha256".into(), text(sha256)),
            ("force".into(), Value::Bool(request.force)),
        ]));
        let written = app.files.len() as u64;
        let removed = if step.is_whole {
            0
        } else {
            let files = self.staging.storage.files(&target.folder);
            let going = doomed(&files, step)?;
            if let Some(there) = obstacle(&files, step, &going)? {
                let message = "what is there leaves no place for a file of the package";
                return Err(PackageError::new("exists", message)
                    .at(&there)
                    .found(app.name.as_str()));
            }
            going.len() as u64
        };
        if let Some(report) = self
            .report
            .apps
            .iter_mut()
            .find(|report| report.name == app.name)
        {
            (report.written, report.removed) = (written, removed);
        }
        Ok(())
    }

    /// What `_rmx_setup` is told.
    fn setup(&mut self) {
        let done = |app: &&AppReport| app.action != "skipped";
        let names = |apps: Vec<&AppReport>| {
            Value::Array(
                apps.iter()
                    .map(|app| Value::from(app.name.as_str()))
                    .collect(),
            )
        };
        let installed: Vec<&AppReport> = self.report.apps.iter().filter(done).collect();
        let created = installed
            .iter()
            .copied()
            .filter(|app| app.action == "created")
            .collect();
        let mut refs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut left = MAX_REFS;
        for step in &self.steps {
            let of_app = refs.entry(step.app.clone()).or_default();
            for name in step.sets.iter().flat_map(|set| &set.batches) {
                let Ok(bytes) = fs::read(self.staging.folder.join("records").join(name)) else {
                    continue;
                };
                if let Ok(Value::Array(records)) = msgpack::decode(&bytes) {
                    let ids = records
                        .iter()
                        .filter_map(|record| record.get("_rmx_id").cloned());
                    let before = of_app.len();
                    of_app.extend(ids.take(left));
                    left -= of_app.len() - before;
                }
            }
        }
        let records = refs
            .into_iter()
            .map(|(app, refs)| (app, Value::Array(refs)));
        let metadata = self
            .package
            .manifest
            .get("metadata")
            .cloned()
            .unwrap_or(Value::Null);
        self.setup = Setup {
            apps: self
                .package
                .setup
                .iter()
                .filter(|app| self.is_there(app))
                .cloned()
                .collect(),
            params: Map::from([
                ("apps".into(), names(installed)),
                ("created".into(), names(created)),
                ("records".into(), Value::map(records)),
                ("metadata".into(), metadata),
            ]),
        };
    }

    /// Whether an app is there when the install is done.
    fn is_there(&self, app: &str) -> bool {
        let target = self.targets.get(app).map(|target| &target.folder);
        let folder = target.cloned();
        folder
            .unwrap_or_else(|| self.staging.workspace.join(folder_name(app)))
            .is_dir()
            || self.steps.iter().any(|step| step.app == app)
    }

    /// Writes new apps and files completely and gets ready for the point of no return.
    pub fn stage(mut self) -> Result<Commit> {
        let apps = self.package.apps.clone();
        for number in 0..self.steps.len() {
            let step = self.steps[number].clone();
            let base = if step.is_whole {
                self.staging.folder.join(NEW).join(&step.folder)
            } else {
                self.staging.folder.join("changed").join(&step.folder)
            };
            private_folder(&base)?;
            if step.is_whole {
                private_folder(&base.join("files").join("code"))?;
                self.build(&step, &base)?;
            }
            let files = AppFiles::new(base.join("files"));
            if let Some(app) = apps.iter().find(|app| app.name == step.app) {
                for file in &app.files {
                    let mut draft = files.draft().map_err(files_failed)?;
                    self.package.write_file(file, &mut draft)?;
                    files.put(&file.path, draft, true).map_err(files_failed)?;
                }
            }
        }
        let journal = Journal {
            committing: false,
            actor: self.actor,
            steps: self.steps,
        };
        journal::write(&self.staging.folder, &journal)?;
        // Everything in it is staged.
        fs::remove_file(self.staging.upload())?;
        Ok(Commit::new(self.staging, journal, self.report, self.setup))
    }

    /// The records of a new app.
    fn build(&self, step: &Step, base: &Path) -> Result<()> {
        let _lock = lock(base)?;
        let database = open(base, &step.app)?;
        crate::apply::save(&database, step, &self.staging.folder, &self.actor)?;
        database.close().map_err(failed)
    }
}

/// Files that an update removes: those that match, but for those that come.
pub(crate) fn doomed(files: &AppFiles, step: &Step) -> Result<Vec<FilePath>> {
    let patterns: Vec<Pattern> = step
        .deletions
        .iter()
        .map(|text| Pattern::parse(text, "$"))
        .collect::<Result<_>>()?;
    if patterns.is_empty() && !step.replaces_code {
        return Ok(Vec::new());
    }
    let coming: HashSet<&str> = step.files.iter().map(String::as_str).collect();
    let replaced = |path: &str| {
        let folders = ["/code/", "/public/_rmx_resources/", "/_rmx_resources/"];
        step.replaces_code && folders.iter().any(|folder| path.starts_with(folder))
    };
    let all = FolderPath::parse("/").map_err(|bad| files_failed(bad.into()))?;
    let listing = files
        .list(&all, true, None, usize::MAX)
        .map_err(files_failed)?;
    let found = listing.items.into_iter().filter_map(|item| match item {
        Item::File(path, _) => Some(path),
        Item::Folder(_) => None,
    });
    Ok(found
        .filter(|path| {
            let text = path.text();
            !coming.contains(text.as_str())
                && (replaced(&text) || patterns.iter().any(|pattern| pattern.matches(&text)))
        })
        .collect())
}

/// A stored file that stays where a folder of a coming file must be, or below a coming file.
fn obstacle(files: &AppFiles, step: &Step, going: &[FilePath]) -> Result<Option<String>> {
    let going: HashSet<String> = going.iter().map(FilePath::text).collect();
    let mut looked_at = HashSet::new();
    for text in &step.files {
        for (end, _) in text.match_indices('/').skip(1) {
            let parent = &text[..end];
            if going.contains(parent) || !looked_at.insert(parent) {
                continue;
            }
            let path = FilePath::parse(parent).map_err(|bad| files_failed(bad.into()))?;
            if files.disk().stat(&path).is_ok() {
                return Ok(Some(parent.to_owned()));
            }
        }
        let below =
            FolderPath::parse(&format!("{text}/")).map_err(|bad| files_failed(bad.into()))?;
        let listing = files.disk().list(&below, true, None, usize::MAX);
        let stays = |path: &String| !going.contains(path);
        let items = listing.map_err(files_failed)?.items;
        if let Some(path) = items.iter().map(Item::path).find(stays) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

pub(crate) fn files_failed(error: FilesError) -> PackageError {
    if error.is_full() {
        return PackageError::new("disk_full", "the disk is full");
    }
    if let FilesError::Store(cause) = &error {
        tracing::error!(%cause, "the store of files fails");
        return PackageError::new("upstream", error.to_string());
    }
    PackageError::new("internal", error.to_string())
}

fn hash(path: &PathBuf) -> Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    io::copy(&mut file, &mut HashWriter(&mut hash))?;
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
