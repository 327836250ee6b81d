//! Pages of modules, the start page and its search.

use mix_compiler::documentation::ModuleDocumentation;
use serde_json::json;

use crate::text::{escaped, html};

/// The page of a module.
pub(crate) fn path(module: &ModuleDocumentation) -> String {
    format!("{}.html", module.name)
}

fn frame(title: &str, heading: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n\
         <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n<h1>{}</h1>\n{body}\
         <script src=\"search.js\"></script>\n</body>\n</html>\n",
        escaped(title),
        escaped(heading)
    )
}

const SEARCH_BOX: &str = "<p><input id=\"query\" type=\"search\" placeholder=\"Search for a name\" \
     aria-label=\"Search for a name\" autocomplete=\"off\"></p>\n<ul id=\"found\"></ul>\n";

/// The first sentence of a comment.
fn summary(text: &str) -> &str {
    let paragraph = text.split("\n\n").next().unwrap_or("");
    match paragraph.find(". ").or_else(|| paragraph.find(".\n")) {
        Some(at) => &paragraph[..=at],
        None => paragraph,
    }
}

/// The list of all modules.
pub(crate) fn start(title: &str, modules: &[ModuleDocumentation]) -> String {
    let mut body = String::from(SEARCH_BOX);
    body.push_str("<dl>\n");
    for module in modules {
        body.push_str(&format!(
            "<dt><a href=\"{}\">{}</a></dt>\n<dd>{}</dd>\n",
            escaped(&path(module)),
            escaped(&module.name),
            html(summary(&module.text))
        ));
    }
    body.push_str("</dl>\n");
    frame(title, title, &body)
}

/// The page of a module.
pub(crate) fn module(title: &str, module: &ModuleDocumentation) -> String {
    let mut body = format!(
        "<p><a href=\"index.html\">{}</a></p>\n{SEARCH_BOX}<pre>{}</pre>\n{}",
        escaped(title),
        escaped(&module.signature),
        html(&module.text)
    );
    for item in &module.items {
        let name = escaped(&item.name);
        body.push_str(&format!(
            "<section id=\"{name}\">\n<h2><a href=\"#{name}\">{name}</a></h2>\n<pre>{}</pre>\n",
            escaped(&item.signature)
        ));
        if !item.params.is_empty() {
            body.push_str(&format!(
                "<p class=\"params\"><code>{name}({})</code></p>\n",
                escaped(&item.params.join(", "))
            ));
        }
        body.push_str(&html(&item.text));
        body.push_str("</section>\n");
    }
    frame(&format!("{} · {title}", module.name), &module.name, &body)
}

/// The script of the search with its index.
pub(crate) fn search(modules: &[ModuleDocumentation]) -> String {
    let entries: Vec<serde_json::Value> = modules
        .iter()
        .flat_map(|module| {
            let page = path(module);
            let own = json!([module.name, page, module.signature]);
            let items = module.items.iter().map(move |item| {
                let name = format!("{}.{}", module.name, item.name);
                json!([name, format!("{page}#{}", item.name), item.signature])
            });
            std::iter::once(own).chain(items)
        })
        .collect();
    format!(
        "const names = {};\n{}",
        serde_json::Value::Array(entries),
        include_str!("search.js")
    )
}
