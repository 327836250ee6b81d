//! All conformance files against the compiler and the VM.

#[test]
fn all_files() -> anyhow::Result<()> {
    let mut gaps = mix_conformance::known_gaps()?;
    let mut wrong = Vec::new();
    let mut passed = 0;
    for file in mix_conformance::files()? {
        for verdict in mix_conformance::run_file(&file)? {
            let gap = gaps.remove(&verdict.id);
            match (verdict.difference, gap) {
                (None, None) => passed += 1,
                (Some(_), Some(_)) => {}
                (None, Some(_)) => wrong.push(format!(
                    "{} passes: remove it from known-gaps.txt",
                    verdict.id
                )),
                (Some(difference), None) => {
                    wrong.push(format!(
                        "{} ({})\n     {difference}",
                        verdict.id, verdict.place
                    ));
                }
            }
        }
    }
    wrong.extend(
        gaps.into_keys()
            .map(|id| format!("{id} is in known-gaps.txt but nowhere else")),
    );
    assert!(
        wrong.is_empty(),
        "{passed} passed, but:\n{}",
        wrong.join("\n")
    );
    println!("{passed} blocks passed");
    Ok(())
}
