//! "Did you mean": the nearest known name.

/// The candidate nearest to a name, if one is near enough.
pub fn suggest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    // Long names are never typed wrongly by accident; comparing them costs time.
    if name.len() > 64 {
        return None;
    }
    let limit = match name.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .filter(|candidate| candidate.len() <= 64 && *candidate != name)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        // Of two equally near ones the one with the same initial case: types look like types.
        .min_by_key(|(distance, candidate)| {
            (*distance, is_upper(candidate) != is_upper(name), *candidate)
        })
        .map(|(_, candidate)| candidate.to_string())
}

fn is_upper(name: &str) -> bool {
    name.starts_with(|first: char| first.is_uppercase())
}

/// Edit distance with letter case ignored (a difference in case only counts 1 in all).
fn distance(left: &str, right: &str) -> usize {
    let a: Vec<char> = left.to_lowercase().chars().collect();
    let b: Vec<char> = right.to_lowercase().chars().collect();
    if a == b {
        return 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

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
        assert_eq!(suggest("qqqqqq", names.into_iter()), None);
        assert_eq!(suggest("MAP", names.into_iter()).as_deref(), Some("map"));
    }
}
