//! The modules whose type variables are fixed to `data`: `dataArray` has the functions of
//! `array`, and so on. Their sources are made of those of the modules they stand for.

/// Name of a module with fixed types, and of the one it stands for.
pub(crate) const FIXED: [(&str, &str); 5] = [
    ("dataArray", "array"),
    ("dataMap", "map"),
    ("dataOption", "option"),
    ("dataResult", "result"),
    ("dataStream", "stream"),
];

/// The source text of a module with fixed types.
pub(crate) fn source(name: &str, of: &str, text: &str) -> String {
    let mut out = format!(
        "/// The functions of module `{of}` for values of type `data`: there is no difference when they run.\n\
         module {name}\n\n"
    );
    let mut comment = String::new();
    // In and after a function with the name of the other module that name is the function's.
    let mut last = String::new();
    for line in text.lines() {
        if line.starts_with("/// ") || line == "///" {
            comment.push_str(&example_of(line, name, of));
            comment.push('\n');
            continue;
        }
        if let Some((function, ty)) = declaration(line) {
            let ty = fixed_type(ty, of);
            if function == of {
                out.push_str(&format!(
                    "private def same : {ty}\nprivate def same = {of}.{function}\n\n"
                ));
                last = format!("{comment}def {function} : {ty}\ndef {function} = same\n\n");
            } else {
                out.push_str(&format!(
                    "{comment}def {function} : {ty}\ndef {function} = {of}.{function}\n\n"
                ));
            }
        }
        comment.clear();
    }
    out.push_str(&last);
    out.push_str("module end\n");
    out
}

/// Name and type of a public function or value that a line declares.
fn declaration(line: &str) -> Option<(&str, &str)> {
    let rest = line
        .strip_prefix("def ")
        .or(line.strip_prefix("foreign def "))?;
    let (name, ty) = rest.split_once(" : ")?;
    Some((name, ty.split(" = \"").next().unwrap_or(ty)))
}

/// A line of documentation; examples call the functions of the other module.
fn example_of(line: &str, name: &str, of: &str) -> String {
    let qualifier = format!("{of}.");
    if !line.starts_with("///     ") {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(&qualifier) {
        let whole_word = !rest[..at].ends_with(is_word);
        out.push_str(&rest[..at]);
        out.push_str(if whole_word { name } else { of });
        out.push('.');
        rest = &rest[at + qualifier.len()..];
    }
    out.push_str(rest);
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A type with `data` for its variables, which are single capital letters; types of the module get its name.
fn fixed_type(ty: &str, of: &str) -> String {
    let mut out = String::new();
    let mut rest = ty;
    while let Some(start) = rest.find(is_word) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        match &rest[..end] {
            word if word.len() == 1 && word.starts_with(|c: char| c.is_ascii_uppercase()) => {
                out.push_str("data");
            }
            "tee" => out.push_str(&format!("{of}.tee")),
            word => out.push_str(word),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_data() {
        for (ty, fixed) in [
            (
                "(S -> T) -> stream(S) -> stream(T)",
                "(data -> data) -> stream(data) -> stream(data)",
            ),
            ("result(E, array(U))", "result(data, array(data))"),
            ("tee(S) -> stream(S)", "stream.tee(data) -> stream(data)"),
            ("null -> stream(number)", "null -> stream(number)"),
        ] {
            assert_eq!(fixed_type(ty, "stream"), fixed);
        }
    }

    #[test]
    fn public_functions_stay() {
        let text = "/// About.\nmodule array\n\nprivate def p : S -> S\n\n/// One.\n///\n///     array.one(array.empty)  //= 1\n\
                    foreign def one : array(S) -> S = \"#one\"\n\nmodule end\n";
        assert_eq!(
            source("dataArray", "array", text),
            "/// The functions of module `array` for values of type `data`: there is no difference when they run.\n\
             module dataArray\n\n/// One.\n///\n///     dataArray.one(dataArray.empty)  //= 1\n\
             def one : array(data) -> data\ndef one = array.one\n\nmodule end\n"
        );
    }
}
