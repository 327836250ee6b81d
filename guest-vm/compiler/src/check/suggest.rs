//! "Did you mean": the nearest known name.

/// The candidate nearest to a name, if one is near enough.
pub fn suggest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    // Long names are never typed wrongly by accident; comparing them costs time.
    if name.len() > 64 {
        return None;
    }
    let limit = match name.chars().count() {
        // Of short names nearly all are near to each other.
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    candidates
        .filter(|candidate| candidate.len() <= 64 && *candidate != name)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        // Of two equally near ones the one with the same initial case: types look like types.
        .min_by_key(|(distance, candidate)| {
            (*distance, is_upper(candidate) != is_upper(name), *candidate)
        })
        .map(|(_, candidate)| candidate.to_string())
}

/// The names that a name is a part of, if they are few: who looks for `hex` may mean `toHex`.
pub fn longer<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    const SHORTEST: usize = 3;
    const MOST: usize = 3;
    if name.len() < SHORTEST || name.len() > 64 {
        return Vec::new();
    }
    let wanted = name.to_ascii_lowercase();
    let mut found: Vec<&str> = candidates
        .filter(|candidate| candidate.to_ascii_lowercase().contains(&wanted))
        .take(MOST + 1)
        .collect();
    found.sort_unstable();
    match found.len() {
        0..=MOST => found,
        _ => Vec::new(),
    }
}

fn is_upper(name: &str) -> bool {
    name.starts_with(|first: char| first.is_uppercase())
}

/// Edit distance with letter case ignored (a difference in case only counts 1 in all); two
/// neighbours that changed places count 1.
fn distance(left: &str, right: &str) -> usize {
    let a: Vec<char> = left.to_lowercase().chars().collect();
    let b: Vec<char> = right.to_lowercase().chars().collect();
    if a == b {
        return 1;
    }
    // The rows for the prefixes of `a` that are two and one shorter.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{longer, suggest};

    #[test]
    fn names_with_a_name_in_them_are_found() {
        let names = [
            "toHex", "ofHex", "length", "map", "flatMap", "xMap", "mapTo",
        ];
        assert_eq!(longer("hex", names.into_iter()), ["ofHex", "toHex"]);
        assert!(longer("he", names.into_iter()).is_empty());
        assert!(longer("map", names.into_iter()).is_empty(), "too many");
    }

    #[test]
    fn near_names_are_found() {
        let names = ["length", "map", "filter", "Length"];
        assert_eq!(
            suggest("lenght", names.into_iter()).as_deref(),
            Some("length")
        );
        assert_eq!(
            suggest("fliter", names.into_iter()).as_deref(),
            Some("filter")
        );
        assert_eq!(suggest("mpa", names.into_iter()).as_deref(), Some("map"));
        assert_eq!(suggest("qqqqqq", names.into_iter()), None);
        assert_eq!(suggest("circle", ["file", "article"].into_iter()), None);
        assert_eq!(suggest("x", ["y", "db"].into_iter()), None);
        assert_eq!(suggest("MAP", names.into_iter()).as_deref(), Some("map"));
    }
}
