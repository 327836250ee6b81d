//! Library functions at doubling sizes: the factor by which the time grows is
//! about 2 for linear work, a little more for sorting, and 4 if something is quadratic.

use anyhow::Result;

use crate::cases::CASES;
use crate::mix;

/// Sizes, each twice the one before; the last is a little over a million.
const SIZES: [u32; 5] = [1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20];

/// Prints the table; with names, only of these functions.
pub fn print(only: &[String]) -> Result<()> {
    print!("{:<26}", "function");
    for size in SIZES {
        print!("{size:>12}");
    }
    println!("{:>10}", "growth");
    for case in CASES {
        if !only.is_empty() && !only.iter().any(|name| name == case.name) {
            continue;
        }
        print!("{:<26}", case.name);
        let mut times = Vec::new();
        for size in SIZES {
            let time = mix::measure(case, size)?.0;
            print!("{:>12}", format!("{:.1} ms", time * 1e3));
            times.push(time);
        }
        let doublings = (times.len() - 1) as f64;
        let growth = (times[times.len() - 1] / times[0]).powf(1.0 / doublings);
        println!("{growth:>10.2}");
    }
    Ok(())
}
