//! Installs that did not come to their end.

use super::*;

/// A crash after any step: what was begun is finished, what was not is gone.
#[test]
fn an_interrupted_install_is_finished_or_gone() {
    let any = manifest("line", "*");
    let update: Vec<(&str, &[u8])> = vec![
        ("manifest_v2.json", any.as_bytes()),
        RS,
        (
            "recordsets/rs/a.json",
            br#"[{"entity":"city","name":"Ulm"},{"entity":"city","name":"Bonn"}]"#,
        ),
        FS,
        ("filesets/fs/root/data/a.txt", b"new"),
        ("filesets/fs/root/data/b.txt", b"new"),
    ];
    for is_there in [false, true] {
        for (begun, applied) in [(false, 0), (true, 0), (true, 1), (true, 2)] {
            let site = Site::new();
            if is_there {
                let old: Vec<(&str, &[u8])> = vec![
                    ("manifest_v2.json", any.as_bytes()),
                    RS,
                    ("recordsets/rs/a.json", br#"[{"kind":"temporary"}]"#),
                    FS,
                    ("filesets/fs/root/data/old.txt", b"old"),
                ];
                site.install(&old).expect("installed");
            }
            let commit = site
                .stage(&update)
                .plan(&Request::default())
                .expect("a plan")
                .stage()
                .expect("staged");
            if begun {
                commit.changes().begin().expect("begun");
            }
            for _ in 0..applied {
                commit.changes().apply("demo").expect("applied");
            }
            // The process dies: nothing is dropped.
            std::mem::forget(commit);
            recover(&site.workspace(), &Storage::default()).expect("recovered");
            let context = format!("{is_there} {begun} {applied}");
            assert!(
                site.everything()
                    .iter()
                    .all(|path| !path.contains(".install")),
                "{context}"
            );
            if !begun {
                assert_eq!(site.file("demo", "/data/b.txt"), None, "{context}");
                assert_eq!(site.app("demo").is_dir(), is_there, "{context}");
                continue;
            }
            assert_eq!(
                site.rows("demo", "entity == \"city\"").len(),
                2,
                "{context}"
            );
            assert!(
                site.rows("demo", "kind == \"temporary\"").is_empty(),
                "{context}"
            );
            assert_eq!(
                site.file("demo", "/data/b.txt").as_deref(),
                Some(&b"new"[..]),
                "{context}"
            );
            assert_eq!(site.file("demo", "/data/old.txt"), None, "{context}");
        }
    }
}

/// An install that was not finished comes before the next one, not after it.
#[test]
fn an_unfinished_install_does_not_undo_a_later_one() {
    let site = Site::new();
    let any = manifest("line", "*");
    let package = |content: &'static [u8]| -> Vec<(&'static str, &'static [u8])> {
        vec![RS, FS, ("filesets/fs/root/data/a.txt", content)]
    };
    let staged = |content| {
        let mut entries: Vec<(&str, &[u8])> = vec![("manifest_v2.json", any.as_bytes())];
        entries.extend(package(content));
        let plan = site.stage(&entries).plan(&Request::default());
        plan.expect("a plan").stage().expect("staged")
    };
    let first = staged(b"first");
    first.changes().begin().expect("begun");
    std::mem::forget(first);
    let storage = Storage::default();
    for changes in mix_install::unfinished(&site.workspace(), &storage).expect("what is left") {
        assert_eq!(changes.apps(), ["demo"]);
        changes.apply("demo").expect("applied");
        changes.finish().expect("finished");
    }
    let second = staged(b"second");
    second.changes().begin().expect("begun");
    second.changes().apply("demo").expect("applied");
    second.changes().finish().expect("finished");
    recover(&site.workspace(), &storage).expect("recovered");
    assert_eq!(
        site.file("demo", "/data/a.txt").as_deref(),
        Some(&b"second"[..])
    );
}

/// What is wrong with an image is said by a dry run too, with the entry and no place of the host.
#[test]
fn a_damaged_image_is_no_plan() {
    let site = Site::new();
    let entries: Vec<(&str, &[u8])> = vec![
        (
            "manifest_v2.json",
            br#"{"version":"2.1","id":"line","updates":"*","name":"demo","app":{"recordsets":["rs"]}}"#,
        ),
        (
            "recordsets/rs/rsMeta.json",
            br#"{"representationType":"db-image"}"#,
        ),
        ("recordsets/rs/image/db.dat", b"garbage"),
    ];
    let plan = site.stage(&entries).plan(&Request::default());
    let error = plan.err().expect("refused");
    assert_eq!(error.code, "corrupt_entry");
    assert_eq!(error.entry.as_deref(), Some("recordsets/rs/image/"));
    assert!(!error.to_string().contains(".install"), "{error}");
    assert!(site.everything().is_empty());
}

#[test]
fn a_turn_that_came_to_nothing_leaves_no_workspace() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let workspace = scratch.path().join("some/new");
    let turn = Turn::take(&workspace).expect("a turn");
    drop(Staging::new(&workspace, Storage::default()).expect("staging"));
    // Whoever waits for it meanwhile has one of his own, in a folder that is there.
    let waiting = {
        let workspace = workspace.clone();
        std::thread::spawn(move || Turn::take(&workspace).expect("a turn"))
    };
    std::thread::sleep(std::time::Duration::from_millis(200));
    turn.take_back();
    let second = waiting.join().expect("no panic");
    assert!(workspace.join(".install/LOCK").exists());
    // It made nothing itself that it knows of, so it takes back nothing.
    second.take_back();
    fs::remove_dir_all(scratch.path().join("some")).expect("removes");
    Turn::take(&workspace).expect("a turn").take_back();
    assert!(!scratch.path().join("some").exists());
    // What somebody has put there stays.
    let turn = Turn::take(&workspace).expect("a turn");
    fs::create_dir(workspace.join("app")).expect("creates");
    turn.take_back();
    assert!(workspace.join("app").exists());
}
