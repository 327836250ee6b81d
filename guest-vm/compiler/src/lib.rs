//! Mix source to bytecode: lexer, parser, types, code generation.
