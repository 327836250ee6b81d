//! Unicode simple case folding, for the `:ci` comparisons: no locale, no
//! normalisation, one character stays one character.

use std::cmp::Ordering;

/// The simple case folding of one character (statuses C and S of Unicode's
/// `CaseFolding.txt`).
pub fn fold_case_simple(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    unicode_case_mapping::case_folded(c)
        .and_then(|folded| char::from_u32(folded.get()))
        .unwrap_or(c)
}

/// The text with every character folded.
pub fn fold_string(text: &str) -> String {
    text.chars().map(fold_case_simple).collect()
}

/// Compares two texts by the UTF-8 bytes of their foldings.
pub fn compare_folded(a: &str, b: &str) -> Ordering {
    // The byte order of UTF-8 is the order of its scalar values.
    a.chars()
        .map(fold_case_simple)
        .cmp(b.chars().map(fold_case_simple))
}

/// True if two texts have the same folding.
pub fn equal_folded(a: &str, b: &str) -> bool {
    a.chars()
        .map(fold_case_simple)
        .eq(b.chars().map(fold_case_simple))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_one_character_to_one() {
        for (from, to) in [
            ('A', 'a'),
            ('z', 'z'),
            ('Ä', 'ä'),
            ('ß', 'ß'),
            ('ẞ', 'ß'),
            ('Σ', 'σ'),
            ('ς', 'σ'),
            ('K', 'k'),
            ('İ', 'İ'),
            ('ſ', 's'),
            ('Ა', 'ა'),
            ('ꭰ', 'Ꭰ'),
        ] {
            assert_eq!(fold_case_simple(from), to, "{from}");
        }
    }

    #[test]
    fn compares_foldings() {
        assert!(equal_folded("ÅNGSTRÖM", "ångström"));
        assert_eq!(compare_folded("B", "a"), Ordering::Greater);
        assert!(!equal_folded("ss", "ß"));
    }
}
