//! Every rule of the language has a case, and every case a rule.

/// Cases that there must be at least.
const LEAST: usize = 600;

#[test]
fn rules_are_mapped_to_cases() -> anyhow::Result<()> {
    let map = mix_conformance::rules::map()?;
    assert!(map.faults.is_empty(), "{}", map.faults.join("\n"));
    assert!(map.blocks >= LEAST, "only {} cases", map.blocks);
    println!("{} rules, {} cases", map.rules.len(), map.blocks);
    Ok(())
}
