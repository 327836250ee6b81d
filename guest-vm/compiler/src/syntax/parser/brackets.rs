//! Finds the partner of every bracket once, so that lookahead and recovery can
//! jump over groups in one step.

use crate::syntax::lexer::{Token, TokenKind};

/// For every token: the index of the matching bracket, if it is a matched one.
pub fn partners(tokens: &[Token]) -> Vec<Option<u32>> {
    let mut partners = vec![None; tokens.len()];
    let mut open: Vec<usize> = Vec::new();
    // How many of each sort are open: a stray closing bracket searches nothing.
    let mut count = [0usize; 3];
    for (index, token) in tokens.iter().enumerate() {
        if token.kind.is_open() {
            open.push(index);
            count[sort(token.kind)] += 1;
        } else if token.kind.is_close() {
            let wanted = opening(token.kind);
            // A closing bracket of another sort closes the innermost group of its
            // own sort; brackets opened in between were never closed.
            if count[sort(wanted)] == 0 {
                continue;
            }
            while let Some(at) = open.pop() {
                count[sort(tokens[at].kind)] -= 1;
                if tokens[at].kind == wanted {
                    partners[at] = Some(index as u32);
                    partners[index] = Some(at as u32);
                    break;
                }
            }
        } else if starts_phrase_for_sure(tokens, index) {
            // No bracket may contain a definition: those open now are unclosed.
            open.clear();
            count = [0; 3];
        }
    }
    partners
}

fn sort(open: TokenKind) -> usize {
    match open {
        TokenKind::ParenOpen => 0,
        TokenKind::BracketOpen => 1,
        _ => 2,
    }
}

fn opening(close: TokenKind) -> TokenKind {
    match close {
        TokenKind::ParenClose => TokenKind::ParenOpen,
        TokenKind::BracketClose => TokenKind::BracketOpen,
        _ => TokenKind::BraceOpen,
    }
}

fn starts_phrase_for_sure(tokens: &[Token], index: usize) -> bool {
    let kind = tokens[index].kind;
    let next = tokens.get(index + 1).map(|token| token.kind);
    let previous = index.checked_sub(1).map(|at| tokens[at].kind);
    matches!(
        kind,
        TokenKind::Def | TokenKind::Cell | TokenKind::Import | TokenKind::Module
    ) && matches!(next, Some(TokenKind::Ident | TokenKind::Underscore))
        && !matches!(
            previous,
            Some(TokenKind::Dot | TokenKind::Hash | TokenKind::ParenOpen)
        )
}
