//! Names of the folders of apps.

use crate::percent;

/// The folder of an app: its name with every byte outside of `[A-Za-z0-9_-]` written `%XX`.
pub fn folder_name(app: &str) -> String {
    percent::encode(app, b"_-")
}

/// The app of a folder; none if no app is stored under that name.
pub fn app_of_folder(folder: &str) -> Option<String> {
    let name = String::from_utf8(percent::decode(folder)?).ok()?;
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
