//! The stateless families, alone and behind a switchboard.

use anyhow::Result;
use mix_component_tests::{Answer, Family, Surroundings, compose, guest};
use mix_value::{Token, Value};

fn abc_sum() -> Value {
    Value::binary(
        [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
            0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
            0xf2, 0x00, 0x15, 0xad,
        ]
        .as_slice(),
    )
}

#[tokio::test]
async fn crypto_answers() -> Result<()> {
    let mut crypto = Family::new(&guest("mix_plugin_crypto"), &Surroundings::default()).await?;
    assert_eq!(crypto.functions().len(), 9);
    assert!(
        crypto
            .functions()
            .iter()
            .all(|function| !function.waits && !function.doc.is_empty())
    );
    let sum = crypto
        .call("$crypto_sha256", &[Value::binary(b"abc".as_slice())])
        .await?;
    assert_eq!(sum.unwrap(), abc_sum());
    let key = crypto
        .call("$crypto_random_bytes", &[Value::Int(32)])
        .await?
        .unwrap();
    assert_eq!(key.as_binary().unwrap().len(), 32);
    Ok(())
}

#[tokio::test]
async fn wrong_calls_are_failures() -> Result<()> {
    let mut crypto = Family::new(&guest("mix_plugin_crypto"), &Surroundings::default()).await?;
    let code = async |crypto: &mut Family, args: &[Value]| -> Result<String> {
        Ok(crypto.call("$crypto_sha256", args).await?.unwrap_err().code)
    };
    assert_eq!(
        code(&mut crypto, &[Value::string("abc")]).await?,
        "ERR_EXPECTED_BINARY"
    );
    assert_eq!(
        code(&mut crypto, &[Value::Undefined]).await?,
        "ERR_UNDEFINED"
    );
    assert_eq!(code(&mut crypto, &[]).await?, "ERR_INTERNAL");
    for bytes in [
        vec![],
        vec![0xc1],
        vec![0x91],
        vec![0xdd, 0xff, 0xff, 0xff, 0xff],
        vec![0x01],
    ] {
        assert_eq!(
            crypto.call_raw(2, bytes).await?.unwrap_err().code,
            "ERR_INTERNAL"
        );
    }
    assert_eq!(
        crypto
            .call_raw(u32::MAX, vec![0x90])
            .await?
            .unwrap_err()
            .code,
        "ERR_INTERNAL"
    );
    Ok(())
}

#[tokio::test]
async fn several_sleeps_run_at_once() -> Result<()> {
    let mut core = Family::new(&guest("mix_plugin_core"), &Surroundings::default()).await?;
    let nap = [Value::Float(0.3)];
    let calls: Vec<(&str, &[Value])> = (0..20).map(|_| ("$core_sleep", nap.as_slice())).collect();
    let begin = std::time::Instant::now();
    let answers = core.start_all(&calls, 0).await?;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Answer::One(Value::Null))))
    );
    assert!(
        begin.elapsed().as_secs_f64() < 3.0,
        "they waited one after another"
    );
    Ok(())
}

#[tokio::test]
async fn the_environment_is_that_of_the_run() -> Result<()> {
    let surroundings = Surroundings {
        environment: &[("MIXER_ENV", r#"{"region":"eu"}"#)],
        ..Surroundings::default()
    };
    let mut core = Family::new(&guest("mix_plugin_core"), &surroundings).await?;
    core.bind("shop", "ada@example.com").await?;
    let map = core.call("$core_env_current", &[]).await?.unwrap();
    assert_eq!(map.get("region"), Some(&Value::string("eu")));
    assert_eq!(map.get("app"), Some(&Value::string("shop")));
    assert_eq!(map.get("user"), Some(&Value::string("ada@example.com")));
    Ok(())
}

#[tokio::test]
async fn a_switchboard_is_all_its_families() -> Result<()> {
    let inner = compose(&[guest("mix_plugin_crypto")])?;
    let bytes = compose(&[guest("mix_plugin_core"), inner])?;
    let mut all = Family::new(&bytes, &Surroundings::default()).await?;
    all.bind("shop", "ada").await?;
    assert!(all.number("$core_now")? < all.number("$crypto_md5")?);
    assert_eq!(
        all.call("$crypto_sha256", &[Value::binary(b"abc".as_slice())])
            .await?
            .unwrap(),
        abc_sum()
    );
    let map = all.call("$core_env_current", &[]).await?.unwrap();
    assert_eq!(map.get("app"), Some(&Value::string("shop")));
    let nap = all.start("$core_sleep", &[Value::Float(0.01)], 0).await?;
    assert_eq!(nap.unwrap(), Answer::One(Value::Null));
    let count = all.functions().len() as u32;
    assert_eq!(
        all.call_raw(count, vec![0x90]).await?.unwrap_err().code,
        "ERR_INTERNAL"
    );
    Ok(())
}

/// The functions of the families: kinds of their parameters, by letters as in [`sample`]; `d` is
/// whatever the function itself judges.
const TABLE: &str = "
    core
      call  $core_now
      call  $core_monotonic
      start $core_sleep n
      call  $core_tz_at_utc sn
      call  $core_tz_at_wall sn
      call  $core_log ss
      call  $core_debug s
      call  $core_env_current
      call  $core_env_initial
      start $core_agent_call mmd
      call  $outputWithVersion snd
      call  $decode_error d
      call  $xml_parse ms
      call  $xml_format d
      call  $xml_html_entities
      call  $binary_compress sb
      call  $binary_decompress sb
      start $cmd_execute samm
    secrets
      call  $token_current
      call  $token_empty
      start $token_string t
      start $secrets_set ss
      start $secrets_get s
      start $secrets_list
      start $secrets_delete s
      start $secrets_get_token s
      start $secrets_delete_token s
      start $secrets_token_extra st
    db
      start $db_get_one dd
      call $db_get_one? dd
      start $db_get_a da
      call $db_get_a? da
      start $db_save_one dd
      start $db_save_a da
      start $db_save_ar da
      start $db_upsert_a da
      start $db_upsert_ar da
      start $db_delete_one dd
      start $db_delete_a da
      start $db_delete_ar da
      start $db_fromAST_result dam
      start $db_fromAST_result> dam
      call $db_fromAST_result>? dam
      start $db_fromAST_result>> dnn
      call $db_fromAST_result>>? dnn
      call  $db_parse dso
      start $db_getWatermark d
      call $db_getWatermark? d
      start $db_waitChange dso
      start $db_flush d
      start $db_makeAnonymousLink ds
    http
      start $http_do m
      start $http_do_server m
    crypto
      call  $crypto_md5 b
      call  $crypto_sha1 b
      call  $crypto_sha256 b
      call  $crypto_hmac_sha1 bb
      call  $crypto_hmac_sha256 bb
      call  $crypto_rsa_sha256 bb
      call  $crypto_aes_gcm_encrypt bbb
      call  $crypto_aes_gcm_decrypt bbb
      call  $crypto_random_bytes n
    files
      start $file_get ds
      start $file_read ds
      start $file_list ds
      start $file_create dsb
      start $file_delete ds
      start $file_rename dss
      start $file_copy dsds
      start $file_register dssm
    wasm
      start $wasm_load b
      call  $wasm_has hs
      start $wasm_call hsa
      call  $wasm_shutdown h
      start $wasi_load b
      start $wasi_call hsma
";

/// Functions that serve the host's own endpoints and tools, beyond those of programs.
fn is_for_the_host(name: &str) -> bool {
    name.starts_with("$db_http_") || ["$db_stat", "$db_check", "db_flush"].contains(&name)
}

/// A value of a kind, and the failure that another kind in its place is.
fn sample(kind: char) -> (Value, &'static str) {
    match kind {
        's' => (Value::string("x"), "ERR_EXPECTED_STRING"),
        'n' => (Value::Int(1), "ERR_EXPECTED_NUMBER"),
        'b' => (Value::binary(b"x".as_slice()), "ERR_EXPECTED_BINARY"),
        'o' => (Value::Bool(true), "ERR_EXPECTED_BOOL"),
        'a' => (Value::Array(Vec::new()), "ERR_EXPECTED_ARRAY"),
        'm' => (Value::Map(Default::default()), "ERR_EXPECTED_MAP"),
        't' => (Value::Token(Token::Sealed([].into())), "ERR_EXPECTED_TOKEN"),
        'h' => (Value::Handle(1), "ERR_EXPECTED_OPAQUE"),
        'd' => (Value::Null, ""),
        other => panic!("{other} is no kind"),
    }
}

/// The code of the failure that a function ends with; nothing if it does not fail.
async fn code_of(
    family: &mut Family,
    waits: bool,
    name: &str,
    args: &[Value],
) -> Result<Option<String>> {
    let failure = if waits {
        family.start(name, args, 0).await?.err()
    } else {
        family.call(name, args).await?.err()
    };
    Ok(failure.map(|failure| failure.code))
}

/// Name, kinds of its parameters, whether it waits.
type Row = (&'static str, &'static str, bool);

#[tokio::test]
async fn every_function_is_there_and_takes_what_it_should() -> Result<()> {
    let mut families: Vec<(&str, Vec<Row>)> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), families.last_mut()) {
            ([family], _) => families.push((family, Vec::new())),
            ([how, name, kinds @ ..], Some((_, functions))) => {
                let kinds = kinds.first().copied().unwrap_or_default();
                functions.push((name, kinds, *how == "start"));
            }
            _ => panic!("{line}"),
        }
    }
    let in_memory = families.iter().find(|(name, _)| *name == "files");
    let in_memory = in_memory.map(|(_, functions)| ("files_memory", functions.clone()));
    families.extend(in_memory);
    for (name, functions) in families {
        let component = guest(&format!("mix_plugin_{name}"));
        let mut family = Family::new(&component, &Surroundings::default()).await?;
        let mut offered: Vec<(String, usize, bool)> = family
            .functions()
            .iter()
            .filter(|function| !is_for_the_host(&function.name))
            .map(|function| {
                (
                    function.name.clone(),
                    function.params.into(),
                    function.waits,
                )
            })
            .collect();
        let mut wanted: Vec<(String, usize, bool)> = functions
            .iter()
            .map(|(name, kinds, waits)| ((*name).to_owned(), kinds.len(), *waits))
            .collect();
        offered.sort();
        wanted.sort();
        assert_eq!(offered, wanted, "{name}");

        for (function, kinds, waits) in functions {
            let good: Vec<Value> = kinds.chars().map(|kind| sample(kind).0).collect();
            for (place, kind) in kinds.chars().enumerate().filter(|(_, kind)| *kind != 'd') {
                let mut args = good.clone();
                args[place] = match kind {
                    'h' => Value::string("1"),
                    _ => Value::Handle(1),
                };
                let code = code_of(&mut family, waits, function, &args).await?;
                assert_eq!(code.as_deref(), Some(sample(kind).1), "{function}, {place}");
                args[place] = Value::Undefined;
                let code = code_of(&mut family, waits, function, &args).await?;
                assert_eq!(
                    code.as_deref(),
                    Some("ERR_UNDEFINED"),
                    "{function}, {place}"
                );
            }
            let mut more = good;
            more.push(Value::Null);
            let code = code_of(&mut family, waits, function, &more).await?;
            assert_eq!(code.as_deref(), Some("ERR_INTERNAL"), "{function}");
        }
    }
    Ok(())
}
