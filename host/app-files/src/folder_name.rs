//! Names of the folders of apps.

/// The folder of an app: its name with every byte outside of `[A-Za-z0-9_-]` written `%XX`.
pub fn folder_name(app: &str) -> String {
    let mut name = String::with_capacity(app.len());
    for byte in app.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// The app of a folder; none if no app is stored under that name.
pub fn app_of_folder(folder: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    let name = String::from_utf8(bytes).ok()?;
    (folder_name(&name) == folder).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_reversible() {
        assert_eq!(folder_name("my.app-1_x"), "my%2Eapp-1_x");
        assert_eq!(app_of_folder("my%2Eapp-1_x").as_deref(), Some("my.app-1_x"));
        for other in [".install", "my.app", "a%2", "a%zz", "a%2e", "%41"] {
            assert_eq!(app_of_folder(other), None, "{other}");
        }
    }
}
