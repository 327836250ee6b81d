//! What people write who know another language better: the place of an unexpected token
//! often tells what was meant.

use super::Parser;
use crate::syntax::lexer::TokenKind;

/// How cases are told apart.
pub(super) const CHOOSE_CASE: &str =
    "cases are told apart by `(p -> … | q -> …)(x)`, or by `switch (x) { case p: … }` in a block";

/// How expressions follow each other.
pub(super) const DROPPED_VALUE: &str = "in an expression a value is dropped by `let _ = f(x); …`; statements stand in `do { … return … }`";

/// Words that start a definition.
const KEYWORDS: &[&str] = &[
    "module",
    "static",
    "import",
    "declare",
    "def",
    "cell",
    "var",
    "live",
    "alias",
    "case",
    "type",
    "private",
    "foreign",
    "on",
    "initializer",
];

/// How many tokens back the bracket around an unexpected token is looked for.
const NEAR: usize = 200;

impl Parser<'_> {
    /// How to write what the tokens around the current one seem to mean.
    pub(super) fn habit(&self) -> Option<String> {
        let here = self.kind();
        let text = match here {
            TokenKind::Ident => self.text_of(self.span()),
            _ => "",
        };
        if let Some(hint) = self
            .habit_of_brackets(here)
            .or_else(|| self.habit_of_words(here))
            .or_else(|| self.habit_of_marks(here))
        {
            return Some(hint.to_string());
        }
        let hint = match (self.kind_before(1), here) {
            (TokenKind::Colon, TokenKind::Assign) if self.touches_previous() => "write `=`",
            (TokenKind::Colon, _) if matches!(self.text_before(2), "default" | "otherwise") => {
                "`case _:` matches the rest"
            }
            (TokenKind::Ident, TokenKind::Str(_))
                if matches!(self.text_before(1), "throw" | "raise") =>
            {
                "`fail(\"why\")` raises an error"
            }
            (TokenKind::Do, _) => "statements stand in braces: `do { … }`",
            (_, TokenKind::Assign) if self.touches_next(TokenKind::Greater) => {
                "a lambda is written `x -> …`"
            }
            (TokenKind::Assign, TokenKind::Greater) if self.touches_previous() => {
                "a lambda is written `x -> …`"
            }
            (
                TokenKind::Plus
                | TokenKind::Minus
                | TokenKind::Star
                | TokenKind::Slash
                | TokenKind::Percent
                | TokenKind::PlusPlus,
                TokenKind::Assign,
            ) if self.touches_previous() => {
                let op = self.kind_before(1).spelling().unwrap_or("+");
                let unequal = match op {
                    "/" => "; unequal is `!=`",
                    _ => "",
                };
                return Some(format!("`x {op}= y` is written `x = x {op} y`{unequal}"));
            }
            (TokenKind::PlusPlus, _) if !here.is_name() => {
                "`++` joins two streams; to count write `x = x + 1`"
            }
            (TokenKind::Minus, _) if !here.is_name() && self.kind_before(2) == TokenKind::Minus => {
                "to count down write `x = x - 1`"
            }
            (TokenKind::Star, TokenKind::Star) => "a power is `number.pow(x, y)`",
            (_, TokenKind::Colon) if self.touches_next(TokenKind::Assign) => "write `=`",
            (TokenKind::Question, _) if self.kind_before(2) == TokenKind::Question => {
                "`withDefault(d, x)` is d where x is undefined"
            }
            (_, TokenKind::Question) => {
                "null belongs to every type of data; what may be missing is an `option(T)`"
            }
            (TokenKind::Ident, TokenKind::Less) if self.touches_previous() => {
                "the arguments of a type stand in parentheses: `array(number)`"
            }
            (TokenKind::Ident, TokenKind::BracketOpen)
                if self.touches_next(TokenKind::BracketClose) =>
            {
                "the type of an array is written `array(T)`"
            }
            (_, TokenKind::DotDot) => {
                "the rest of an array is matched by `~multiple rest`; other keys of a record are ignored"
            }
            (TokenKind::Ident, TokenKind::Dot)
                if matches!(self.kind_before(2), TokenKind::BraceOpen | TokenKind::Comma) =>
            {
                "an entry has a key: `name: r.name`"
            }
            (TokenKind::Ident, TokenKind::If) => "a condition of an arm is written `when`",
            (_, TokenKind::In) => "`array.contains(x, list)` asks whether x is in a list",
            (_, TokenKind::Not) if self.kind_after(1) == TokenKind::In => {
                "write `not array.contains(x, list)`"
            }
            (TokenKind::Ident, TokenKind::Dot) if self.kind_before(2) == TokenKind::Import => {
                "a module is imported whole; its members are read as `module.name`"
            }
            (TokenKind::Import, TokenKind::BraceOpen) => {
                "a module is imported whole; its members are read as `module.name`"
            }
            (TokenKind::ParenOpen, TokenKind::Ident) if self.kind_before(2) == TokenKind::For => {
                "write `for (let x in list) { … }`"
            }
            (TokenKind::ParenOpen, TokenKind::ParenClose)
                if self.kind_after(1) == TokenKind::Assign
                    && self.kind_after(2) == TokenKind::Greater =>
            {
                "a lambda is written `() -> …`"
            }
            (TokenKind::Action, _) => "an action is a block: `action { … }`",
            (TokenKind::ParenClose, TokenKind::BraceOpen)
                if matches!(
                    self.text_before_group(),
                    Some("function" | "fn" | "func" | "fun")
                ) =>
            {
                "a function is written `x -> …`, or `x -> do { … }` with statements"
            }
            (TokenKind::Question, _) => {
                "`x?` asks whether x is defined; a choice is written `if (c) a else b`"
            }
            (_, TokenKind::Quote) => "strings are written with double quotes: \"…\"",
            (_, TokenKind::Hash) => "a comment starts with `//`",
            (TokenKind::If | TokenKind::While | TokenKind::Switch, _) => {
                "what is tested stands in parentheses: `(…)`"
            }
            (TokenKind::For, _) => "write `for (let x in list) { … }`",
            (TokenKind::ParenClose, TokenKind::BraceOpen)
                if matches!(
                    self.text_before_group(),
                    Some("elif" | "elsif" | "elseif" | "elseIf")
                ) =>
            {
                "write `else if (…) { … }`"
            }
            (TokenKind::Ident, TokenKind::Str(_)) if self.touches_previous() => {
                "strings have no prefix; join their parts with `+`"
            }
            (TokenKind::Str(_), TokenKind::Str(_)) => "join strings with `+`",
            (TokenKind::Import, TokenKind::Str(_)) => {
                "a module is imported by its name, without quotes"
            }
            (TokenKind::Ident, _) => match (self.text_before(1), text) {
                ("then", _) => "there is no `then`: write `if (c) a else b`",
                ("lambda" | "fn" | "fun" | "func" | "function", _) => {
                    "a function is written `x -> …` or `(x, y) -> …`"
                }
                (_, "and") => "write `&&`",
                (_, "or") => "write `||`",
                ("new", _) => "there are no classes: a record is written `{name: …}`",
                ("async" | "await", _) => "calls that wait need no mark: write the call alone",
                (_, word) => return infix_word(word).map(str::to_string),
            },
            (_, TokenKind::Ident) => match text {
                "then" => "there is no `then`: write `if (c) a else b`",
                "and" => "write `&&`",
                "or" => "write `||`",
                "default" | "otherwise" => "`case _:` matches the rest",
                word => return infix_word(word).map(str::to_string),
            },
            _ => return None,
        };
        Some(hint.to_string())
    }

    /// What a word of another language means.
    fn habit_of_words(&self, here: TokenKind) -> Option<&'static str> {
        let text = self.text_of(self.span());
        let (before, earlier) = (self.text_before(1), self.text_before(2));
        let same_line = self.on_line_of_previous();
        Some(match (self.kind_before(1), here) {
            (_, TokenKind::Ident) if text == "of" && matches!(earlier, "let" | "var") => {
                "write `for (let x in list) { … }`"
            }
            (TokenKind::Case, _) | (_, TokenKind::Case) if same_line && !self.in_switch() => {
                CHOOSE_CASE
            }
            (_, TokenKind::Ident) if text == "of" && earlier == "case" => CHOOSE_CASE,
            (TokenKind::Ident, _) if before == "match" && same_line => CHOOSE_CASE,
            (TokenKind::Ident, TokenKind::Ident)
                if matches!(before, "throw" | "raise") && text == "new" =>
            {
                "`fail(\"why\")` raises an error"
            }
            (TokenKind::Ident, _) if before == "typeof" => {
                "`datacase(x)` names the kind of x; the pattern `type(string)` matches texts"
            }
            (TokenKind::Ident, TokenKind::Ident) if before == "mut" && earlier == "let" => {
                "what changes is bound with `var`: `var x = …`"
            }
            (TokenKind::Colon, TokenKind::Return | TokenKind::Let | TokenKind::While)
                if !matches!(earlier, "default" | "otherwise") =>
            {
                "a body stands in braces, `def f(x) { … return … }`, or after `=`"
            }
            (_, TokenKind::If) if self.comes_soon(TokenKind::Else) => {
                "a choice is written `if (c) a else b`"
            }
            (_, TokenKind::Ident) if text == "where" => {
                "names are bound before they are used: `let y = 1; x + y`"
            }
            (_, TokenKind::Ident) if text == "as" && self.in_import() => {
                "another name for a module stands before it: `import n = modulename`"
            }
            (_, TokenKind::Ident) if text == "as" => "a type stands after `:`, as in `x : number`",
            _ => return None,
        })
    }

    /// What marks of another language mean.
    fn habit_of_marks(&self, here: TokenKind) -> Option<&'static str> {
        Some(match (self.kind_before(1), here) {
            (TokenKind::Less, TokenKind::Greater) if self.touches_previous() => {
                "unequal is `!=`; texts are joined with `+`"
            }
            (_, TokenKind::Assign)
                if self.touches_next(TokenKind::Greater) && self.in_annotation() =>
            {
                "the type of a function is written `A -> B`"
            }
            (TokenKind::Assign, TokenKind::Greater)
                if self.touches_previous() && self.in_annotation_at(self.at - 1) =>
            {
                "the type of a function is written `A -> B`"
            }
            (TokenKind::Caret, _) => "a power is `number.pow(x, y)`",
            (
                TokenKind::ParenOpen,
                TokenKind::Plus | TokenKind::Star | TokenKind::Slash | TokenKind::PlusPlus,
            ) => "an operator alone is no function: write `(x, y) -> x + y`",
            (
                TokenKind::Assign | TokenKind::ParenOpen | TokenKind::Comma | TokenKind::Return,
                TokenKind::Bar,
            ) => "a lambda is written `x -> …`",
            (TokenKind::Ident, TokenKind::Bar) if self.kind_before(2) == TokenKind::BraceOpen => {
                "a changed copy is written `r with .a = 1`"
            }
            (_, TokenKind::Bar) if self.in_annotation() => {
                "a number or a text is a `word`; a union of cases is named: `type t = a | b`"
            }
            (_, TokenKind::Bar) => {
                "a value is passed on with `|>`; the logical or is `||`; `|` stands between arms"
            }
            (TokenKind::DotDot, TokenKind::Dot) | (_, TokenKind::DotDot)
                if matches!(
                    self.kind_before(1),
                    TokenKind::BraceOpen
                        | TokenKind::BracketOpen
                        | TokenKind::Comma
                        | TokenKind::DotDot
                ) && self.opens_value() =>
            {
                "`list + [x]` joins arrays, `map + {a: 1}` maps, with the right side winning"
            }
            (TokenKind::Arrow, _) if self.comes_before(TokenKind::Pipe) => {
                "a lambda after `|>` stands in parentheses: `x |> (y -> …)`"
            }
            (_, TokenKind::Arrow) if self.comes_before(TokenKind::Pipe) => {
                "a lambda after `|>` stands in parentheses: `x |> (y -> …)`"
            }
            _ => return None,
        })
    }

    /// The current token stands on the line of the one before it.
    pub(super) fn on_line_of_previous(&self) -> bool {
        let before = self.previous_span();
        self.at > 0 && !self.text[before.end as usize..self.span().start as usize].contains('\n')
    }

    /// The phrase so far is an import.
    fn in_import(&self) -> bool {
        let before = (0..self.at).rev().take(NEAR);
        let start = before.into_iter().find(|at| self.starts_phrase(*at));
        start.is_some_and(|at| self.tokens.tokens[at].kind == TokenKind::Import)
    }

    /// A token of that kind follows in the same phrase, not far away.
    fn comes_soon(&self, kind: TokenKind) -> bool {
        let rest = self.tokens.tokens.iter().enumerate().skip(self.at + 1);
        rest.take(NEAR)
            .take_while(|(at, _)| !self.starts_phrase(*at))
            .any(|(_, token)| token.kind == kind)
    }

    /// A token of that kind stands a little earlier, with only a pattern in between.
    fn comes_before(&self, kind: TokenKind) -> bool {
        let from = self.at.saturating_sub(4);
        let near = self.tokens.tokens[from..self.at].iter();
        near.into_iter().any(|token| token.kind == kind)
    }

    /// The bracket at `open` stands right after `if (…)`.
    fn is_condition(&self, open: usize) -> bool {
        let group = open.checked_sub(1).and_then(|close| self.partners[close]);
        let word = group.and_then(|group| (group as usize).checked_sub(1));
        word.is_some_and(|word| self.tokens.tokens[word].kind == TokenKind::If)
    }

    /// The cases of a `switch` are around the current token.
    fn in_switch(&self) -> bool {
        let Some(open) = self.enclosing() else {
            return false;
        };
        let close = open
            .checked_sub(1)
            .and_then(|close| self.partners[close])
            .and_then(|group| (group as usize).checked_sub(1));
        close.is_some_and(|word| self.tokens.tokens[word].kind == TokenKind::Switch)
    }

    /// The current token is part of the type of a parameter or result.
    fn in_annotation(&self) -> bool {
        self.in_annotation_at(self.at)
    }

    fn in_annotation_at(&self, place: usize) -> bool {
        let from = place.saturating_sub(NEAR);
        for at in (from..place).rev() {
            match self.tokens.tokens[at].kind {
                TokenKind::Colon => return true,
                TokenKind::Assign | TokenKind::Comma | TokenKind::Arrow | TokenKind::Question => {
                    return false;
                }
                kind if kind.is_open() => return false,
                _ => {}
            }
        }
        false
    }

    /// The bracket around the current token starts a value, not a pattern.
    fn opens_value(&self) -> bool {
        let close = self
            .enclosing()
            .and_then(|open| self.partners[open])
            .map(|close| close as usize);
        // A pattern is followed by what takes it apart.
        let next = close.and_then(|close| self.tokens.tokens.get(close + 1));
        !next.is_some_and(|next| {
            matches!(
                next.kind,
                TokenKind::Arrow | TokenKind::Assign | TokenKind::When | TokenKind::In
            )
        })
    }

    /// What a token means that does not fit into the brackets around it.
    fn habit_of_brackets(&self, here: TokenKind) -> Option<&'static str> {
        let open = self.enclosing()?;
        let before = open
            .checked_sub(1)
            .map_or(TokenKind::End, |at| self.tokens.tokens[at].kind);
        let first_is_key = self
            .tokens
            .tokens
            .get(open + 2)
            .is_some_and(|token| token.kind == TokenKind::Colon);
        // Where an expression is due, a brace starts a map.
        let is_value = matches!(
            before,
            TokenKind::Assign
                | TokenKind::Arrow
                | TokenKind::Return
                | TokenKind::Comma
                | TokenKind::Colon
                | TokenKind::ParenOpen
                | TokenKind::BracketOpen
        );
        Some(match (self.tokens.tokens[open].kind, here) {
            (TokenKind::BraceOpen, TokenKind::Semi) if first_is_key => {
                "entries are separated by commas"
            }
            (TokenKind::BraceOpen, TokenKind::Assign)
                if is_value && !self.touches_next(TokenKind::Greater) =>
            {
                "an entry is written `key: value`; statements stand in `do { … }`"
            }
            (TokenKind::BraceOpen, _) if before == TokenKind::Try => {
                "`try e` gives `ok(v)` or `error(text)`; with statements it is `try do { … }`"
            }
            (
                TokenKind::BraceOpen,
                TokenKind::Semi
                | TokenKind::Plus
                | TokenKind::Minus
                | TokenKind::Star
                | TokenKind::Slash
                | TokenKind::ParenOpen,
            ) if is_value && !first_is_key => {
                "in an expression `{` starts a map; statements stand in `do { … return … }`"
            }
            (TokenKind::BraceOpen, _)
                if !here.is_name()
                    && (before == TokenKind::Else
                        || before == TokenKind::ParenClose && self.is_condition(open)) =>
            {
                "in an expression `{` starts a map: write `if (c) a else b`, or statements in `do { … }`"
            }
            (TokenKind::ParenOpen, TokenKind::Semi)
                if !before.is_name()
                    && !matches!(before, TokenKind::ParenClose | TokenKind::For) =>
            {
                DROPPED_VALUE
            }
            (TokenKind::BracketOpen, TokenKind::Semi) => "elements are separated by commas",
            (TokenKind::BracketOpen, TokenKind::For) => {
                "a list is made from another one by `array.map(x -> …, list)`"
            }
            (TokenKind::ParenOpen, TokenKind::Comma) if before == TokenKind::Colon => {
                "a function of two arguments has the type `A -> B -> C`; a tuple type is written `[A, B]`"
            }
            (
                TokenKind::BraceOpen,
                TokenKind::Int(_) | TokenKind::Str(_) | TokenKind::Ident | TokenKind::Null,
            ) if self.in_switch() && self.kind_before(1) == TokenKind::BraceOpen => {
                "each choice is written `case p: …`; `case _:` matches the rest"
            }
            (TokenKind::ParenOpen, TokenKind::Comma) if is_value && self.arrow_follows() => {
                "several parameters stand in parentheses: `(a, b) -> …`; a tuple is written in brackets: `[a, b]`"
            }
            (TokenKind::ParenOpen, TokenKind::Comma) if is_value => {
                "a tuple is written in brackets: `[a, b]`"
            }
            _ => return None,
        })
    }

    /// The token that opens the bracket around the current one, if it is near.
    fn enclosing(&self) -> Option<usize> {
        let mut depth = 0;
        for at in (self.at.saturating_sub(NEAR)..self.at).rev() {
            let kind = self.tokens.tokens[at].kind;
            if kind.is_close() {
                depth += 1;
            } else if kind.is_open() {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
            }
        }
        None
    }

    /// What stands between the current comma and the next one, or the end of the bracket, has an arrow.
    fn arrow_follows(&self) -> bool {
        let mut depth = 0usize;
        for kind in (1..NEAR).map(|count| self.kind_after(count)) {
            match kind {
                TokenKind::Arrow if depth == 0 => return true,
                TokenKind::Comma | TokenKind::End if depth == 0 => return false,
                open if open.is_open() => depth += 1,
                close if close.is_close() && depth == 0 => return false,
                close if close.is_close() => depth -= 1,
                _ => {}
            }
        }
        false
    }

    /// Kind of an earlier token; the start of the text counts as its end.
    fn kind_before(&self, count: usize) -> TokenKind {
        self.at
            .checked_sub(count)
            .map_or(TokenKind::End, |at| self.tokens.tokens[at].kind)
    }

    /// Kind of a later token; the end repeats.
    fn kind_after(&self, count: usize) -> TokenKind {
        self.peek(count)
    }

    fn text_before(&self, count: usize) -> &str {
        self.at
            .checked_sub(count)
            .map_or("", |at| self.text_of(self.tokens.tokens[at].span))
    }

    /// No space stands between the current token and a next one of that kind.
    fn touches_next(&self, kind: TokenKind) -> bool {
        self.tokens
            .tokens
            .get(self.at + 1)
            .is_some_and(|next| next.kind == kind && next.span.start == self.span().end)
    }

    fn touches_previous(&self) -> bool {
        self.at > 0 && self.previous_span().end == self.span().start
    }

    /// The current token stands right after `if (…)` or `else`.
    pub(super) fn follows_condition(&self) -> bool {
        if self.kind_before(1) == TokenKind::Else {
            return true;
        }
        let keyword = self
            .at
            .checked_sub(1)
            .and_then(|close| self.partners[close])
            .and_then(|open| (open as usize).checked_sub(1))
            .map(|before| self.tokens.tokens[before].kind);
        self.kind_before(1) == TokenKind::ParenClose
            && matches!(
                keyword,
                Some(TokenKind::If | TokenKind::While | TokenKind::For)
            )
    }

    /// The name before the bracket group that ends before the current token.
    fn text_before_group(&self) -> Option<&str> {
        let close = self.at.checked_sub(1)?;
        let open = self.partners[close]? as usize;
        let name = self.tokens.tokens.get(open.checked_sub(1)?)?;
        (name.kind == TokenKind::Ident).then(|| self.text_of(name.span))
    }

    /// What a bare word at the level of definitions seems to mean.
    pub(super) fn stray_word(&self, word: &str, next: Option<&str>) -> Option<String> {
        let name = next.unwrap_or("NAME");
        Some(match word {
            "fun" | "function" | "let" | "const" | "fn" | "func" | "val" => {
                format!("a definition starts with `def`: `def {name}`")
            }
            "var" => format!(
                "write `var cell {name} = …` for state, `def {name} = …` for what never changes"
            ),
            "class" | "struct" | "record" | "interface" | "data" => {
                format!("a type of records is defined with `type {name} = {{…}}`")
            }
            "enum" | "union" => format!(
                "cases are defined with `case a | b(number)` and joined with `type {name} = a | b`"
            ),
            "public" | "export" | "pub" => {
                "what is defined is public unless `private` stands before it".to_string()
            }
            "from" | "require" | "include" | "use" | "using" | "open" => {
                "a module is imported with `import NAME`".to_string()
            }
            "exposing" | "where" => {
                "what is defined is public unless `private` stands before it".to_string()
            }
            "type" if next.is_none() => "a type is defined with `type NAME = …`".to_string(),
            "end" => "a module ends with `module end`".to_string(),
            "action" => {
                format!("an action is the value of a cell: `cell {name} = action (x) {{ … }}`")
            }
            "{" => "a module has no braces: it ends with `module end`".to_string(),
            _ => {
                let lower = word.to_ascii_lowercase();
                let is_keyword = lower != word && KEYWORDS.contains(&lower.as_str());
                return is_keyword.then(|| {
                    format!("words of the language are written in lower case: `{lower}`")
                });
            }
        })
    }
}

/// Words that stand between operands in other languages.
fn infix_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "mod" | "rem" => "the remainder is `x % y`",
        "div" => "the quotient without its fraction is `number.divInt(x, y)`",
        "xor" => "of bools it is `a != b`, of bits `number.bitXor(x, y)`",
        "is" => "compare with `==`",
        _ => return None,
    })
}
