//! The families `secrets` and `wasm` at their boundary: real folders, hostile arguments.

use anyhow::Result;
use mix_component_tests::{Answer, Family, Surroundings, guest};
use mix_value::Value;

type Answered = std::result::Result<Answer, mix_component_tests::contract::Failure>;

fn value(answer: Answered) -> Value {
    match answer {
        Ok(Answer::One(value)) => value,
        other => panic!("{other:?}"),
    }
}

fn code(answer: Answered) -> String {
    answer.expect_err("it fails").code
}

fn text(text: &str) -> Value {
    Value::string(text)
}

#[tokio::test]
async fn secrets_outlive_their_instance() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let keys = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/secrets"), (keys.path(), "/keys")],
        ..Surroundings::default()
    };
    let component = guest("mix_plugin_secrets");
    let mut first = Family::new(&component, &surroundings).await?;
    let mut second = Family::new(&component, &surroundings).await?;
    for family in [&mut first, &mut second] {
        family.bind("shop", "ada").await?;
    }
    // Both make the keys at the same time, as far as one knows of the other.
    let set = async |family: &mut Family, name: &str| -> Result<Value> {
        Ok(value(
            family
                .start("$secrets_set", &[text(name), text("hush")], 0)
                .await?,
        ))
    };
    assert_eq!(set(&mut first, "a").await?, text("a"));
    assert_eq!(set(&mut second, "b").await?, text("b"));
    let listed = value(first.start("$secrets_list", &[], 0).await?);
    assert_eq!(listed, Value::Array(vec![text("a"), text("b")]));
    assert_eq!(
        value(first.start("$secrets_get", &[text("b")], 0).await?),
        text("hush")
    );
    first.bind("shop", "bob").await?;
    assert_eq!(
        code(first.start("$secrets_get", &[text("b")], 0).await?),
        "ERR_NOT_FOUND"
    );
    first.bind("shop", "anonymous").await?;
    assert_eq!(
        code(first.start("$secrets_list", &[], 0).await?),
        "ERR_PERMISSION"
    );
    Ok(())
}

#[tokio::test]
async fn in_a_composed_component_secrets_lie_below_the_workspace() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let key = "ab".repeat(32);
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/ws")],
        environment: &[("MIXER_SECRETS_KEY", "env:THE_KEY"), ("THE_KEY", &key)],
        ..Surroundings::default()
    };
    let mut secrets = Family::new(&guest("mix_plugin_secrets"), &surroundings).await?;
    secrets.bind("shop", "ada").await?;
    value(
        secrets
            .start("$secrets_set", &[text("a"), text("hush")], 0)
            .await?,
    );
    assert!(folder.path().join("local/_rmx_secrets").is_dir());
    assert!(!folder.path().join("local/.keys/secrets.key").exists());
    Ok(())
}

#[tokio::test]
async fn secrets_without_folder_or_key_say_so() -> Result<()> {
    let component = guest("mix_plugin_secrets");
    let mut secrets = Family::new(&component, &Surroundings::default()).await?;
    secrets.bind("shop", "ada").await?;
    assert_eq!(
        code(secrets.start("$secrets_list", &[], 0).await?),
        "ERR_UNSUPPORTED"
    );
    let folder = tempfile::tempdir()?;
    for source in ["keys:xyz", "env:NOTHING", "file:/nowhere", "command:true"] {
        let surroundings = Surroundings {
            folders: &[(folder.path(), "/secrets")],
            environment: &[("MIXER_SECRETS_KEY", source)],
            ..Surroundings::default()
        };
        let mut secrets = Family::new(&component, &surroundings).await?;
        secrets.bind("shop", "ada").await?;
        let failure = secrets
            .start("$secrets_list", &[], 0)
            .await?
            .expect_err("no key");
        assert!(
            ["ERR_IO", "ERR_UNSUPPORTED"].contains(&failure.code.as_str()),
            "{failure:?}"
        );
        assert!(!failure.message.contains("xyz"), "{failure:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_link_in_place_of_a_secret_is_not_followed() -> Result<()> {
    let outside = tempfile::tempdir()?;
    let folder = tempfile::tempdir()?;
    let surroundings = Surroundings {
        folders: &[(folder.path(), "/secrets")],
        environment: &[("MIXER_SECRETS_KEY", &format!("keys:{}", "ab".repeat(32)))],
        ..Surroundings::default()
    };
    let mut secrets = Family::new(&guest("mix_plugin_secrets"), &surroundings).await?;
    secrets.bind("shop", "ada").await?;
    value(
        secrets
            .start("$secrets_set", &[text("a"), text("hush")], 0)
            .await?,
    );
    let user = std::fs::read_dir(folder.path())?
        .next()
        .expect("a user")?
        .path();
    for entry in std::fs::read_dir(user)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "user.key") {
            std::fs::rename(&path, outside.path().join("moved"))?;
            std::os::unix::fs::symlink(outside.path().join("moved"), &path)?;
        }
    }
    assert_eq!(
        code(secrets.start("$secrets_get", &[text("a")], 0).await?),
        "ERR_IO"
    );
    Ok(())
}

#[tokio::test]
async fn garbage_and_forged_numbers_are_failures() -> Result<()> {
    for name in [
        "mix_plugin_core",
        "mix_plugin_crypto",
        "mix_plugin_db",
        "mix_plugin_files",
        "mix_plugin_files_memory",
        "mix_plugin_http",
        "mix_plugin_secrets",
        "mix_plugin_wasm",
    ] {
        let mut family = Family::new(&guest(name), &Surroundings::default()).await?;
        assert!(
            family
                .functions()
                .iter()
                .all(|function| !function.doc.is_empty())
        );
        let count = family.functions().len() as u32;
        for number in [0, count, u32::MAX] {
            for bytes in [
                vec![],
                vec![0xc1],
                vec![0x91],
                vec![0xdd, 0xff, 0xff, 0xff, 0xff],
            ] {
                let started = family.start_raw(number, bytes.clone()).await?;
                assert_eq!(started.expect_err("garbage").code, "ERR_INTERNAL", "{name}");
                let failure = family.call_raw(number, bytes).await?.expect_err("garbage");
                assert_eq!(failure.code, "ERR_INTERNAL", "{name}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn handles_are_those_of_an_instance() -> Result<()> {
    let mut wasm = Family::new(&guest("mix_plugin_wasm"), &Surroundings::default()).await?;
    // The smallest module there is.
    let module = Value::binary(b"\0asm\x01\0\0\0".as_slice());
    let handle = value(
        wasm.start("$wasm_load", std::slice::from_ref(&module), 0)
            .await?,
    );
    assert!(matches!(handle, Value::Handle(_)));
    let has = wasm.call("$wasm_has", &[handle.clone(), text("f")]).await?;
    assert_eq!(has.expect("a loaded module"), Value::Bool(false));
    let mut other = Family::new(&guest("mix_plugin_wasm"), &Surroundings::default()).await?;
    for forged in [handle.clone(), Value::Handle(0), Value::Handle(u64::MAX)] {
        let failure = other.call("$wasm_has", &[forged, text("f")]).await?;
        assert_eq!(failure.expect_err("not of this instance").code, "ERR_WASM");
    }
    let wrong = other.call("$wasm_has", &[Value::Int(1), text("f")]).await?;
    assert_eq!(wrong.expect_err("no handle").code, "ERR_EXPECTED_OPAQUE");
    assert_eq!(
        wasm.call("$wasm_shutdown", std::slice::from_ref(&handle))
            .await?
            .expect("once"),
        Value::Null
    );
    assert_eq!(
        wasm.call("$wasm_shutdown", std::slice::from_ref(&handle))
            .await?
            .expect("twice"),
        Value::Null
    );
    let gone = wasm
        .start("$wasm_call", &[handle, text("f"), Value::Array(vec![])], 0)
        .await?;
    assert_eq!(code(gone), "ERR_WASM");
    assert_eq!(
        code(wasm.start("$wasi_load", &[module], 0).await?),
        "ERR_WASM"
    );
    Ok(())
}
