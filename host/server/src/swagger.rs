//! Swagger UI: pages that read the description of the interface. All of it is in the program.

use mix_http_api::{ApiError, Done};
use mix_package::{Archive, Limits};
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::OnceLock;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

/// Largest file that is sent.
const LARGEST: u64 = 16 << 20;

/// The files of the archive that the page needs, with their types.
const FILES: [(&str, &str); 3] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("favicon-32x32.png", "image/png"),
];

/// Nothing of the page is in it, so that nothing in a page may run but what is sent beside it.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>mixer</title>
<link rel="stylesheet" href="swagger-ui.css">
<link rel="icon" type="image/png" href="favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</body>
</html>
"#;

const START: &str = r##"window.ui = SwaggerUIBundle({
  url: "../_doc/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"##;

/// A file by its path below `/v1/swagger`.
pub fn file(path: &str) -> Result<Done, ApiError> {
    let (kind, bytes) = match path.trim_start_matches('/') {
        "" | "index.html" => ("text/html; charset=utf-8", PAGE.as_bytes()),
        "start.js" => ("text/javascript; charset=utf-8", START.as_bytes()),
        name => {
            let found = FILES.iter().find(|(file, _)| *file == name);
            let bytes = files().get(name);
            match (found, bytes) {
                (Some((_, kind)), Some(bytes)) => (*kind, bytes.as_slice()),
                _ => return Err(ApiError::new(404, "not_found", "no such file")),
            }
        }
    };
    Ok(Done::Asset(kind, bytes.to_vec()))
}

/// Unpacked when somebody asks for the first time.
fn files() -> &'static HashMap<&'static str, Vec<u8>> {
    static UNPACKED: OnceLock<HashMap<&'static str, Vec<u8>>> = OnceLock::new();
    UNPACKED.get_or_init(|| {
        let archive = Archive::open(Cursor::new(SWAGGER_UI_VENDORED), &Limits::PACKAGE);
        let Ok(mut archive) = archive else {
            tracing::error!("the pages of Swagger UI cannot be read");
            return HashMap::new();
        };
        let mut unpacked = HashMap::new();
        for (file, _) in FILES {
            let end = format!("/dist/{file}");
            let entry = archive.names().find(|name| name.ends_with(&end));
            if let Some(entry) = entry.map(str::to_owned)
                && let Ok(bytes) = archive.read(&entry, LARGEST)
            {
                unpacked.insert(file, bytes);
            }
        }
        unpacked
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_the_page_are_there() {
        for path in ["", "/index.html", "/start.js"]
            .into_iter()
            .chain(FILES.map(|(file, _)| file))
        {
            assert!(
                matches!(file(path), Ok(Done::Asset(_, bytes)) if !bytes.is_empty()),
                "{path}"
            );
        }
        assert_eq!(file("/swagger-ui.js").expect_err("none").code, "not_found");
    }
}
