//! Instruction set, executable format, verifier and disassembler.
