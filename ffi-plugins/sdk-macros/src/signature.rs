//! A Rust function as a foreign function, or what is wrong with it.

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, ItemFn, Lit, LitStr, Meta, Pat,
    PathArguments, Result, ReturnType, Type,
};

/// Most parameters of a function.
const MOST_PARAMETERS: usize = 255;

/// What a foreign function needs to be declared.
pub struct Signature {
    /// Lines of documentation, as they stand behind `///`.
    pub doc: Vec<String>,
    /// Types of the parameters.
    pub parameters: Vec<Type>,
    /// Its type in Mix.
    pub mix: String,
    /// True if it may wait.
    pub waits: bool,
}

/// Reads a function, and takes the attributes off that the compiler does not know.
pub fn read(function: &mut ItemFn) -> Result<Signature> {
    let wrong = |span, text: &str| Err(Error::new(span, text));
    let signature = &function.sig;
    if let Some(unsafety) = &signature.unsafety {
        return wrong(unsafety.span(), "a foreign function is not `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        return wrong(abi.span(), "a foreign function is a plain Rust function");
    }
    if let Some(first) = signature.generics.params.first() {
        return wrong(
            first.span(),
            "a foreign function has no type parameters and no lifetimes: Mix passes values of fixed types",
        );
    }
    if signature.inputs.len() > MOST_PARAMETERS {
        return wrong(
            signature.inputs.span(),
            "a foreign function has at most 255 parameters",
        );
    }
    let mut parameters = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                return wrong(receiver.span(), "a foreign function has no `self`");
            }
            FnArg::Typed(typed) => {
                if !matches!(*typed.pat, Pat::Ident(_) | Pat::Wild(_)) {
                    return wrong(
                        typed.pat.span(),
                        "a parameter of a foreign function is a name",
                    );
                }
                match &*typed.ty {
                    Type::Reference(reference) => {
                        let owned = match reference.elem.to_token_stream().to_string().as_str() {
                            "str" => "String",
                            "[u8]" => "Bytes",
                            _ => "the type itself",
                        };
                        return wrong(
                            reference.span(),
                            &format!("arguments are passed by value: take `{owned}`"),
                        );
                    }
                    Type::ImplTrait(of) => {
                        return wrong(
                            of.span(),
                            "a parameter of a foreign function has a type of its own",
                        );
                    }
                    other => parameters.push(other.clone()),
                }
            }
        }
    }
    let given = own_type(&mut function.attrs)?;
    let mix = match given {
        Some(given) => given,
        None => in_mix(&parameters, &function.sig.output),
    };
    Ok(Signature {
        doc: documentation(&function.attrs),
        parameters,
        mix,
        waits: function.sig.asyncness.is_some(),
    })
}

/// `#[mix("string -> number")]`, taken off.
fn own_type(attributes: &mut Vec<Attribute>) -> Result<Option<String>> {
    let Some(place) = attributes.iter().position(|one| one.path().is_ident("mix")) else {
        return Ok(None);
    };
    let attribute = attributes.remove(place);
    let text: LitStr = attribute.parse_args().map_err(|_| {
        Error::new(
            attribute.span(),
            "the type in Mix is one text: `#[mix(\"string -> number\")]`",
        )
    })?;
    if !text.value().contains("->") {
        return Err(Error::new(text.span(), "a function type contains `->`"));
    }
    Ok(Some(text.value()))
}

fn documentation(attributes: &[Attribute]) -> Vec<String> {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect()
}

/// The type of a function in Mix, from its Rust types.
fn in_mix(parameters: &[Type], output: &ReturnType) -> String {
    let result = match output {
        ReturnType::Default => "null".to_owned(),
        ReturnType::Type(_, of) => one(of),
    };
    let mut parts: Vec<String> = parameters.iter().map(one).collect();
    if parts.is_empty() {
        parts.push("null".to_owned());
    }
    parts.push(result);
    parts.join(" -> ")
}

fn one(of: &Type) -> String {
    let path = match of {
        Type::Path(path) => &path.path,
        Type::Tuple(tuple) if tuple.elems.is_empty() => return "null".to_owned(),
        Type::Reference(reference) => return one(&reference.elem),
        Type::Slice(_) => return "binary".to_owned(),
        _ => return "data".to_owned(),
    };
    let Some(last) = path.segments.last() else {
        return "data".to_owned();
    };
    let inner: Vec<&Type> = match &last.arguments {
        PathArguments::AngleBracketed(list) => list
            .args
            .iter()
            .filter_map(|argument| match argument {
                GenericArgument::Type(of) => Some(of),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let name = last.ident.to_string();
    match (name.as_str(), inner.as_slice()) {
        ("String" | "str", _) => "string".to_owned(),
        ("i64" | "f64" | "u8", _) => "number".to_owned(),
        ("bool", _) => "bool".to_owned(),
        ("Bytes", _) => "binary".to_owned(),
        ("Vec", [of]) if of.to_token_stream().to_string() == "u8" => "binary".to_owned(),
        ("Vec", [of]) => format!("array({})", one(of)),
        ("Arc" | "Box" | "Rc", [of]) => one(of),
        ("Result", [of, ..]) => one(of),
        ("Map", _) => "map(data)".to_owned(),
        ("Many", _) => "stream(data)".to_owned(),
        // Null is a value of all types of data.
        ("Option", [of]) => one(of),
        // Of handles too, which have no type of their own in programs.
        _ => "data".to_owned(),
    }
}
