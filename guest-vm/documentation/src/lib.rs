//! A static site of the documentation of modules.
//!
//! [`site`] turns what the compiler knows of modules
//! ([`mix_compiler::documentation()`], [`mix_compiler::library_documentation`]) into files: a
//! start page with a search over all names, a page for each module, one style sheet and one
//! script. Nothing is fetched from elsewhere, so that the folder works when it is opened
//! from disk.
//!
//! * [`page`]: pages of modules and the start page
//! * [`text`]: doc comments as HTML

mod page;
mod text;

use mix_compiler::documentation::ModuleDocumentation;

/// A file of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path below the folder of the site.
    pub path: String,
    /// Its content.
    pub content: String,
}

fn file(path: impl Into<String>, content: impl Into<String>) -> File {
    File {
        path: path.into(),
        content: content.into(),
    }
}

/// The files of a site about some modules, which stand there in the given order.
#[must_use]
pub fn site(title: &str, modules: &[ModuleDocumentation]) -> Vec<File> {
    let mut files = vec![
        file("index.html", page::start(title, modules)),
        file("search.js", page::search(modules)),
        file("style.css", include_str!("style.css")),
    ];
    for module in modules {
        files.push(file(page::path(module), page::module(title, module)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Vec<ModuleDocumentation> {
        ["array", "string", "calendar"]
            .into_iter()
            .filter_map(mix_compiler::library_documentation)
            .collect()
    }

    fn content<'a>(files: &'a [File], path: &str) -> &'a str {
        files
            .iter()
            .find(|file| file.path == path)
            .map_or("", |file| &file.content)
    }

    #[test]
    fn the_library_as_a_site() {
        let files = site("The library", &library());
        assert_eq!(files.len(), 6);
        let start = content(&files, "index.html");
        assert!(start.contains("<title>The library</title>"));
        assert!(start.contains("href=\"array.html\""));
        let array = content(&files, "array.html");
        assert!(array.contains("id=\"map\""), "an anchor for each name");
        assert!(array.contains("(S -&gt; T) -&gt; array(S) -&gt; array(T)"));
        assert!(array.contains("array.map(x -&gt; x * x, [1, 2, 3])"));
        assert!(content(&files, "search.js").contains("\"calendar.addDays\""));
    }

    #[test]
    fn every_name_of_the_library_can_be_found() {
        let all: Vec<ModuleDocumentation> = mix_stdlib::modules()
            .iter()
            .filter_map(|module| mix_compiler::library_documentation(module.name))
            .collect();
        let files = site("The library", &all);
        let index = content(&files, "search.js");
        for module in &all {
            let page = content(&files, &format!("{}.html", module.name));
            for item in &module.items {
                assert!(
                    page.contains(&format!("id=\"{}\"", item.name)),
                    "{}",
                    item.name
                );
                let full = format!("\"{}.{}\"", module.name, item.name);
                assert!(index.contains(&full), "{full}");
            }
        }
    }

    #[test]
    fn texts_of_modules_are_no_markup() {
        let source = "/// <script>alert(1)</script> \"&\nmodule m\n/// `a<b>`\ndef f = \"</script>\"\nmodule end\n";
        let files = [mix_compiler::SourceFile::new("m.mix", source)];
        let documented = mix_compiler::documentation(&files);
        for file in site("</title><b>", &documented.modules) {
            assert!(!file.content.contains("<script>alert"), "{}", file.path);
            assert!(!file.content.contains("</title><b>"), "{}", file.path);
            assert!(!file.content.contains("<b>`"), "{}", file.path);
        }
    }
}
