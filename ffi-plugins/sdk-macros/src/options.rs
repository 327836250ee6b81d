//! What stands behind `#[plugin(…)]`.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Result, Token, parenthesized};

/// The options of a plugin.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// First part of the names of its functions, other than the name of the module.
    pub name: Option<String>,
    /// True if it wants to know its caller.
    pub caller: bool,
    /// Grants that it needs.
    pub needs: Vec<String>,
}

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Options> {
        let mut options = Options::default();
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            match option.to_string().as_str() {
                "name" => {
                    input.parse::<Token![=]>()?;
                    let name: LitStr = input.parse()?;
                    if !is_name(&name.value()) {
                        return Err(Error::new(
                            name.span(),
                            "a name consists of letters, digits and `_` and begins with a letter",
                        ));
                    }
                    options.name = Some(name.value());
                }
                "caller" => options.caller = true,
                "needs" => {
                    let list;
                    parenthesized!(list in input);
                    for need in Punctuated::<LitStr, Token![,]>::parse_terminated(&list)? {
                        options.needs.push(checked_need(&need)?);
                    }
                }
                _ => {
                    return Err(Error::new(
                        option.span(),
                        "unknown option: `name = \"…\"`, `caller` or `needs(\"http\", \"folder\", \"env:NAME\")`",
                    ));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// Whether it can be a part of the names of foreign functions.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && is_word(text)
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_part)
}

/// What a host is in full is looked at when the plugin is loaded: a name or an address, `*.` before it, `:PORT` behind it.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._*:[]".contains(&byte))
}

fn checked_need(need: &LitStr) -> Result<String> {
    let text = need.value();
    let known = match text.split_once(':') {
        None => matches!(text.as_str(), "http" | "folder"),
        Some(("http", host)) => is_host(host),
        Some(("env", name)) => is_word(name),
        Some(_) => false,
    };
    if !known {
        return Err(Error::new(
            need.span(),
            "a need is `http` (outbound requests), `http:HOST` (to that host only), `folder` (a folder of its own) or `env:NAME` (a variable)",
        ));
    }
    Ok(text)
}
