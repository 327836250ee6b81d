//! The Mix VM: heap, interpreter, streams, spreadsheet.
