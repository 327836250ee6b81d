//! Tokens.

use crate::syntax::span::Span;

macro_rules! tokens {
    (keywords { $($keyword:ident $word:literal,)* } punctuation { $($mark:ident $text:literal,)* }) => {
        /// What a token is. Text of names and numbers is read from the source by
        /// span; decoded strings, numbers and errors are in side tables.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum TokenKind {
            /// A name that is no keyword.
            Ident,
            /// A lone `_`.
            Underscore,
            /// Index into [`Tokens::ints`](super::Tokens::ints).
            Int(u32),
            /// Index into [`Tokens::floats`](super::Tokens::floats).
            Float(u32),
            /// Index into [`Tokens::strings`](super::Tokens::strings).
            Str(u32),
            /// A REPL command line (sessions only).
            Command,
            /// Text that is no token; index into [`Tokens::errors`](super::Tokens::errors).
            Error(u32),
            /// End of the text.
            End,
            $(#[doc = concat!("`", $word, "`")] $keyword,)*
            $(#[doc = concat!("`", $text, "`")] $mark,)*
        }

        impl TokenKind {
            /// The keyword with that spelling.
            pub fn keyword(word: &str) -> Option<TokenKind> {
                match word { $($word => Some(TokenKind::$keyword),)* _ => None }
            }

            /// The fixed spelling, for keywords and punctuation.
            pub fn spelling(self) -> Option<&'static str> {
                match self {
                    $(TokenKind::$keyword => Some($word),)*
                    $(TokenKind::$mark => Some($text),)*
                    TokenKind::Underscore => Some("_"),
                    _ => None,
                }
            }

            /// Whether it is a reserved word.
            pub fn is_keyword(self) -> bool {
                matches!(self, $(TokenKind::$keyword)|*)
            }
        }

        /// All reserved words.
        pub const KEYWORDS: &[&str] = &[$($word,)*];

        /// Spellings of punctuation, longest first.
        pub const PUNCTUATION: &[(&str, TokenKind)] = &[$(($text, TokenKind::$mark),)*];
    };
}

tokens! {
    keywords {
        Action "action", Alias "alias", AppView "appView", Case "case", Cell "cell",
        Declare "declare", Def "def", Do "do", Else "else", False "false", For "for",
        Foreign "foreign", Global "global", If "if", Import "import", In "in",
        Initializer "initializer", Let "let", Live "live", Module "module", Not "not",
        Null "null", On "on", Private "private", Return "return", SelfWord "self",
        Static "static", Switch "switch", True "true", Try "try", Type "type",
        Undefined "undefined", Var "var", When "when", While "while", With "with",
        Meta "_meta_", Pragma "_pragma_", Source "_source_", EscJson "_escJSON_",
        Inline "_inline_",
    }
    punctuation {
        VarMark "<var>",
        EqualFold "==:ci", NotEqualFold "!=:ci", LessEqualFold "<=:ci", GreaterEqualFold ">=:ci",
        LessFold "<:ci", GreaterFold ">:ci",
        Same "===", NotSame "!==",
        Equal "==", NotEqual "!=", LessEqual "<=", GreaterEqual ">=", Arrow "->", Pipe "|>",
        OrOr "||", AndAnd "&&", PlusPlus "++", DotDot "..", SemiSemi ";;",
        Less "<", Greater ">", Assign "=", Plus "+", Minus "-", Star "*", Slash "/",
        Percent "%", Bar "|", Question "?", Quote "'", Caret "^", At "@", Dot ".",
        Comma ",", Semi ";", Colon ":", Hash "#", Tilde "~", ParenOpen "(", ParenClose ")",
        BracketOpen "[", BracketClose "]", BraceOpen "{", BraceClose "}",
    }
}

impl TokenKind {
    /// `(`, `[` or `{`
    pub fn is_open(self) -> bool {
        matches!(
            self,
            TokenKind::ParenOpen | TokenKind::BracketOpen | TokenKind::BraceOpen
        )
    }

    /// `)`, `]` or `}`
    pub fn is_close(self) -> bool {
        matches!(
            self,
            TokenKind::ParenClose | TokenKind::BracketClose | TokenKind::BraceClose
        )
    }

    /// A name or keyword: what may follow a `.` as a field name.
    pub fn is_name(self) -> bool {
        self == TokenKind::Ident || self.is_keyword()
    }
}

/// A token and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is.
    pub span: Span,
}
