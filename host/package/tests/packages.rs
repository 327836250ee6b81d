//! Whole packages: what is accepted, and what every part that is wrong is called.

use mix_package::{Format, Limits, Package, PackageError, Packer, RecordSource, Rule};
use mix_value::{Map, Value, msgpack};
use sha2::{Digest, Sha256};
use std::io::Cursor;

type Opened = Result<Package<Cursor<Vec<u8>>>, PackageError>;

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packer = Packer::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        packer.add(name, &mut &content[..]).expect("packed");
    }
    packer.finish().expect("packed").into_inner()
}

fn open(entries: &[(&str, &[u8])]) -> Opened {
    Package::open(Cursor::new(zip(entries)), &Limits::PACKAGE)
}

#[track_caller]
fn code(entries: &[(&str, &[u8])]) -> &'static str {
    match open(entries) {
        Ok(_) => "ok",
        Err(error) => error.code,
    }
}

fn mp(value: &Value) -> Vec<u8> {
    msgpack::encode(value).expect("encoded")
}

const APP_MP: &[u8] = b"\x91\x82\xa9_rmx_type\xa3app\xa4name\xa4demo";

#[test]
fn version_1_with_everything() {
    let resource = b"<svg/>";
    let hash: String = Sha256::digest(resource)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let ident = format!("{hash}.svg");
    let place = format!("apps/demo/public/{ident}");
    let resources =
        format!(r#"{{"logo":{{"public":true,"identifier":"{ident}","bundled":true}}}}"#);
    let id = "0123456789abcdefABCDEF0123456789";
    let record = Value::map([
        ("_rmx_id", Value::from(format!("{{ref}}{id}"))),
        ("n", Value::Int(1)),
    ]);
    let records = mp(&Value::map([("demo", Value::Array(vec![record]))]));
    let manifest = format!(
        r#"{{"apps":{{"demo":true}},"records":{{"demo":["{id}"]}},"setup":"demo","save_options":["Upsert"],"future":1,
        "metadata":{{"duplicate_checks":[{{"project":"demo","entities":[{{"entity":"w","fields":["a"],"rule":"replace"}}]}}],"navigate":{{"screen":"home"}}}}}}"#
    );
    let entries: Vec<(&str, &[u8])> = vec![
        ("apps/demo.mp", APP_MP),
        (
            "apps/demo/libraries/executable_cross.WASM",
            b"\0asm\x01\0\0\0",
        ),
        (&place, resource),
        ("apps/demo/resources.json", resources.as_bytes()),
        ("apps/demo/runtime.json", br#"{"appName":"x"}"#),
        ("apps/demo/notes.txt", b"?"),
        ("records.mp", &records),
        ("manifest.json", manifest.as_bytes()),
    ];
    let mut package = open(&entries).expect("a package");
    assert_eq!(package.format, Format::V1);
    assert_eq!(package.apps[0].rule, Rule::Replace);
    assert_eq!(package.setup, ["demo"]);
    assert!(package.checks[0].replace && package.navigate.is_some());
    assert!(package.manifest.contains_key("future"));
    let paths: Vec<String> = package.apps[0]
        .files
        .iter()
        .map(|file| file.path.text())
        .collect();
    assert_eq!(
        paths,
        [
            "/code/runtime.json".to_owned(),
            format!("/public/_rmx_resources/{ident}"),
            "/code/resources.json".to_owned(),
            "/code/legacy/executable_cross.WASM".to_owned(),
        ]
    );
    let codes: Vec<&str> = package
        .warnings
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(codes, ["incompatible_code", "unknown_entry"]);
    let file = package.apps[0].files[0].clone();
    let mut runtime = Vec::new();
    package.write_file(&file, &mut runtime).expect("written");
    assert_eq!(runtime, br#"{"appName":"x","dbName":"demo"}"#);
    let set = package.records[1].clone();
    let mut seen = Vec::new();
    package
        .each_record(&set, &mut |_, _, record| {
            seen.push(record);
            Ok(())
        })
        .expect("records");
    assert_eq!(
        seen[0]
            .get("_rmx_id")
            .and_then(Value::as_ref_value)
            .map(|id| id.as_str()),
        Some(id)
    );
}

#[test]
fn version_1_with_something_wrong() {
    let app = ("apps/demo.mp", APP_MP);
    let manifest = |text: &'static str| ("manifest.json", text.as_bytes());
    assert_eq!(code(&[app, manifest(r#"{"apps":{"demo":true}}"#)]), "ok");
    for (entries, expected) in [
        (vec![app], "not_a_package"),
        (vec![manifest(r#"{"apps":{"demo":true}}"#)], "missing_entry"),
        (
            vec![app, manifest(r#"{"apps":{"demo":1}}"#)],
            "bad_manifest",
        ),
        (vec![app, manifest(r#"{"apps":[]}"#)], "bad_manifest"),
        (
            vec![app, manifest(r#"{"apps":{},"metadata":{"navigate":[]}}"#)],
            "bad_manifest",
        ),
        (
            vec![app, manifest(r#"{"apps":{},"metadata":{"projects":{}}}"#)],
            "bad_manifest",
        ),
        (
            vec![app, manifest(r#"{"apps":{},"builderAssets":{}}"#)],
            "bad_manifest",
        ),
        (
            vec![app, manifest(r#"{"apps":{},"records":{"demo":[1]}}"#)],
            "bad_manifest",
        ),
        (vec![app, manifest(r#"[]"#)], "bad_manifest"),
        (
            vec![app, manifest(r#"{"apps":{},"apps":{}}"#)],
            "bad_manifest",
        ),
        (
            vec![app, manifest(r#"{"apps":{},"version":"2.0"}"#)],
            "unsupported_version",
        ),
        (
            vec![app, manifest(r#"{"apps":{},"save_options":["Sideways"]}"#)],
            "bad_manifest",
        ),
        (
            vec![app, manifest(r#"{"apps":{"_rmx_admin":true}}"#)],
            "unsafe_entry",
        ),
        (
            vec![app, manifest(r#"{"apps":{"../x":true}}"#)],
            "unsafe_entry",
        ),
        (
            vec![
                app,
                manifest(r#"{"apps":{"demo":true},"records":{"demo":["x"]}}"#),
            ],
            "missing_entry",
        ),
        (
            vec![
                app,
                ("records.mp", b"\x80"),
                manifest(r#"{"apps":{"demo":true},"records":{"demo":["x"]}}"#),
            ],
            "missing_entry",
        ),
        (
            vec![
                app,
                ("records.mp", b"\x81\xabrmx_secrets\x90"),
                manifest(r#"{"apps":{}}"#),
            ],
            "ok",
        ),
        (
            vec![
                app,
                ("records.mp", b"\x81\xac_rmx_secrets\x90"),
                manifest(r#"{"apps":{}}"#),
            ],
            "unsafe_entry",
        ),
        (
            vec![
                app,
                ("apps/demo/public/0000.png", b"x"),
                manifest(r#"{"apps":{"demo":true}}"#),
            ],
            "corrupt_entry",
        ),
        (
            vec![
                app,
                (
                    "apps/demo/resources.json",
                    br#"{"a":{"public":true,"identifier":"0.png","bundled":true}}"#,
                ),
                manifest(r#"{"apps":{"demo":true}}"#),
            ],
            "missing_entry",
        ),
        (
            vec![
                app,
                ("apps/demo/libraries/x.mixexe", b"\x89MIXEXE\nrubbish"),
                manifest(r#"{"apps":{"demo":true}}"#),
            ],
            "incompatible_code",
        ),
    ] {
        let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
        assert_eq!(code(&entries), expected, "{names:?}");
    }
}

const V2: &str = r#"{"version":"2.1","id":"line","updates":"*","name":"demo","app":{"recordsets":["rs"],"filesets":["fs"]}}"#;
const RS_META: (&str, &[u8]) = (
    "recordsets/rs/rsMeta.json",
    br#"{"representationType":"JSON","contentType":"userRecords","onUpdateDelete":"kind == \"old\""}"#,
);
const FS_META: (&str, &[u8]) = (
    "filesets/fs/fsMeta.json",
    br#"{"code":true,"onUpdateDelete":["/old/","*.tmp"]}"#,
);

#[test]
fn version_2_with_everything() {
    let entries: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", V2.as_bytes()),
        ("manifest.json", b"not even JSON"),
        ("apps/demo/appMeta.json", br#"{"display_name":"Demo"}"#),
        RS_META,
        ("recordsets/rs/b.json", br#"[{"kind":"x"}]"#),
        (
            "recordsets/rs/a.json",
            br#"[{"kind":"y","to":{"_rmx_type":"{tag}ref","_rmx_value":"tmp"}},{"kind":"z"}]"#,
        ),
        ("recordsets/other/a.json", b"[]"),
        FS_META,
        ("filesets/fs/root/public/index.html", b"<p>"),
        ("filesets/fs/root/code/agent.wasm", b"\0asm"),
        ("filesets/fs/root/code/old.mixexe", b"of another runtime"),
    ];
    let package = open(&entries).expect("a package");
    assert_eq!(
        (package.format, package.id.as_deref()),
        (Format::V21, Some("line"))
    );
    let app = &package.apps[0];
    assert_eq!(app.rule, Rule::Any);
    assert!(app.deletions[0].matches("/old/x") && app.deletions[1].matches("/a/b.tmp"));
    assert!(
        app.metadata
            .as_ref()
            .is_some_and(|about| about.get("name") == Some(&Value::from("demo")))
    );
    let mut paths: Vec<String> = app.files.iter().map(|file| file.path.text()).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "/code/agent.wasm",
            "/code/legacy/old.mixexe",
            "/public/index.html"
        ]
    );
    let RecordSource::Json(entries) = &package.records[0].source else {
        panic!("records as JSON");
    };
    assert_eq!(entries, &["recordsets/rs/a.json", "recordsets/rs/b.json"]);
    assert_eq!(package.records[0].count, 3);
    assert!(package.records[0].delete.is_some());
    let warned: Vec<&str> = package
        .warnings
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(
        warned,
        ["incompatible_code", "incompatible_code", "unknown_entry"]
    );
}

#[test]
fn version_2_with_something_wrong() {
    let manifest = |text: &'static str| ("manifest_v2.json", text.as_bytes());
    let good = vec![manifest(V2), RS_META, FS_META];
    assert_eq!(code(&good), "ok");
    let with = |more: &[(&'static str, &'static [u8])]| {
        let mut entries = good.clone();
        entries.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        entries.extend_from_slice(more);
        entries
    };
    for (entries, expected) in [
        (
            with(&[manifest(
                r#"{"version":"2.2","id":"a","name":"demo","app":{}}"#,
            )]),
            "unsupported_version",
        ),
        (
            with(&[manifest(r#"{"id":"a","name":"demo","app":{}}"#)]),
            "unsupported_version",
        ),
        (
            with(&[manifest(r#"{"version":"2.1","name":"demo","app":{}}"#)]),
            "bad_manifest",
        ),
        (
            with(&[manifest(
                r#"{"version":"2.1","id":"a b","name":"demo","app":{}}"#,
            )]),
            "bad_manifest",
        ),
        (
            with(&[manifest(r#"{"version":"2.1","id":"a","app":{}}"#)]),
            "bad_manifest",
        ),
        (
            with(&[manifest(
                r#"{"version":"2.1","id":"a","name":"_rmx_logging","app":{}}"#,
            )]),
            "unsafe_entry",
        ),
        (
            with(&[manifest(
                r#"{"version":"2.1","id":"a","name":"demo","app":{"filesets":["gone"]}}"#,
            )]),
            "missing_entry",
        ),
        (
            with(&[manifest(
                r#"{"version":"2.1","id":"a","name":"demo","app":{"filesets":["fs","fs"]}}"#,
            )]),
            "bad_manifest",
        ),
        (
            with(&[manifest(
                r#"{"version":"2.1","id":"a","name":"demo","app":{"filesets":["../x"]}}"#,
            )]),
            "bad_manifest",
        ),
        // A check of duplicates that would check nothing.
        (
            with(&[manifest(
                r#"{"version":"2.1","id":"a","name":"demo","app":{"metadata":{"duplicate_checks":[{"entity":"w","fields":["k"]}]}}}"#,
            )]),
            "bad_manifest",
        ),
        (
            with(&[(
                "recordsets/rs/rsMeta.json",
                br#"{"onUpdateDelete":"| limit(1)"}"#,
            )]),
            "bad_manifest",
        ),
        (
            with(&[(
                "recordsets/rs/rsMeta.json",
                br#"{"onUpdateDelete":"a == $p"}"#,
            )]),
            "bad_manifest",
        ),
        (
            with(&[(
                "recordsets/rs/rsMeta.json",
                br#"{"representationType":"XML"}"#,
            )]),
            "bad_manifest",
        ),
        (
            with(&[(
                "recordsets/rs/rsMeta.json",
                br#"{"representationType":"db-image"}"#,
            )]),
            "missing_entry",
        ),
        (
            with(&[("recordsets/rs/rsMeta.json", br#"{"saveOptions":["x"]}"#)]),
            "bad_manifest",
        ),
        (with(&[("recordsets/rs/a.json", b"[{]")]), "corrupt_entry"),
        (with(&[("recordsets/rs/a.json", b"[1]")]), "bad_record"),
        (
            with(&[("filesets/fs/fsMeta.json", br#"{"onUpdateDelete":["a/b"]}"#)]),
            "bad_manifest",
        ),
        (
            with(&[
                ("filesets/fs/fsMeta.json", b"{}"),
                ("filesets/fs/root/code/a.mixexe", b"x"),
            ]),
            "unsafe_entry",
        ),
        // Programs have one place, whatever is in them and however it is spelt.
        (with(&[("filesets/fs/root/a.mixexe", b"x")]), "unsafe_entry"),
        (
            with(&[("filesets/fs/root/public/A.MIXEXE", b"x")]),
            "unsafe_entry",
        ),
        (
            with(&[("filesets/fs/root/codes/a.mixlib", b"x")]),
            "unsafe_entry",
        ),
        (
            with(&[("filesets/fs/root/code/a.mixexe", b"\x89MIXEXE\n\0\0\0\0")]),
            "incompatible_code",
        ),
        // A component whose program is none.
        (
            with(&[(
                "filesets/fs/root/code/a.wasm",
                b"\0asm\x0d\0\x01\0\0\x0d\x0bmix-program\0",
            )]),
            "incompatible_code",
        ),
        (
            with(&[("filesets/fs/root/code/a.wasm", b"\0asm\x0d\0\x01\0\0\x7f")]),
            "incompatible_code",
        ),
        (with(&[("filesets/fs/root/e\u{301}", b"")]), "unsafe_entry"),
    ] {
        assert_eq!(code(&entries), expected, "{:?}", entries.first());
        if expected != "unsupported_version" {
            let error = open(&entries).err().expect("refused");
            assert!(error.entry.is_some(), "{error}");
        }
    }
}

#[test]
fn a_written_package_is_read_and_the_same_each_time() {
    let new = mix_package::NewPackage {
        id: "line".into(),
        app: "demo".into(),
        updates: String::new(),
        metadata: Some(Map::from([
            ("name".into(), Value::from("demo")),
            ("a".into(), Value::Int(1)),
        ])),
        records: vec![Map::from([
            ("n".into(), Value::Int(1)),
            ("_rmx_row".into(), Value::Int(5)),
        ])],
        files: [(
            "public/x.txt".to_owned(),
            mix_package::Input::Bytes(b"x".to_vec()),
        )]
        .into(),
        ..mix_package::NewPackage::default()
    };
    let write = || {
        new.write(Cursor::new(Vec::new()))
            .expect("written")
            .into_inner()
    };
    assert_eq!(write(), write());
    let mut package = Package::open(Cursor::new(write()), &Limits::PACKAGE).expect("read");
    assert_eq!(package.apps[0].rule, Rule::Fresh);
    assert!(package.warnings.is_empty());
    let set = package.records[0].clone();
    package
        .each_record(&set, &mut |_, _, record| {
            assert!(!record.contains_key("_rmx_row"));
            Ok(())
        })
        .expect("records");
}
