//! The contracts against their released texts (`wit/released`): a component that was built
//! for a release must fit as long as the version of the package says so. Interfaces may be
//! added; what is there may not change, because one side of it is built already.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use wit_parser::{Function, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId, WorldItem};

const FFI: &str = include_str!("../../../../wit/ffi/ffi.wit");
const PACKED: &str = include_str!("../../../../wit/packed/packed.wit");
const VM: &str = include_str!("../../../../wit/vm/vm.wit");
const SWITCHBOARD: &str = include_str!("../../../../wit/switchboard/switchboard.wit");
const CONTENTS: &str = include_str!("../../../../wit/app/contents.wit");

const RELEASED_FFI: &str = include_str!("../../../../wit/released/0.1.0/ffi.wit");
const RELEASED_VM: &str = include_str!("../../../../wit/released/0.1.0/vm.wit");
const RELEASED_SWITCHBOARD: &str = include_str!("../../../../wit/released/0.1.0/switchboard.wit");
const RELEASED_CONTENTS: &str = include_str!("../../../../wit/released/0.1.0/contents.wit");

/// Interfaces and worlds by name, each as a text without comments in which equal meaning
/// is equal text.
type Items = BTreeMap<String, String>;

/// The items of the last of some packages; the others are what it depends on.
fn items(texts: &[&str]) -> Result<Items> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for (number, text) in texts.iter().enumerate() {
        last = Some(resolve.push_str(format!("{number}.wit"), text)?);
    }
    let package: PackageId = last.expect("at least one text");
    let package = &resolve.packages[package];
    let mut items = Items::new();
    for (name, id) in &package.interfaces {
        items.insert(format!("{}/{name}", package.name), interface(&resolve, *id));
    }
    for (name, id) in &package.worlds {
        let world = &resolve.worlds[*id];
        let mut text = String::new();
        for (direction, list) in [("import", &world.imports), ("export", &world.exports)] {
            for (key, item) in list {
                let item = match item {
                    WorldItem::Interface { id, .. } => interface(&resolve, *id),
                    WorldItem::Function(function) => signature(&resolve, function),
                    WorldItem::Type { id, .. } => definition(&resolve, *id),
                };
                writeln!(
                    text,
                    "{direction} {} {{ {item} }}",
                    resolve.name_world_key(key)
                )?;
            }
        }
        items.insert(format!("{} world {name}", package.name), text);
    }
    let lines = items
        .into_iter()
        .map(|(name, text)| (lines(&name), lines(&text)));
    Ok(lines.collect())
}

/// A text without the last number of the versions in it: within one line of versions things are only added.
fn lines(text: &str) -> String {
    let mut parts = text.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_version = |byte: char| byte.is_ascii_digit() || byte == '.';
        let end = part.find(|c| !is_version(c)).unwrap_or(part.len());
        let version: Vec<&str> = part[..end].splitn(3, '.').take(2).collect();
        out.push('@');
        out.push_str(&version.join("."));
        out.push_str(&part[end..]);
    }
    out
}

fn interface(resolve: &Resolve, id: InterfaceId) -> String {
    let interface = &resolve.interfaces[id];
    let types = interface
        .types
        .iter()
        .map(|(name, id)| format!("{name} = {}", definition(resolve, *id)));
    let functions = interface
        .functions
        .values()
        .map(|function| signature(resolve, function));
    let mut lines: Vec<String> = types.chain(functions).collect();
    lines.sort();
    lines.join("; ")
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, shape(resolve, &param.ty)))
        .collect();
    let result = function
        .result
        .as_ref()
        .map_or("nothing".to_string(), |result| shape(resolve, result));
    format!(
        "{:?} {}({}) -> {result}",
        function.kind,
        function.name,
        params.join(", ")
    )
}

/// A type where it is used: followed to its structure, as the component model compares it.
fn shape(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Id(id) => definition(resolve, *id),
        primitive => format!("{primitive:?}"),
    }
}

fn definition(resolve: &Resolve, id: TypeId) -> String {
    let shape = |ty: &Type| shape(resolve, ty);
    let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".to_string(), shape);
    match &resolve.types[id].kind {
        TypeDefKind::Type(ty) => shape(ty),
        TypeDefKind::Record(record) => {
            let fields: Vec<_> = record
                .fields
                .iter()
                .map(|field| format!("{}: {}", field.name, shape(&field.ty)))
                .collect();
            format!("record {{{}}}", fields.join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let cases: Vec<_> = variant
                .cases
                .iter()
                .map(|case| format!("{}({})", case.name, optional(&case.ty)))
                .collect();
            format!("variant {{{}}}", cases.join(", "))
        }
        TypeDefKind::Enum(cases) => format!(
            "{:?}",
            cases
                .cases
                .iter()
                .map(|case| &case.name)
                .collect::<Vec<_>>()
        ),
        TypeDefKind::Flags(flags) => format!(
            "{:?}",
            flags
                .flags
                .iter()
                .map(|flag| &flag.name)
                .collect::<Vec<_>>()
        ),
        TypeDefKind::Tuple(tuple) => format!(
            "tuple({})",
            tuple.types.iter().map(shape).collect::<Vec<_>>().join(", ")
        ),
        TypeDefKind::Option(ty) => format!("option({})", shape(ty)),
        TypeDefKind::Result(result) => format!(
            "result({}, {})",
            optional(&result.ok),
            optional(&result.err)
        ),
        TypeDefKind::List(ty) => format!("list({})", shape(ty)),
        TypeDefKind::Stream(ty) => format!("stream({})", optional(ty)),
        TypeDefKind::Future(ty) => format!("future({})", optional(ty)),
        other => format!("{other:?}"),
    }
}

/// What a release has and the present text lacks or has otherwise.
fn broken(released: &Items, present: &Items) -> Vec<String> {
    let differs = released
        .iter()
        .filter(|(name, text)| present.get(*name) != Some(text));
    differs.map(|(name, _)| name.clone()).collect()
}

#[test]
fn components_of_the_release_still_fit() -> Result<()> {
    for (released, present) in [
        (vec![RELEASED_FFI], vec![FFI]),
        (vec![RELEASED_FFI, RELEASED_VM], vec![FFI, PACKED, VM]),
        (
            vec![RELEASED_FFI, RELEASED_SWITCHBOARD],
            vec![FFI, SWITCHBOARD],
        ),
        (vec![RELEASED_CONTENTS], vec![CONTENTS]),
    ] {
        let broken = broken(&items(&released)?, &items(&present)?);
        assert!(
            broken.is_empty(),
            "{broken:?} changed: components built for 0.1.0 no longer fit. Give the package a new version and keep \
             the old one loading, or take the change back."
        );
    }
    Ok(())
}

#[test]
fn every_breaking_change_is_noticed() -> Result<()> {
    let released = items(&[RELEASED_FFI])?;
    for (from, to, item) in [
        ("params: u8", "params: u16", "mix:ffi@0.1/family"),
        ("waits: bool,\n", "", "mix:ffi@0.1/family"),
        (
            "doc: string,",
            "doc: string, since: string,",
            "mix:ffi@0.1/types",
        ),
        ("one(value),", "one(value), none,", "mix:ffi@0.1/family"),
        (
            "many(stream<value>)",
            "many(stream<u8>)",
            "mix:ffi@0.1/shared-family",
        ),
        (
            "start: async func(function",
            "start: func(function",
            "mix:ffi@0.1/family",
        ),
        (
            "bind: func(who: caller);",
            "bind: func(who: caller) -> bool;",
            "mix:ffi@0.1/binding",
        ),
        (
            "close-session: func",
            "end-session: func",
            "mix:ffi@0.1/shared-family",
        ),
        (
            "world plugin",
            "world extension",
            "mix:ffi@0.1 world plugin",
        ),
        (
            "package mix:ffi@0.1.0",
            "package mix:ffi@0.2.0",
            "mix:ffi@0.1/family",
        ),
    ] {
        assert!(RELEASED_FFI.contains(from), "{from}");
        let changed = items(&[&RELEASED_FFI.replacen(from, to, 1)])?;
        let broken = broken(&released, &changed);
        assert!(
            broken.iter().any(|name| name == item),
            "{from} -> {to}: {broken:?}"
        );
    }
    Ok(())
}

#[test]
fn additions_and_comments_are_free() -> Result<()> {
    let more = RELEASED_FFI.replace("/// Shapes", "/// All shapes")
        + "\n/// More.\ninterface cancel { cancel: func(call: u64); }\n";
    assert!(broken(&items(&[RELEASED_FFI])?, &items(&[&more])?).is_empty());
    Ok(())
}
