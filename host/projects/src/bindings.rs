//! The C side of a WIT world.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::{Resolve, Type, TypeDefKind, WorldId};

/// Why a world has no C side.
#[derive(Debug, thiserror::Error)]
pub enum BindingsError {
    /// The texts are no WIT, or do not have one world.
    #[error("{0}")]
    Wit(String),
    /// The generator has no C for something in it.
    #[error("C has no form for {0}, which the world uses")]
    Unknown(String),
}

/// Files of the C side of the one world in a folder of WIT texts, with what they need in `deps/` below it:
/// header, source, and an object file with the type of the component. They are named after the world.
pub fn c_bindings(wit: &Path) -> Result<Vec<(String, Vec<u8>)>, BindingsError> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(wit)
        // With the place in the text.
        .map_err(|error| BindingsError::Wit(resolve.render_error(&error)))?;
    let world = resolve
        .select_world(&[package], None)
        .map_err(|error| BindingsError::Wit(format!("{error:#}")))?;
    refuse_unknown(&resolve)?;
    // The generator panics at what it does not know, which is more than what is looked for above.
    let generated = catch_unwind(AssertUnwindSafe(|| generate(&mut resolve, world)));
    generated.map_err(|panic| BindingsError::Unknown(said(panic.as_ref())))?
}

fn generate(
    resolve: &mut Resolve,
    world: WorldId,
) -> Result<Vec<(String, Vec<u8>)>, BindingsError> {
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(resolve, world, &mut files)
        .map_err(|error| BindingsError::Wit(format!("{error:#}")))?;
    Ok(files
        .iter()
        .map(|(name, content)| (name.to_owned(), content.to_owned()))
        .collect())
}

/// What is known to have no form in C.
fn refuse_unknown(resolve: &Resolve) -> Result<(), BindingsError> {
    let unknown = resolve
        .types
        .iter()
        .find_map(|(_, found)| match &found.kind {
            TypeDefKind::FixedLengthList(..) => Some("a list of fixed length"),
            TypeDefKind::Map(..) => Some("a map"),
            TypeDefKind::Type(Type::ErrorContext) => Some("error-context"),
            _ => None,
        });
    unknown.map_or(Ok(()), |kind| Err(BindingsError::Unknown(kind.to_owned())))
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("something").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{self, Language};
    use std::fs;

    #[test]
    fn the_names_that_the_c_project_uses_are_those_of_the_bindings() {
        let folder = tempfile::tempdir().unwrap();
        let project = plugin::project(Language::C, "demo");
        project.write(folder.path()).unwrap();
        let files = c_bindings(&folder.path().join("wit")).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["plugin.c", "plugin.h", "plugin_component_type.o"],
            "the Makefile names these"
        );
        let header = String::from_utf8(files[1].1.clone()).unwrap();
        let source = fs::read_to_string(folder.path().join("family.c")).unwrap();
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let used: Vec<&str> = source
            .split(|letter| !is_word(letter))
            .filter(|word| word.starts_with("exports_mix_ffi_") || word.starts_with("mix_ffi_"))
            .collect();
        assert!(used.len() > 20);
        for word in used {
            assert!(header.contains(word), "{word} is not in plugin.h");
        }
    }

    #[test]
    fn what_has_no_c_side_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: &str| {
            fs::write(folder.path().join("a.wit"), text).unwrap();
            c_bindings(folder.path()).unwrap_err().to_string()
        };
        let wrong = refused("package a:b; world w { export f: func( }");
        assert!(wrong.contains("a.wit:1:"), "{wrong}");
        assert!(refused("package a:b; interface i {}").contains("no worlds"));
        let two = refused("package a:b; world one {} world two {}");
        assert!(two.contains("multiple worlds"), "{two}");
        let list = "package a:b; interface i { type t = list<u8, 4>; } world w { import i; }";
        assert!(refused(list).contains("a list of fixed length"));
        let absent = c_bindings(&folder.path().join("absent")).unwrap_err();
        assert!(absent.to_string().contains("absent"));
    }
}
