//! The table: times, and how many times faster Mix is than each peer.

use std::fmt::Write;
use std::time::Duration;

/// Times of one program, one for each engine.
pub type Row = (String, Vec<Option<Duration>>);

/// Prints a table. A ratio is the time of the peer divided by the time of Mix: above 1 Mix is faster.
pub fn render(names: &[&str], rows: &[Row]) -> String {
    let mixes: Vec<usize> = columns(names, true);
    let peers: Vec<usize> = columns(names, false);
    let pairs: Vec<(usize, usize)> = mixes
        .iter()
        .flat_map(|&mix| peers.iter().map(move |&peer| (mix, peer)))
        .collect();
    let mut out = String::new();
    let _ = write!(out, "{:<18}", "program");
    for name in names {
        let _ = write!(out, "{name:>15}");
    }
    for &(mix, peer) in &pairs {
        let label = names[mix].trim_start_matches("Mix ");
        let _ = write!(out, "{:>22}", format!("{label} / {}", names[peer]));
    }
    out.push('\n');
    for (name, times) in rows {
        let _ = write!(out, "{name:<18}");
        for time in times {
            let text = time.map_or("-".into(), |time| {
                format!("{:.1} ms", time.as_secs_f64() * 1e3)
            });
            let _ = write!(out, "{text:>15}");
        }
        for &(mix, peer) in &pairs {
            let text = ratio(times, mix, peer).map_or("-".into(), |ratio| format!("{ratio:.2}"));
            let _ = write!(out, "{text:>22}");
        }
        out.push('\n');
    }
    if rows.len() > 1 {
        let width = 18 + 15 * names.len();
        let _ = write!(out, "{:<width$}", "geometric mean");
        for &(mix, peer) in &pairs {
            let logs: Vec<f64> = rows
                .iter()
                .filter_map(|(_, times)| ratio(times, mix, peer))
                .map(f64::ln)
                .collect();
            let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            let _ = write!(out, "{:>22}", format!("{mean:.2}"));
        }
        out.push('\n');
    }
    out
}

fn columns(names: &[&str], mix: bool) -> Vec<usize> {
    let is_mix = |name: &str| name.starts_with("Mix");
    (0..names.len())
        .filter(|&index| is_mix(names[index]) == mix)
        .collect()
}

fn ratio(times: &[Option<Duration>], mix: usize, peer: usize) -> Option<f64> {
    Some(times[peer]?.as_secs_f64() / times[mix]?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_and_their_mean() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let rows = [
            ("a".to_owned(), vec![ms(100), ms(200)]),
            ("b".to_owned(), vec![ms(100), ms(800)]),
            ("c".to_owned(), vec![ms(100), None]),
        ];
        let table = render(&["Mix native", "QuickJS"], &rows);
        assert!(table.contains("100.0 ms"), "{table}");
        assert!(table.contains("2.00") && table.contains("8.00"), "{table}");
        let last = table.lines().last().expect("a table has lines");
        assert!(
            last.starts_with("geometric mean") && last.ends_with("4.00"),
            "{table}"
        );
    }
}
