//! The help of errors in arguments: which parameter, of which function, and whether two
//! arguments were exchanged.

use super::Checker;
use super::env::Stop;
use super::types::{Node, Ty};
use crate::issue::Code;
use crate::syntax::ast;
use crate::syntax::span::Span;

/// Longest type of a function that is shown in a help.
const LONGEST: usize = 120;

impl Checker<'_> {
    /// Adds what is known of the call to an issue about one of its arguments as a whole.
    pub(super) fn explain_call(
        &mut self,
        stop: Stop,
        callee: &ast::Expr,
        args: &[ast::Expr],
        places: &[Span],
    ) -> Stop {
        let Stop::Issue(issue) = stop else {
            return stop;
        };
        let place = places.iter().position(|place| *place == issue.span);
        let (Code::TypeMismatch, Some(place)) = (issue.code, place) else {
            return Stop::Issue(issue);
        };
        if is_made(callee) {
            return Stop::Issue(issue);
        }
        if let Some(hint) = self.exchanged(callee, args, place) {
            return Stop::Issue(Box::new(issue.hint(hint)));
        }
        if let Some(hint) = self.left_out(callee, args, place) {
            return Stop::Issue(Box::new(issue.hint(hint)));
        }
        let described = self.describe(callee, place);
        let hint = match (described, issue.hint.clone()) {
            (Some(described), Some(mend)) if described.len() + mend.len() < LONGEST => {
                Some(format!("{described}; {mend}"))
            }
            (Some(_), Some(mend)) => Some(mend),
            (described, mend) => described.or(mend),
        };
        Stop::Issue(Box::new(match hint {
            Some(hint) => issue.hint(hint),
            None => *issue,
        }))
    }

    /// `argument 2 of f, which is A -> B -> C`
    fn describe(&mut self, callee: &ast::Expr, place: usize) -> Option<String> {
        let name = callee_name(callee)?;
        let ty = self.infer(callee).ok()?.1;
        let shown = self.types.show(ty);
        (shown.len() <= LONGEST).then(|| format!("argument {} of {name} : {shown}", place + 1))
    }

    /// Whether another argument fits at the place of the wrong one and the other way round.
    fn exchanged(
        &mut self,
        callee: &ast::Expr,
        args: &[ast::Expr],
        place: usize,
    ) -> Option<String> {
        if args.len() < 2 || args.get(place).is_none() {
            return None;
        }
        callee_name(callee)?;
        let types = self.types_of(args)?;
        for other in 0..args.len() {
            if other == place {
                continue;
            }
            let function = self.infer(callee).ok()?.1;
            let (params, _) = self.types.peel(function, args.len());
            if params.len() <= place.max(other) {
                return None;
            }
            let mut order: Vec<usize> = (0..args.len().min(params.len())).collect();
            order.swap(place, other);
            let mark = self.types.mark();
            let fit = order
                .iter()
                .zip(&params)
                .all(|(from, param)| self.types.subtype(types[*from], *param));
            self.types.undo(mark);
            if fit {
                let (first, second) = (place.min(other) + 1, place.max(other) + 1);
                return Some(format!(
                    "arguments {first} and {second} seem to be exchanged"
                ));
            }
        }
        None
    }

    /// Whether all would fit if there were one argument more at the place of the wrong one.
    fn left_out(&mut self, callee: &ast::Expr, args: &[ast::Expr], place: usize) -> Option<String> {
        let name = callee_name(callee)?;
        let types = self.types_of(args)?;
        let function = self.infer(callee).ok()?.1;
        let shown = self.types.show(function);
        let (params, _) = self.types.peel(function, args.len() + 1);
        let of = match shown.len() {
            0..=LONGEST => format!("{name} : {shown}"),
            _ => name,
        };
        // Where state is changed another help says more.
        let is_state = params
            .get(place)
            .is_some_and(|param| matches!(self.types.node(*param), Node::Appstate));
        if params.len() <= args.len() || args.get(place).is_none() || is_state {
            return None;
        }
        let mut others = params;
        others.remove(place);
        let mark = self.types.mark();
        let fit = types
            .iter()
            .zip(&others)
            .all(|(found, param)| self.types.subtype(*found, *param));
        self.types.undo(mark);
        fit.then(|| format!("argument {} of {of} seems to be left out", place + 1))
    }

    /// The types of arguments that are not too many.
    fn types_of(&mut self, args: &[ast::Expr]) -> Option<Vec<Ty>> {
        if args.len() > 6 {
            return None;
        }
        let mut types: Vec<Ty> = Vec::new();
        for arg in args {
            let inferred = self.infer(arg).ok()?.1;
            // Without an expected type a literal is data; what it looks like tells more.
            types.push(match &arg.kind {
                ast::ExprKind::Array(_) => self.types.array(Ty::DATA),
                ast::ExprKind::Map(_) => self.types.map(Ty::DATA),
                _ => inferred,
            });
        }
        Some(types)
    }
}

/// Whether the compiler made the call of what was written in another way: it shows nothing
/// of itself.
fn is_made(callee: &ast::Expr) -> bool {
    matches!(&callee.kind, ast::ExprKind::Field { name, .. } if name.span == callee.span)
}

fn callee_name(callee: &ast::Expr) -> Option<String> {
    match &callee.kind {
        ast::ExprKind::Name(name) => Some(name.to_string()),
        ast::ExprKind::SelfName(name) => Some(format!("self.{}", name.text)),
        ast::ExprKind::Field { base, name, .. } => match &base.kind {
            ast::ExprKind::Name(module) => Some(format!("{module}.{}", name.text)),
            _ => None,
        },
        _ => None,
    }
}
