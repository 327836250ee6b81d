//! The module with everything that makes a component of it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Ident, Item, ItemMod, LitByteStr, LitStr, Result, Visibility};

use crate::options::{Options, is_name};
use crate::signature;

/// Behind `#[plugin]`.
pub fn plugin(options: TokenStream, module: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let mut module: ItemMod = syn::parse2(module).map_err(|error| {
        Error::new(
            error.span(),
            "#[plugin] stands before a module with its functions: `mod words { pub fn … }`",
        )
    })?;
    let span = module.ident.span();
    let Some((_, items)) = &mut module.content else {
        return Err(Error::new(
            span,
            "the functions of a plugin stand in the module itself: `mod words { … }`, not `mod words;`",
        ));
    };
    let family = match options.name {
        Some(name) => name,
        None => foreign_part(
            &module.ident,
            "the functions are named after their module, so its name has letters a to z, digits and `_` and begins with a letter: rename it, or `#[plugin(name = \"…\")]`",
        )?,
    };
    let inside = &module.ident;
    let mut functions = Vec::new();
    for item in items {
        let Item::Fn(function) = item else { continue };
        if !matches!(function.vis, Visibility::Public(_)) {
            if let Some(stray) = function.attrs.iter().find(|one| one.path().is_ident("mix")) {
                return Err(Error::new(
                    stray.span(),
                    "this function is not `pub`, so it is no foreign function",
                ));
            }
            continue;
        }
        let read = signature::read(function)?;
        let name = &function.sig.ident;
        let kind = match read.waits {
            true => quote!(start),
            false => quote!(call),
        };
        let verb = foreign_part(
            name,
            "the name of a foreign function has letters a to z, digits and `_` and begins with a letter",
        )?;
        let foreign = LitStr::new(&format!("${family}_{verb}"), name.span());
        let (doc, parameters) = (&read.doc, &read.parameters);
        let mix = format!("Type: {}", read.mix);
        functions.push(quote! {
            #(#[doc = #doc])*
            #[doc = ""]
            #[doc = #mix]
            #kind #foreign = #inside::#name(#(#parameters),*);
        });
    }
    if functions.is_empty() {
        return Err(Error::new(span, "a plugin needs at least one `pub fn`"));
    }
    let bound = options.caller.then(|| quote!(bound;));
    let manifest = manifest(&family, &options.needs);
    Ok(quote! {
        #module
        ::mix_plugin_sdk::family! { #bound #(#functions)* }
        #manifest
    })
}

/// A name of Rust as a part of names in Mix; the error is `rule` if it cannot be one.
fn foreign_part(name: &Ident, rule: &str) -> Result<String> {
    // `r#type` is called `type`.
    let text = name.unraw().to_string();
    match is_name(&text) {
        true => Ok(text),
        false => Err(Error::new(name.span(), rule)),
    }
}

/// Name, version of the crate and needs, as a custom section of the component (`mix-plugin`).
fn manifest(family: &str, needs: &[String]) -> TokenStream {
    let needs: Vec<String> = needs.iter().map(|need| format!("{need:?}")).collect();
    let version = std::env::var("CARGO_PKG_VERSION").ok();
    let version = version.map_or_else(String::new, |text| format!("\"version\":{text:?},"));
    let text = format!(
        "{{\"name\":{family:?},{version}\"needs\":[{}]}}\n",
        needs.join(",")
    );
    let (bytes, length) = (
        LitByteStr::new(text.as_bytes(), Span::call_site()),
        text.len(),
    );
    quote! {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        mod plugin_manifest {
            #[used]
            #[unsafe(link_section = "mix-plugin")]
            static MANIFEST: [u8; #length] = *#bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: &str, module: &str) -> Result<String> {
        let parse = |text: &str| text.parse::<TokenStream>().expect("it is Rust");
        plugin(parse(options), parse(module)).map(|tokens| tokens.to_string())
    }

    fn error(options: &str, module: &str) -> String {
        expanded(options, module).unwrap_err().to_string()
    }

    #[test]
    fn public_functions_become_foreign_ones() {
        let text = expanded(
            "name = \"text\", caller, needs(\"http:*.example.com:8443\", \"env:_REGION\")",
            "mod words {
                /// Counts.
                pub fn count(text: String, all: Option<bool>) -> Result<i64, Failure> { Ok(1) }
                #[mix(\"string -> stream(string)\")]
                pub async fn each(text: String) -> Many { split(text) }
                pub fn now() {}
                pub fn r#type() {}
                fn helper<T>(of: &T) {}
                const X: u8 = 1;
            }",
        )
        .unwrap();
        for part in [
            "bound ;",
            "call \"$text_count\" = words :: count (String , Option < bool >)",
            "Type: string -> bool -> number",
            "start \"$text_each\" = words :: each (String)",
            "Type: string -> stream(string)",
            "Type: null -> null",
            "call \"$text_type\" = words :: r#type ()",
            // That of the crate whose plugin it is, here of this one.
            concat!("\\\"version\\\":\\\"", env!("CARGO_PKG_VERSION")),
            "\\\"needs\\\":[\\\"http:*.example.com:8443\\\",\\\"env:_REGION\\\"]",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(!text.contains("text_helper") && !text.contains("# [mix"));
    }

    #[test]
    fn types_have_names_in_mix() {
        let text = expanded(
            "",
            "mod m { pub fn f(a: Vec<u8>, b: Bytes, c: Vec<Value>, d: Map, e: f64, g: Arc<str>, h: Handle, i: Option<Handle>) -> Option<Vec<String>> { None } }",
        )
        .unwrap();
        assert!(text.contains(
            "Type: binary -> binary -> array(data) -> map(data) -> number -> string -> data -> data -> array(string)"
        ), "{text}");
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        for (options, module, part) in [
            ("", "fn f() {}", "stands before a module"),
            ("", "mod m;", "in the module itself"),
            ("", "mod m { fn f() {} }", "at least one `pub fn`"),
            ("", "mod m { pub fn f(&self) {} }", "no `self`"),
            ("", "mod m { pub fn f<T>(x: T) {} }", "no type parameters"),
            ("", "mod m { pub fn f(x: &str) {} }", "take `String`"),
            ("", "mod m { pub fn f(x: &[u8]) {} }", "take `Bytes`"),
            (
                "",
                "mod m { pub fn f(x: impl Into<String>) {} }",
                "type of its own",
            ),
            ("", "mod m { pub fn f((a, b): Pair) {} }", "is a name"),
            ("", "mod m { pub unsafe fn f() {} }", "not `unsafe`"),
            (
                "",
                "mod m { pub extern \"C\" fn f() {} }",
                "plain Rust function",
            ),
            ("", "mod m { #[mix(x)] pub fn f() {} }", "one text"),
            (
                "",
                "mod m { #[mix(\"string\")] pub fn f() {} }",
                "contains `->`",
            ),
            (
                "",
                "mod m { #[mix(\"null -> null\")] fn f() {} }",
                "is not `pub`",
            ),
            (
                "",
                "mod größen { pub fn f() {} }",
                "named after their module",
            ),
            ("", "mod m { pub fn _f() {} }", "begins with a letter"),
            ("", "mod m { pub fn größe() {} }", "letters a to z"),
            ("color = 1", "mod m { pub fn f() {} }", "unknown option"),
            (
                "name = \"a b\"",
                "mod m { pub fn f() {} }",
                "begins with a letter",
            ),
            ("needs(\"disk\")", "mod m { pub fn f() {} }", "a need is"),
            ("needs(\"http:\")", "mod m { pub fn f() {} }", "a need is"),
            ("needs(\"env:A B\")", "mod m { pub fn f() {} }", "a need is"),
        ] {
            let text = error(options, module);
            assert!(text.contains(part), "{module}: {text}");
        }
    }
}
