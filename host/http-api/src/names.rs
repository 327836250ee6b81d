//! Names and identifiers in paths.

/// What a workspace name is, for people.
pub const WORKSPACE_NAME: &str = "1 to 64 letters, digits, `_` or `-`";

/// What an app name is, for people.
pub const APP_NAME: &str = "2 to 128 letters, digits, `_`, `-` or `.`";

/// True for a workspace name: `[A-Za-z0-9_][A-Za-z0-9_-]{0,63}`.
pub fn is_workspace_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && is_word(bytes[0])
        && bytes[1..]
            .iter()
            .all(|byte| is_word(*byte) || *byte == b'-')
}

/// True for an app name: `[A-Za-z0-9_][A-Za-z0-9_.-]{1,127}`, not ending in `.`.
pub fn is_app_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (2..=128).contains(&bytes.len())
        && is_word(bytes[0])
        && bytes[1..]
            .iter()
            .all(|byte| is_word(*byte) || matches!(byte, b'-' | b'.'))
        && bytes[bytes.len() - 1] != b'.'
}

/// True for the name of an agent, query or alias: `[A-Za-z_][A-Za-z0-9_.-]{0,127}`.
pub fn is_agent_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len())
        && is_word(bytes[0])
        && !bytes[0].is_ascii_digit()
        && bytes[1..]
            .iter()
            .all(|byte| is_word(*byte) || matches!(byte, b'-' | b'.'))
}

/// True for a record id or revision: 32 letters and digits.
pub(crate) fn is_record_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The app with the activity log of its workspace.
pub const LOGGING_APP: &str = "_rmx_logging";

/// True for apps that no endpoint shows.
pub(crate) fn is_hidden_app(text: &str) -> bool {
    matches!(text, "_rmx_admin" | "_rmx_secrets")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_patterns() {
        assert!(is_workspace_name("local") && is_workspace_name("a-b_9"));
        assert!(!is_workspace_name("") && !is_workspace_name("-a") && !is_workspace_name("a.b"));
        assert!(
            is_app_name("my.app")
                && !is_app_name("a")
                && !is_app_name("ab.")
                && !is_app_name("a/b")
        );
        assert!(
            is_agent_name("f")
                && is_agent_name("_x.y")
                && !is_agent_name("9x")
                && !is_agent_name(".x")
        );
        assert!(is_record_id("0123456789abcdefABCDEF0123456789") && !is_record_id("x"));
    }
}
