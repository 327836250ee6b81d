//! Where a name is defined.

use crate::diagnostics::location;
use crate::documents::Documents;
use crate::position::Lines;
use lsp_types::{Location, Position, Uri};
use mix_compiler::analysis::{Analysis, NameKind, NameUse};
use mix_compiler::syntax::span::SourceId;

/// The definition of the name at a position.
pub fn of(documents: &mut Documents, uri: &Uri, position: Position) -> Option<Location> {
    let byte = Lines::new(&documents.get(uri)?.text).byte(position);
    let analysis = documents.analysis(uri)?;
    let name = name_at(analysis, byte)?;
    let place = match (name.definition, name.kind) {
        (Some(place), _) => place,
        (None, NameKind::Module) => {
            let module = analysis
                .modules
                .iter()
                .find(|module| module.name == name.name)?;
            module.span
        }
        (None, NameKind::Type | NameKind::Case) => {
            let module = name.module.as_ref()?;
            let module = analysis
                .modules
                .iter()
                .find(|other| other.name == *module)?;
            module
                .items
                .iter()
                .find(|item| item.name == name.name)?
                .span
        }
        _ => return None,
    };
    location(analysis, uri, place)
}

/// The name that a byte of the document is in, or right behind.
pub fn name_at(analysis: &Analysis, byte: usize) -> Option<&NameUse> {
    let byte = byte as u32;
    let own = analysis.uses.iter();
    own.filter(|found| {
        found.span.source == SourceId(0) && found.span.start <= byte && byte <= found.span.end
    })
    // Of two that touch, the one that starts here.
    .max_by_key(|found| found.span.start)
}
