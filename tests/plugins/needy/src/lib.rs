//! A family that says what it needs by a function (`mix:ffi/needs`), as plugins in languages
//! without custom sections do.

wit_bindgen::generate!({ path: "../../../wit/ffi", world: "needy-plugin" });

use exports::mix::ffi::{family, needs};
use mix::ffi::types::{Failure, Function, Reply};

struct Needy;

impl family::Guest for Needy {
    fn describe() -> Vec<Function> {
        vec![Function {
            name: "$needy_echo".to_owned(),
            params: 1,
            waits: false,
            doc: "Its argument.".to_owned(),
        }]
    }

    fn call(_function: u32, args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        // An array of one element: 0x91 and the value.
        Ok(args[1..].to_vec())
    }

    async fn start(function: u32, _args: Vec<u8>) -> Result<Reply, Failure> {
        Err(Failure {
            code: "ERR_INTERNAL".to_owned(),
            message: format!("function {function} does not wait"),
            detail: None,
        })
    }
}

impl needs::Guest for Needy {
    fn needs() -> Vec<String> {
        vec!["http:api.example.com".to_owned(), "folder".to_owned()]
    }
}

export!(Needy);
