//! The functions of a family and how a call finds them.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use mix_value::packed::{Block, Packed, Received};

use crate::bindings::family::mix::ffi::types;
use crate::bindings::packed::mix::packed::types as packed;
use crate::inside::{is_inside, noted};
use crate::outgoing::in_blocks;
use crate::{Answer, Encoded, Failure, Incoming, Outgoing};

/// How the names of short ways end (`function.waits` in `wit/ffi`).
const SHORT_WAYS: [char; 2] = ['?', '*'];

/// A future of the one thread of a component.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// One function of a family. `S` is the session type of the plugin.
pub struct Function<S> {
    /// Name as written in a `foreign def`.
    pub name: &'static str,
    /// Number of arguments.
    pub params: u8,
    /// For the programmer.
    pub doc: &'static str,
    /// What it does.
    pub run: Run<S>,
}

/// What a function does.
pub enum Run<S> {
    /// Never waits. It writes its answer where the last parameter says: what is returned through the memory of
    /// callers is written and read in pieces of different sizes there, for which processors wait.
    Call(fn(&Rc<S>, &mut Incoming, &mut Outgoing) -> Result<(), Failure>),
    /// May wait.
    Start(fn(Rc<S>, Incoming) -> LocalFuture<Result<Answer, Failure>>),
}

/// The functions of a family, table behind table.
pub type Tables<S> = &'static [&'static &'static [Function<S>]];

#[inline]
pub(crate) fn find<S>(tables: Tables<S>, number: u32) -> Option<&'static Function<S>> {
    let mut index = number as usize;
    for table in tables {
        match table.get(index) {
            Some(function) => return Some(function),
            None => index -= table.len(),
        }
    }
    None
}

#[cold]
fn missing<S>(tables: Tables<S>, number: u32) -> Failure {
    let count: usize = tables.iter().map(|table| table.len()).sum();
    Failure::internal(format!(
        "this family has {count} functions, no number {number}"
    ))
}

/// Behind `describe`.
pub fn describe<S>(functions: Tables<S>) -> Vec<types::Function> {
    functions
        .iter()
        .flat_map(|table| table.iter())
        .map(|function| types::Function {
            name: function.name.to_string(),
            params: function.params,
            waits: matches!(function.run, Run::Start(_)),
            doc: function.doc.trim().to_string(),
        })
        .collect()
}

/// Behind `call`.
// What is handed from function to function in memory is copied in other pieces than it was written in, for which
// processors wait: so all on the way of a call is one function.
#[inline(always)]
pub fn call<S>(
    functions: Tables<S>,
    session: impl FnOnce() -> Result<Rc<S>, Failure>,
    number: u32,
    args: impl Into<Received>,
) -> Result<Vec<u8>, types::Failure> {
    let mut answer = Outgoing::default();
    match answer_into(&mut answer, functions, session, number, args) {
        Ok(()) => Ok(answer.into_bytes()),
        Err(failure) => Err(failure.into()),
    }
}

/// Calls a function that never waits.
#[inline(always)]
pub(crate) fn answer_into<S>(
    answer: &mut Outgoing,
    functions: Tables<S>,
    session: impl FnOnce() -> Result<Rc<S>, Failure>,
    number: u32,
    args: impl Into<Received>,
) -> Result<(), Failure> {
    let Some(function) = find(functions, number) else {
        return Err(missing(functions, number));
    };
    let Run::Call(run) = function.run else {
        return Err(Failure::internal(format!(
            "{} may wait: it is reached with `start`",
            function.name
        )));
    };
    if is_inside() && function.name.ends_with(SHORT_WAYS) {
        return Err(Failure::waits());
    }
    let mut incoming = Incoming::new(function.name, function.params, args);
    run(&session()?, &mut incoming, answer)
}

/// Behind `call-packed`.
pub fn call_packed<S>(
    functions: Tables<S>,
    session: impl FnOnce() -> Result<Rc<S>, Failure>,
    number: u32,
    (size, args): (u32, Vec<Block>),
) -> Result<packed::Packed, types::Failure> {
    let args = received(size, args)?;
    let mut answer = Outgoing::default();
    in_blocks(|| answer_into(&mut answer, functions, session, number, args))?;
    Ok(sent(answer.into_packed()))
}

/// Behind `start`. Functions that never wait are answered too.
pub async fn start<S>(
    functions: Tables<S>,
    session: impl FnOnce() -> Result<Rc<S>, Failure>,
    number: u32,
    args: impl Into<Received>,
) -> Result<types::Reply, types::Failure> {
    let answer = async {
        let function = find(functions, number).ok_or_else(|| missing(functions, number))?;
        let session = session()?;
        let mut incoming = Incoming::new(function.name, function.params, args);
        match function.run {
            Run::Call(run) => {
                let mut answer = Outgoing::default();
                run(&session, &mut incoming, &mut answer)?;
                Ok(Answer::One(Encoded(answer.into_bytes())))
            }
            Run::Start(run) => run(session, incoming).await,
        }
    };
    let answer = noted(answer).await;
    answer.map(Answer::into_reply).map_err(Into::into)
}

/// Behind `start` for callers in the same composition.
pub async fn start_packed<S>(
    functions: Tables<S>,
    session: impl FnOnce() -> Result<Rc<S>, Failure>,
    number: u32,
    args: packed::Packed,
) -> Result<packed::Reply, types::Failure> {
    let args = received(args.size, args.blocks)?;
    let reply = start(functions, session, number, args).await?;
    Ok(match reply {
        types::Reply::One(value) => packed::Reply::One(sent(Packed::new(&value))),
        types::Reply::Many(items) => packed::Reply::Many(items),
    })
}

fn received(size: u32, blocks: Vec<Block>) -> Result<Packed, types::Failure> {
    Packed::received(size, blocks).map_err(|error| Failure::internal(error.to_string()).into())
}

fn sent(value: Packed) -> packed::Packed {
    let (size, blocks) = value.into_parts();
    packed::Packed { size, blocks }
}
