//! Requests, responses and errors of the HTTP interface, without I/O.
