//! The stateless families, alone and behind a switchboard.

use anyhow::Result;
use mix_component_tests::{Answer, Family, Surroundings, compose, guest};
use mix_value::Value;

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
