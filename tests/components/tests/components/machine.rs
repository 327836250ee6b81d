//! The VM as a component, with families behind it.

use anyhow::{Context, Result};
use mix_compiler::{CompileOptions, SourceFile, compile};
use mix_component_tests::vm_contract::{Action, AgentCall, Event};
use mix_component_tests::{Machine, Surroundings, compose_vm, guest};
use mix_value::{Value, msgpack};

mod embedded;
mod packed;

fn executable(source: &str) -> Vec<u8> {
    let compilation = compile(
        &[SourceFile::new("test.mix", source)],
        &CompileOptions::default(),
    );
    let program = compilation
        .program
        .as_ref()
        .unwrap_or_else(|| panic!("{}", compilation.text()));
    mix_bytecode::encode(program)
}

fn agent(name: &str, params: &Value) -> Action {
    let params = msgpack::encode(params).expect("test values have a wire form");
    Action::RunAgent(AgentCall {
        agent: name.into(),
        params,
    })
}

fn result(events: &[Event]) -> Result<Value> {
    for event in events {
        match event {
            Event::Result(value) => return Ok(msgpack::decode(value)?),
            Event::Issue(issue) => anyhow::bail!("{}: {}", issue.code, issue.message),
            _ => {}
        }
    }
    anyhow::bail!("no result in {events:?}")
}

async fn machine(source: &str, families: &[Vec<u8>]) -> Result<Machine> {
    let mut machine = Machine::new(&compose_vm(families)?, &Surroundings::default()).await?;
    let loaded = machine.load(&executable(source)).await?;
    loaded.map_err(|issue| anyhow::anyhow!("{}: {}", issue.code, issue.message))?;
    Ok(machine)
}

const TWICE: &str = "
module twice(p:data)
  var cell m_params = p
  cell output = {sum: m_params.x + m_params.x}
module end
";

#[tokio::test]
async fn an_agent_runs() -> Result<()> {
    let mut machine = machine(TWICE, &[]).await?;
    let events = machine
        .run(vec![agent("twice", &Value::map([("x", Value::Int(21))]))])
        .await?;
    assert_eq!(result(&events)?, Value::map([("sum", Value::Int(42))]));
    assert!(matches!(events.last(), Some(Event::Done(0))), "{events:?}");
    Ok(())
}

#[tokio::test]
async fn sessions_are_apart() -> Result<()> {
    let mut machine = machine(TWICE, &[]).await?;
    let sessions = (0..20)
        .map(|x| vec![agent("twice", &Value::map([("x", Value::Int(x))]))])
        .collect();
    for (x, events) in (0..20).zip(machine.run_all(sessions).await?) {
        assert_eq!(result(&events)?, Value::map([("sum", Value::Int(2 * x))]));
    }
    Ok(())
}

#[tokio::test]
async fn foreign_functions_answer() -> Result<()> {
    let source = r#"
module library
  foreign def sha : binary -> binary = "$crypto_sha256"
  foreign def sleep : number -> null = "$core_sleep"
module end
module sum(p:data)
  import library
  var cell m_params = p
  cell output = {sum: library.sha(m_params.text), slept: library.sleep(0.01)}
module end
"#;
    let mut machine = machine(
        source,
        &[guest("mix_plugin_core"), guest("mix_plugin_crypto")],
    )
    .await?;
    let params = Value::map([("text", Value::binary(b"abc".as_slice()))]);
    let value = result(&machine.run(vec![agent("sum", &params)]).await?)?;
    let sum = value
        .get("sum")
        .and_then(Value::as_binary)
        .context("no sum")?;
    assert_eq!(sum[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(value.get("slept"), Some(&Value::Null));
    Ok(())
}

#[tokio::test]
async fn a_missing_function_is_named() -> Result<()> {
    let source = r#"
module library
  foreign def sha : binary -> binary = "$crypto_sha256"
module end
module sum(p:data)
  import library
  var cell m_params = p
  cell output = library.sha(m_params.text)
module end
"#;
    let mut machine = Machine::new(&compose_vm(&[])?, &Surroundings::default()).await?;
    let issue = machine.load(&executable(source)).await?.unwrap_err();
    assert_eq!(issue.code, "ERR_FFI_MISSING");
    assert!(
        issue.message.contains("$crypto_sha256"),
        "{}",
        issue.message
    );
    Ok(())
}

#[tokio::test]
async fn corrupt_executables_are_issues() -> Result<()> {
    let mut machine = Machine::new(&compose_vm(&[])?, &Surroundings::default()).await?;
    let good = executable(TWICE);
    let mut bad = vec![
        vec![],
        b"MIX".to_vec(),
        vec![0; 100],
        good[..good.len() / 2].to_vec(),
    ];
    for at in (0..good.len()).step_by(7) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x55;
        bad.push(flipped);
    }
    for bytes in bad {
        // A flipped byte of a text constant leaves a program that is whole.
        if let Err(issue) = machine.load(&bytes).await? {
            assert!(issue.code.starts_with("ERR_"), "{}", issue.code);
        }
    }
    assert!(machine.load(&good).await?.is_ok());
    Ok(())
}

#[tokio::test]
async fn failures_are_issues_and_the_session_goes_on() -> Result<()> {
    let mut machine = machine(TWICE, &[]).await?;
    let good = || agent("twice", &Value::map([("x", Value::Int(1))]));
    let bad = agent("twice", &Value::map([("x", Value::Bool(true))]));
    let events = machine
        .run(vec![bad, agent("nobody", &Value::Null), good()])
        .await?;
    let issues: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Issue(issue) => Some(issue.code.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(issues.len(), 2, "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Result(_))));
    assert!(matches!(events.last(), Some(Event::Done(2))));
    Ok(())
}

#[tokio::test]
async fn a_session_without_a_program_says_so() -> Result<()> {
    let mut machine = Machine::new(&compose_vm(&[])?, &Surroundings::default()).await?;
    let events = machine.run(vec![agent("twice", &Value::Null)]).await?;
    assert!(matches!(&events[..], [Event::Issue(_)]), "{events:?}");
    Ok(())
}

#[tokio::test]
async fn routines_take_turns() -> Result<()> {
    let source = r#"
module turns(p:data)
  def spin() = co.create(r -> do { while (true) { co.yield() } })
  def nap(c, k) = co.createFG(r -> do { co.sleep(0.01); co.channelEmit(c, k) })
  def naps(n) = do {
    spin();
    let c = co.channelCreate();
    for (let k in array.enumerate(n)) { nap(c, k) }
    return co.channelToStream(c) |> stream.firstn(n) |> stream.toArray |> array.length
  }
  cell output = {
    naps: naps(500),
    late: co.applyWithTimeout(0.01, x -> co.sleep(x), 3600),
    early: co.applyWithTimeout(3600, x -> x, "early")
  }
module end
"#;
    let mut machine = machine(source, &[guest("mix_plugin_core")]).await?;
    let value = result(&machine.run(vec![agent("turns", &Value::Null)]).await?)?;
    let text = mix_value::escjson::format(&value)?;
    let wanted = r#"{"early":{"_rmx_type":"{tag}case:ok","_rmx_value":"early"},"late":{"_rmx_type":"{tag}case:co.timeout"},"naps":500}"#;
    assert_eq!(text, wanted);
    Ok(())
}

#[tokio::test]
async fn background_routines_end_with_the_answer() -> Result<()> {
    let source = r#"
module lingers(p:data)
  def begin() = co.create(r -> do { co.sleep(3600); debug("never") })
  cell output = let _ = begin(); "done"
module end
"#;
    let mut machine = machine(source, &[guest("mix_plugin_core")]).await?;
    let calls = vec![
        agent("lingers", &Value::Null),
        agent("lingers", &Value::Null),
    ];
    let events = machine.run(calls).await?;
    let answers = (events.iter()).filter(|event| matches!(event, Event::Result(_)));
    assert_eq!(answers.count(), 2, "{events:?}");
    assert!(matches!(events.last(), Some(Event::Done(1))), "{events:?}");
    Ok(())
}
