//! Library functions on a million elements beside the builtins of QuickJS.

use anyhow::{Result, ensure};

use crate::cases::CASES;
use crate::{mix, peers};

/// Elements.
const SIZE: u32 = 1_000_000;

/// Prints the table; with names, only of these functions.
/// The factor says how many times the time of QuickJS Mix takes: below 1 Mix is faster.
pub fn print(only: &[String]) -> Result<()> {
    println!(
        "{:<26}{:>14}{:>14}{:>10}",
        "function", "Mix native", "QuickJS", "factor"
    );
    let mut worst = (0.0, "");
    for case in CASES {
        if !only.is_empty() && !only.iter().any(|name| name == case.name) {
            continue;
        }
        let (ours, text) = mix::measure(case, SIZE)?;
        let (theirs, expected) = peers::measure(case, SIZE)?;
        ensure!(
            text == expected,
            "{} gives {text}, QuickJS {expected}",
            case.name
        );
        let factor = ours / theirs;
        if factor > worst.0 {
            worst = (factor, case.name);
        }
        println!(
            "{:<26}{:>14}{:>14}{factor:>10.2}",
            case.name,
            format!("{:.1} ms", ours * 1e3),
            format!("{:.1} ms", theirs * 1e3)
        );
    }
    println!("greatest factor: {:.2} ({})", worst.0, worst.1);
    Ok(())
}
