//! Packages installed into workspaces on disk.

use mix_app_files::{AppFiles, FilePath, Storage};
use mix_install::{Request, Staging, Turn, recover};
use mix_package::{PackageError, Packer};
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions};
use mix_value::{Map, Value};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

#[path = "installing/interrupted.rs"]
mod interrupted;

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        Site {
            folder: tempfile::tempdir().expect("a scratch folder"),
        }
    }

    fn workspace(&self) -> PathBuf {
        let workspace = self.folder.path().join("acme");
        fs::create_dir_all(&workspace).expect("a folder");
        workspace
    }

    fn app(&self, name: &str) -> PathBuf {
        self.workspace().join(name)
    }

    fn stage(&self, entries: &[(&str, &[u8])]) -> Staging {
        let staging = Staging::new(&self.workspace(), Storage::default()).expect("staging");
        let mut packer = Packer::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            packer.add(name, &mut &content[..]).expect("packed");
        }
        let bytes = packer.finish().expect("packed").into_inner();
        fs::write(staging.upload(), bytes).expect("uploaded");
        staging
    }

    fn install_with(
        &self,
        entries: &[(&str, &[u8])],
        request: &Request,
    ) -> Result<Value, PackageError> {
        let _turn = Turn::take(&self.workspace())?;
        let commit = self.stage(entries).plan(request)?.stage()?;
        let changes = commit.changes();
        changes.begin()?;
        for app in changes.apps() {
            changes.apply(&app)?;
        }
        let report = commit.report().to_value(Value::Null);
        changes.finish()?;
        Ok(report)
    }

    fn install(&self, entries: &[(&str, &[u8])]) -> Result<Value, PackageError> {
        self.install_with(entries, &Request::default())
    }

    fn rows(&self, app: &str, query: &str) -> Vec<Map> {
        let options = OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        };
        let database = Database::open(&self.app(app), options).expect("a database");
        let query = Pipeline::parse(query).expect("a query");
        let rows = database
            .query(&query, &QueryOptions::default())
            .expect("rows");
        rows.map(
            |row| match row.expect("a row").into_value().expect("a value") {
                Value::Map(row) => row,
                other => panic!("{other:?}"),
            },
        )
        .collect()
    }

    fn file(&self, app: &str, path: &str) -> Option<Vec<u8>> {
        let files = AppFiles::new(self.app(app).join("files"));
        let path = FilePath::parse(path).expect("a path");
        let (mut file, _) = files.disk().open(&path).ok()?;
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut content).expect("content");
        Some(content)
    }

    /// Everything below the workspace but the turn's lock.
    fn everything(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<String>) {
            for item in fs::read_dir(folder).expect("a folder").flatten() {
                if item.path().is_dir() {
                    walk(&item.path(), found);
                } else if item.file_name() != "LOCK" {
                    found.push(format!("{:?}", item.path()));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.workspace(), &mut found);
        found.sort();
        found
    }
}

fn count(report: &Value, app: usize, kind: &str, name: &str) -> i64 {
    let apps = report.get("apps").and_then(Value::as_array).expect("apps");
    let number = apps[app].get(kind).and_then(|kind| kind.get(name));
    number.and_then(Value::as_int).expect("a count")
}

fn action(report: &Value, app: usize) -> String {
    let apps = report.get("apps").and_then(Value::as_array).expect("apps");
    apps[app]
        .get("action")
        .and_then(Value::as_str)
        .expect("an action")
        .to_owned()
}

fn manifest(id: &str, updates: &str) -> String {
    format!(
        r#"{{"version":"2.1","id":"{id}","updates":"{updates}","name":"demo","app":{{"recordsets":["rs"],"filesets":["fs"],
        "metadata":{{"duplicate_checks":[{{"entities":[{{"entity":"city","fields":["name"],"rule":"replace"}},{{"entity":"river","fields":["name"]}}]}}]}}}}}}"#
    )
}

const RS: (&str, &[u8]) = (
    "recordsets/rs/rsMeta.json",
    br#"{"representationType":"JSON","onUpdateDelete":"kind == \"temporary\""}"#,
);
const FS: (&str, &[u8]) = (
    "filesets/fs/fsMeta.json",
    br#"{"onUpdateDelete":["/data/"]}"#,
);

#[test]
fn create_update_and_start_anew() {
    let site = Site::new();
    let any = manifest("line", "*");
    let first: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", any.as_bytes()),
        ("apps/demo/appMeta.json", br#"{"display_name":"One"}"#),
        RS,
        (
            "recordsets/rs/a.json",
            br#"[{"_rmx_id":{"_rmx_type":"{tag}ref","_rmx_value":"ulm"},"entity":"city","name":"Ulm","n":1},
                {"entity":"river","name":"Donau","at":{"_rmx_type":"{tag}ref","_rmx_value":"ulm"}},{"kind":"temporary"}]"#,
        ),
        FS,
        ("filesets/fs/root/data/a.txt", b"one"),
        ("filesets/fs/root/public/b.txt", b"two"),
    ];
    let report = site.install(&first).expect("installed");
    assert_eq!(action(&report, 0), "created");
    assert_eq!(
        (
            count(&report, 0, "records", "saved"),
            count(&report, 0, "files", "written")
        ),
        (3, 2)
    );
    let city = site.rows("demo", "entity == \"city\"").remove(0);
    let river = site.rows("demo", "entity == \"river\"").remove(0);
    assert_eq!(river["at"], city["_rmx_id"]);
    assert_eq!(
        site.rows("demo", "_rmx_type == \"app\"")[0]["display_name"],
        Value::from("One")
    );
    assert_eq!(
        site.rows("demo", "_rmx_type == \"install\"")[0]["id"],
        Value::from("line")
    );
    assert_eq!(
        site.file("demo", "/data/a.txt").as_deref(),
        Some(&b"one"[..])
    );

    // The same line again: duplicates are met, what is temporary and what matches goes.
    let only = manifest("other", "line");
    let second: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", only.as_bytes()),
        ("apps/demo/appMeta.json", br#"{"display_name":"Two"}"#),
        RS,
        (
            "recordsets/rs/a.json",
            br#"[{"_rmx_id":{"_rmx_type":"{tag}ref","_rmx_value":"x"},"entity":"city","name":"Ulm","n":2},
                {"entity":"river","name":"Donau"},{"entity":"river","name":"Iller","at":{"_rmx_type":"{tag}ref","_rmx_value":"x"}}]"#,
        ),
        FS,
        ("filesets/fs/root/data/c.txt", b"three"),
    ];
    let dry = Request::default();
    let plan = site.stage(&second).plan(&dry).expect("a plan");
    let dry = plan.report().to_value(Value::Null);
    drop(plan);
    let report = site.install(&second).expect("installed");
    assert_eq!(dry, report);
    assert_eq!(action(&report, 0), "updated");
    for (name, expected) in [
        ("saved", 1),
        ("replaced", 1),
        ("skipped", 1),
        ("deleted", 1),
    ] {
        assert_eq!(count(&report, 0, "records", name), expected, "{name}");
    }
    assert_eq!(
        (
            count(&report, 0, "files", "written"),
            count(&report, 0, "files", "deleted")
        ),
        (1, 1)
    );
    let cities = site.rows("demo", "entity == \"city\"");
    assert_eq!(
        (cities.len(), &cities[0]["n"], &cities[0]["_rmx_id"]),
        (1, &Value::Int(2), &city["_rmx_id"])
    );
    let rivers = site.rows("demo", "entity == \"river\" | orderAsc(name)");
    assert_eq!((rivers.len(), &rivers[1]["at"]), (2, &city["_rmx_id"]));
    assert!(site.rows("demo", "kind == \"temporary\"").is_empty());
    assert_eq!(site.file("demo", "/data/a.txt"), None);
    assert_eq!(
        site.file("demo", "/public/b.txt").as_deref(),
        Some(&b"two"[..])
    );
    assert_eq!(
        site.file("demo", "/data/c.txt").as_deref(),
        Some(&b"three"[..])
    );
    let apps = site.rows("demo", "_rmx_type == \"app\"");
    assert_eq!(
        (apps.len(), &apps[0]["display_name"]),
        (1, &Value::from("Two"))
    );

    // A clean state.
    let fresh = manifest("third", "");
    let third: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", fresh.as_bytes()),
        RS,
        (
            "recordsets/rs/a.json",
            br#"[{"entity":"lake","name":"Bodensee"}]"#,
        ),
        FS,
    ];
    let report = site.install(&third).expect("installed");
    assert_eq!(action(&report, 0), "replaced");
    assert!(site.rows("demo", "entity == \"city\"").is_empty());
    assert_eq!(site.rows("demo", "entity == \"lake\"").len(), 1);
    assert_eq!(site.file("demo", "/public/b.txt"), None);
    assert!(
        site.everything()
            .iter()
            .all(|path| !path.contains(".install"))
    );
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let site = Site::new();
    let newer = br#"{"last_published_at":2000}"#;
    let any = manifest("line", "*");
    let good: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", any.as_bytes()),
        ("apps/demo/appMeta.json", newer),
        RS,
        FS,
        ("filesets/fs/root/data/a.txt", b"one"),
    ];
    let with = |manifest: &'static str, more: &[(&'static str, &'static [u8])]| {
        let mut entries = good.clone();
        entries[0].1 = manifest.as_bytes();
        entries.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        entries.extend_from_slice(more);
        entries
    };
    const UPDATE: &str = r#"{"version":"2.1","id":"x","updates":"**","name":"demo","app":{"recordsets":["rs"],"filesets":["fs"]}}"#;
    const OTHER: &str = r#"{"version":"2.1","id":"x","updates":"nobody","name":"demo","app":{"recordsets":["rs"],"filesets":["fs"]}}"#;
    const PHONE: &str = r#"{"version":"2.1","id":"x","updates":"*","name":"demo","app":{"recordsets":["rs"],"filesets":["fs"],"platforms":["phone"]}}"#;
    const ANY: &str = r#"{"version":"2.1","id":"x","updates":"*","name":"demo","app":{"recordsets":["rs"],"filesets":["fs"]}}"#;
    let code = |entries: &[(&str, &[u8])], request: &Request| {
        let before = site.everything();
        let error = site.install_with(entries, request).expect_err("refused");
        assert_eq!(site.everything(), before, "{}", error.code);
        error.code
    };
    let plain = Request::default();
    assert_eq!(code(&with(UPDATE, &[]), &plain), "app_missing");
    site.install(&good).expect("installed");
    let web = Request {
        platform: Some("web".into()),
        ..Request::default()
    };
    assert_eq!(code(&with(OTHER, &[]), &plain), "wrong_base");
    assert_eq!(code(&with(PHONE, &[]), &web), "not_for_platform");
    assert_eq!(
        code(
            &with(
                ANY,
                &[("apps/demo/appMeta.json", br#"{"last_published_at":1999}"#)]
            ),
            &plain
        ),
        "newer_installed"
    );
    assert_eq!(
        code(
            &with(
                ANY,
                &[(
                    "recordsets/rs/a.json",
                    br#"[{"a":{"_rmx_type":"{tag}ref","_rmx_value":"gone"}}]"#
                )]
            ),
            &plain
        ),
        "bad_record"
    );
    assert_eq!(
        code(&with(ANY, &[("recordsets/rs/a.json", b"[")]), &plain),
        "corrupt_entry"
    );
    let force = Request {
        force: true,
        ..Request::default()
    };
    site.install_with(
        &with(
            ANY,
            &[("apps/demo/appMeta.json", br#"{"last_published_at":1999}"#)],
        ),
        &force,
    )
    .expect("forced");
}

#[test]
fn version_1_keeps_records_and_other_files() {
    let site = Site::new();
    let v1 = |flag: bool| format!(r#"{{"apps":{{"demo":{flag}}},"records":{{}}}}"#);
    let app = b"\x92\x82\xa9_rmx_type\xa3app\xa4name\xa1?\x81\xa1n\x01";
    let (create, replace) = (v1(false), v1(true));
    let entries = |manifest| -> Vec<(&str, &[u8])> {
        vec![
            ("manifest.json", manifest),
            ("apps/demo.mp", &app[..]),
            ("apps/demo/libraries/main.WASM", b"\0asm"),
        ]
    };
    let report = site
        .install(&entries(create.as_bytes()))
        .expect("installed");
    assert_eq!(action(&report, 0), "created");
    assert!(site.file("demo", "/code/legacy/main.WASM").is_some());
    assert_eq!(
        report
            .get("warnings")
            .and_then(Value::as_array)
            .map(<[_]>::len),
        Some(1)
    );
    let files = AppFiles::new(site.app("demo").join("files"));
    for path in ["/notes.txt", "/code/extra.txt"] {
        files
            .write(&FilePath::parse(path).expect("a path"), b"x")
            .expect("written");
    }
    let report = site.install(&entries(create.as_bytes())).expect("skipped");
    assert_eq!(action(&report, 0), "skipped");
    let report = site
        .install(&entries(replace.as_bytes()))
        .expect("replaced");
    assert_eq!(
        (
            action(&report, 0).as_str(),
            count(&report, 0, "files", "deleted")
        ),
        ("replaced", 1)
    );
    assert!(
        site.file("demo", "/notes.txt").is_some() && site.file("demo", "/code/extra.txt").is_none()
    );
    assert_eq!(site.rows("demo", "n == 1").len(), 2);
    let apps = site.rows("demo", "_rmx_type == \"app\"");
    assert_eq!((apps.len(), &apps[0]["name"]), (1, &Value::from("demo")));
}

#[test]
fn a_workspace_travels() {
    let site = Site::new();
    let any = manifest("line", "*");
    let entries: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", any.as_bytes()),
        ("apps/demo/appMeta.json", br#"{"display_name":"One"}"#),
        RS,
        (
            "recordsets/rs/a.json",
            br#"[{"entity":"city","name":"Ulm"}]"#,
        ),
        FS,
        ("filesets/fs/root/data/a.txt", b"one"),
        ("filesets/fs/root/ephemeral/x", b"gone"),
    ];
    site.install(&entries).expect("installed");
    let before = site.rows("demo", "entity == \"city\"");
    let scratch = tempfile::tempdir().expect("a folder");
    for history in [true, false] {
        let tape = scratch.path().join(format!("{history}.remix"));
        let work = tempfile::tempdir().expect("a folder");
        let about = mix_package::Tape {
            workspace: "acme".into(),
            grants: vec![("all-users".into(), "runner".into(), "db/demo".into())],
            auth_configs: ["corp", "corp", "other"]
                .map(|name| Value::map([("name", Value::from(name))]))
                .to_vec(),
            ..mix_package::Tape::default()
        };
        let out = fs::File::create_new(&tape).expect("a file");
        mix_install::export(
            &site.workspace(),
            &Storage::default(),
            &about,
            "2024-01-01T00:00:00.000Z",
            history,
            work.path(),
            out,
        )
        .expect("exported");
        let target = Site::new();
        let grant = |_: &mix_package::Tape, grant: &(String, String, String)| Some(grant.clone());
        let is_corp = |config: &Map| config.get("name") == Some(&Value::from("corp"));
        let auth_config = |config: &Map| is_corp(config).then(|| config.clone());
        let keep = mix_install::Keep {
            grant: &grant,
            auth_config: &auth_config,
        };
        let done = mix_install::import(
            &tape,
            &target.workspace(),
            Some("ada@example.com"),
            "acme",
            &keep,
        )
        .expect("imported");
        assert_eq!((done.apps, done.grants), (vec!["demo".to_owned()], 1));
        assert_eq!(
            target.rows("demo", "entity == \"city\""),
            before,
            "{history}"
        );
        assert_eq!(
            target.file("demo", "/data/a.txt").as_deref(),
            Some(&b"one"[..])
        );
        assert_eq!(target.file("demo", "/ephemeral/x"), None);
        assert_eq!(target.rows("_rmx_admin", "_rmx_type == \"grant\"").len(), 1);
        // One of each name.
        assert_eq!((done.auth_configs, done.dropped_auth_configs), (1, 2));
        let configs = target.rows("_rmx_admin", "_rmx_type == \"auth_config\"");
        assert_eq!(
            (configs.len(), &configs[0]["name"]),
            (1, &Value::from("corp"))
        );
        let owner = &target.rows("_rmx_admin", "_rmx_type == \"workspace\"")[0]["owner"];
        assert_eq!(owner, &Value::from("ada@example.com"));
    }
}

/// What an update cannot make room for is refused before anything is changed.
#[test]
fn a_file_does_not_take_the_place_of_a_folder() {
    let site = Site::new();
    let package = |sets: &'static str| -> Vec<(&'static str, &'static [u8])> {
        vec![
            (
                "manifest_v2.json",
                br#"{"version":"2.1","id":"line","updates":"*","name":"demo","app":{"filesets":["fs"]}}"#,
            ),
            ("filesets/fs/fsMeta.json", sets.as_bytes()),
        ]
    };
    let with = |sets, files: &[(&'static str, &'static [u8])]| {
        let mut entries = package(sets);
        entries.extend_from_slice(files);
        entries
    };
    let first = with(
        "{}",
        &[
            ("filesets/fs/root/a", b"a file"),
            ("filesets/fs/root/b/c", b"below a folder"),
        ],
    );
    site.install(&first).expect("installed");
    let before = site.everything();
    let files: [(&str, &[u8]); 2] = [
        ("filesets/fs/root/0", b"first of all"),
        ("filesets/fs/root/a/x", b"below the file"),
    ];
    let error = site.install(&with("{}", &files)).expect_err("refused");
    assert_eq!((error.code, error.status()), ("exists", 409));
    assert_eq!(error.entry.as_deref(), Some("/a"));
    let error = site
        .install(&with("{}", &[("filesets/fs/root/b", b"the folder")]))
        .expect_err("refused");
    assert_eq!(error.entry.as_deref(), Some("/b/c"));
    assert_eq!(site.everything(), before);
    // What goes first is not in the way.
    let sets = r#"{"onUpdateDelete":["/a","/b/"]}"#;
    let mut entries = with(sets, &files);
    entries.push(("filesets/fs/root/b", b"the folder"));
    site.install(&entries).expect("updated");
    assert_eq!(
        site.file("demo", "/a/x").as_deref(),
        Some(&b"below the file"[..])
    );
    assert_eq!(site.file("demo", "/b").as_deref(), Some(&b"the folder"[..]));
    // Two that come cannot be both.
    let both: [(&str, &[u8]); 3] = [
        ("filesets/other/fsMeta.json", b"{}"),
        ("filesets/fs/root/d", b"a file"),
        ("filesets/other/root/d/e", b"below it"),
    ];
    let mut entries = with("{}", &both);
    entries[0].1 = br#"{"version":"2.1","id":"line","updates":"*","name":"demo","app":{"filesets":["fs","other"]}}"#;
    let error = site.install(&entries).expect_err("refused");
    assert_eq!(error.code, "unsafe_entry");
}

/// Of several rules for an entity the first one is asked only.
#[test]
fn the_first_rule_for_duplicates_applies() {
    let site = Site::new();
    let package = |manifest: &'static str, records: &'static str| -> Vec<(&str, &[u8])> {
        vec![
            ("manifest_v2.json", manifest.as_bytes()),
            ("recordsets/rs/rsMeta.json", b"{}"),
            ("recordsets/rs/a.json", records.as_bytes()),
        ]
    };
    const RULES: &str = r#"{"version":"2.1","id":"line","updates":"*","name":"demo","app":{"recordsets":["rs"],"metadata":{"duplicate_checks":[
        {"entities":[{"entity":"city","fields":[]},{"entity":"city","fields":["name"],"rule":"replace"}]}]}}}"#;
    let records = r#"[{"entity":"city","name":"Ulm"}]"#;
    site.install(&package(RULES, records)).expect("installed");
    let report = site.install(&package(RULES, records)).expect("updated");
    assert_eq!(count(&report, 0, "records", "saved"), 1);
    assert_eq!(site.rows("demo", "entity == \"city\"").len(), 2);
}
