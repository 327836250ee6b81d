//! Values in blocks between a composed VM and its families.

use super::embedded::{built_of, call_agent};
use super::*;
use mix_component_tests::linker;

/// The output of an agent without parameters of a component with the program and a plugin.
async fn output(source: &str, plugin: &str) -> Result<String> {
    let plugins = vec![(
        plugin.to_owned(),
        guest(&format!("mix_test_plugin_{plugin}")),
    )];
    let component = built_of(source, plugins, false).await?;
    call_agent(&linker()?, &component, "main", "{}").await
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_any_length_pass_a_family_that_knows_bytes_only() -> Result<()> {
    let echoes = r#"
module main(p:data)
  foreign def echo : data -> data = "$hostile_echo"
  def textOf(length) = string.concat("", array.initialize(length, i -> "" + i % 10))
  def differs(length) = echo(textOf(length)) != textOf(length)
  def lengths = array.initialize(140, i -> i) + [4095, 4096, 300001]
  cell output = array.filter(differs, lengths)
module end
"#;
    assert_eq!(output(echoes, "hostile").await?, "[]");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_sends_fewer_blocks_than_it_says_fails_alone() -> Result<()> {
    let asks = r#"
module main(p:data)
  foreign def claims : null -> data = "$forger_claims"
  foreign def claimsWaiting : null -> data = "$forger_claims_waiting"
  foreign def claimsAll : null -> data = "$forger_claims_all"
  foreign def pads : null -> data = "$forger_pads"
  def textOf = ok(_) -> "ok" | error(text) -> text
  // What was long the last time is asked for in blocks.
  def second(f) = do { f(); return textOf(try f()) }
  cell output = [second(() -> claims()), textOf(try claimsWaiting()), second(() -> claimsAll()), do { pads(); return pads() }]
module end
"#;
    let said = |size: u32, blocks: u32| {
        format!("ERR_INTERNAL: a packed value of {size} bytes came in {blocks} blocks of 32 bytes")
    };
    let expected = [said(33, 1), said(33, 1), said(u32::MAX, 0)].map(|text| format!("{text:?}"));
    let expected = format!("[{},true]", expected.join(","));
    assert_eq!(output(asks, "forger").await?, expected);
    Ok(())
}
