//! A family to call.

use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use mix_value::{Value, msgpack};
use wasmtime::Store;
use wasmtime::component::{Accessor, Instance, Linker, TypedFunc};

use crate::collect::collect;
use crate::contract::{Caller, Failure, Function, Reply};
use crate::state::{Surroundings, component, engine, linker, store};
use mix_sandbox::state::{GuestState, InPlace};

/// An instance of a component that exports `mix:ffi/family`.
pub struct Family {
    store: Store<GuestState>,
    instance: Instance,
    functions: Vec<Function>,
    /// For each of them its short way.
    short_ways: Vec<Option<u32>>,
    /// For each of them those that give its items in parts, the first one and further ones.
    parts: Vec<Option<(u32, u32)>>,
    /// It is called on the thread of its caller, without a task.
    in_place: bool,
}

/// What a function answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// One value.
    One(Value),
    /// All items of a stream.
    Many(Vec<Value>),
}

/// What a function answered, as bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoded {
    /// One value.
    One(Vec<u8>),
    /// All items of a stream.
    Many(Vec<Vec<u8>>),
    /// A part of them: an array of a mark and the items.
    Part(Vec<u8>),
}

impl Encoded {
    /// How many values it has.
    pub fn count(&self) -> Result<usize> {
        Ok(match self {
            Encoded::One(_) => 1,
            Encoded::Many(items) => items.len(),
            Encoded::Part(array) => {
                let start = msgpack::array_start(array)?;
                let length = start.context("a part of a stream is no array")?.0;
                length.checked_sub(1).context("a part has a mark")?
            }
        })
    }

    /// All that it has.
    pub fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        let many = match self {
            Encoded::One(value) | Encoded::Part(value) => std::slice::from_ref(value),
            Encoded::Many(items) => items,
        };
        many.iter().map(Vec::as_slice)
    }

    fn decoded(self) -> Result<Answer> {
        Ok(match self {
            Encoded::One(value) => Answer::One(msgpack::decode(&value)?),
            Encoded::Many(items) => {
                let values = items.iter().map(|item| Ok(msgpack::decode(item)?));
                Answer::Many(values.collect::<Result<_>>()?)
            }
            Encoded::Part(array) => Answer::Many(items(&array)?),
        })
    }
}

/// What a function that never waits answers.
type Called = Result<Vec<u8>, Failure>;

/// How functions are called and started.
struct Entries<'a> {
    call: TypedFunc<(u32, &'a [u8]), (Called,)>,
    start: Start,
}

/// The items of a part.
fn items(part: &[u8]) -> Result<Vec<Value>> {
    match msgpack::decode(part)? {
        Value::Array(part) => Ok(part.into_iter().skip(1).collect()),
        other => bail!("a part of a stream is a {}", other.kind()),
    }
}

/// The mark of a part, encoded, if more follow.
fn mark(part: &[u8]) -> Result<Option<&[u8]>> {
    let start = msgpack::array_start(part)?;
    let (_, at) = start.context("a part of a stream is no array")?;
    let mark = msgpack::Reader::at(part, at).raw_value()?;
    Ok(Some(mark).filter(|mark| *mark != [0xc0]))
}

fn told(failure: Failure) -> anyhow::Error {
    anyhow!("{}: {}", failure.code, failure.message)
}

/// Processor time of a call in place.
const LONGEST: Duration = Duration::from_secs(60);

/// The function that starts functions.
type Start = TypedFunc<(u32, Vec<u8>), (Result<Reply, Failure>,)>;

/// Starts a function and waits for its answer, at most `most` items of a stream.
async fn answer(
    accessor: &Accessor<GuestState>,
    start: &Start,
    call: (u32, Vec<u8>),
    most: usize,
) -> Result<Result<Encoded, Failure>> {
    let (reply,) = start.call_concurrent(accessor, call).await?;
    Ok(match reply {
        Err(failure) => Err(failure),
        Ok(Reply::One(value)) => Ok(Encoded::One(value)),
        Ok(Reply::Many(reader)) => {
            let items = accessor.with(|access| collect(reader, access, most))?;
            Ok(Encoded::Many(items.items().await))
        }
    })
}

impl Family {
    /// Instantiates a component and asks it for its functions.
    pub async fn new(bytes: &[u8], surroundings: &Surroundings<'_>) -> Result<Family> {
        Family::linked(bytes, surroundings, linker()?, false).await
    }

    /// The same as the record store in `mixer`: it works on the thread of its caller.
    pub async fn in_place(bytes: &[u8], surroundings: &Surroundings<'_>) -> Result<Family> {
        let bytes = mix_runtime::compose::clocked(bytes)?;
        let linker = mix_sandbox::blocking::linker(engine())?;
        Family::linked(&bytes, surroundings, linker, true).await
    }

    /// The same where some functions of the host are others.
    pub async fn with_host(
        bytes: &[u8],
        surroundings: &Surroundings<'_>,
        change: impl FnOnce(&mut Linker<GuestState>) -> Result<()>,
    ) -> Result<Family> {
        let mut linker = linker()?;
        linker.allow_shadowing(true);
        change(&mut linker)?;
        Family::linked(bytes, surroundings, linker, false).await
    }

    async fn linked(
        bytes: &[u8],
        surroundings: &Surroundings<'_>,
        linker: Linker<GuestState>,
        in_place: bool,
    ) -> Result<Family> {
        let component = component(bytes)?;
        let mut store = store(surroundings)?;
        let instance = linker.instantiate_async(&mut store, &component).await?;
        let mut family = Family {
            store,
            instance,
            functions: Vec::new(),
            short_ways: Vec::new(),
            parts: Vec::new(),
            in_place,
        };
        let describe = family.export::<(), (Vec<Function>,)>("mix:ffi/family@0.1.1", "describe")?;
        (family.functions,) = describe.call_async(&mut family.store, ()).await?;
        let all = family.functions.iter();
        family.short_ways = all
            .map(|function| family.short_way(&function.name))
            .collect();
        let all = family.functions.iter();
        family.parts = all.map(|function| family.parts(&function.name)).collect();
        Ok(family)
    }

    /// What the family says about itself.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Number of a function.
    pub fn number(&self, name: &str) -> Result<u32> {
        let position = self
            .functions
            .iter()
            .position(|function| function.name == name);
        Ok(position.with_context(|| format!("no function {name}"))? as u32)
    }

    /// Binds the instance to a user of an app.
    pub async fn bind(&mut self, app: &str, user: &str) -> Result<()> {
        let bind = self.export::<(Caller,), ()>("mix:ffi/binding@0.1.1", "bind")?;
        let who = Caller {
            workspace: "local".into(),
            app: app.into(),
            agent: "agent".into(),
            user: user.into(),
            deadline: 0,
        };
        bind.call_async(&mut self.store, (who,)).await?;
        Ok(())
    }

    /// Calls a function that never waits.
    pub async fn call(&mut self, name: &str, args: &[Value]) -> Result<Result<Value, Failure>> {
        let number = self.number(name)?;
        let args = msgpack::encode(&Value::Array(args.to_vec()))?;
        Ok(self
            .call_raw(number, args)
            .await?
            .map(|bytes| msgpack::decode(&bytes).expect("a value")))
    }

    /// Calls by number with bytes.
    pub async fn call_raw(
        &mut self,
        number: u32,
        args: Vec<u8>,
    ) -> Result<Result<Vec<u8>, Failure>> {
        let call = self.export::<(u32, Vec<u8>), (Result<Vec<u8>, Failure>,)>(
            "mix:ffi/family@0.1.1",
            "call",
        )?;
        let (result,) = call.call_async(&mut self.store, (number, args)).await?;
        Ok(result)
    }

    /// Starts a function that may wait and reads its answer, at most `most` items of a stream.
    pub async fn start(
        &mut self,
        name: &str,
        args: &[Value],
        most: usize,
    ) -> Result<Result<Answer, Failure>> {
        let mut answers = self.start_all(&[(name, args)], most).await?;
        answers.pop().context("one answer for one call")
    }

    /// Starts several functions at the same time.
    pub async fn start_all(
        &mut self,
        calls: &[(&str, &[Value])],
        most: usize,
    ) -> Result<Vec<Result<Answer, Failure>>> {
        let start = self.starter()?;
        let mut encoded = Vec::new();
        for (name, args) in calls {
            encoded.push((
                self.number(name)?,
                msgpack::encode(&Value::Array(args.to_vec()))?,
            ));
        }
        let answers = self
            .store
            .run_concurrent(async |accessor| -> Result<Vec<Result<Answer, Failure>>> {
                let one = async |call: (u32, Vec<u8>)| -> Result<Result<Answer, Failure>> {
                    match answer(accessor, &start, call, most).await? {
                        Ok(encoded) => encoded.decoded().map(Ok),
                        Err(failure) => Ok(Err(failure)),
                    }
                };
                let mut running: Vec<_> = encoded
                    .into_iter()
                    .map(|call| Box::pin(one(call)))
                    .collect();
                let mut answers: Vec<Option<Result<Answer, Failure>>> =
                    running.iter().map(|_| None).collect();
                std::future::poll_fn(|cx| {
                    for (call, answer) in running.iter_mut().zip(&mut answers) {
                        if answer.is_none() {
                            match call.as_mut().poll(cx) {
                                Poll::Ready(Ok(result)) => *answer = Some(result),
                                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                                Poll::Pending => {}
                            }
                        }
                    }
                    if answers.iter().all(Option::is_some) {
                        Poll::Ready(Ok(()))
                    } else {
                        Poll::Pending
                    }
                })
                .await?;
                Ok(answers.into_iter().flatten().collect())
            })
            .await??;
        Ok(answers)
    }

    /// Starts functions one after another, by number and with bytes, by their short ways where
    /// they are open and in parts where there are parts, and shows each answer and each part.
    pub async fn start_in_turn(
        &mut self,
        calls: Vec<(u32, Vec<u8>)>,
        mut visit: impl FnMut(Encoded) -> Result<()>,
    ) -> Result<()> {
        let entries = Entries {
            call: self.export("mix:ffi/family@0.1.1", "call")?,
            start: self.starter()?,
        };
        for (number, args) in calls {
            let Some((first, next)) = self.parts.get(number as usize).copied().flatten() else {
                let answer = self.answer(&entries, number, &args).await?;
                visit(answer.map_err(told)?)?;
                continue;
            };
            let mut subject = msgpack::Reader::new(&args);
            subject.next()?;
            let subject = subject.raw_value()?.to_vec();
            let mut answer = match self.answer(&entries, first, &args).await? {
                Err(failure) if failure.code == "ERR_WAITS" => {
                    let whole = self.answer(&entries, number, &args).await?;
                    visit(whole.map_err(told)?)?;
                    continue;
                }
                answer => answer.map_err(told)?,
            };
            let mut wanted = 1_000;
            loop {
                let Encoded::One(bytes) = answer else {
                    bail!("a stream in the place of a part");
                };
                let mark = mark(&bytes)?.map(<[u8]>::to_vec);
                visit(Encoded::Part(bytes))?;
                let Some(mark) = mark else { break };
                let mut args = [&[0x93][..], &subject, &mark].concat();
                msgpack::encode_into(&mut args, &Value::Int(wanted))?;
                wanted = 2_000;
                answer = self.answer(&entries, next, &args).await?.map_err(told)?;
            }
        }
        Ok(())
    }

    /// What a function answers, by its short way where that is open.
    async fn answer<'a>(
        &mut self,
        entries: &Entries<'a>,
        number: u32,
        args: &'a [u8],
    ) -> Result<Result<Encoded, Failure>> {
        if let Some(short) = self.short_ways.get(number as usize).copied().flatten() {
            let call = entries.call;
            let (result,) = if self.in_place {
                let place = InPlace::within(LONGEST, None);
                place.call(&mut self.store, |store| call.call(store, (short, args)))?
            } else {
                call.call_async(&mut self.store, (short, args)).await?
            };
            match result {
                Err(failure) if failure.code == "ERR_WAITS" => {}
                result => return Ok(result.map(Encoded::One)),
            }
        }
        let args = args.to_vec();
        let started = self.store.run_concurrent(async |accessor| {
            answer(accessor, &entries.start, (number, args), usize::MAX).await
        });
        started.await?
    }

    fn parts(&self, name: &str) -> Option<(u32, u32)> {
        let first = self.number(&format!("{name}>")).ok()?;
        let next = self.number(&format!("{name}>>")).ok()?;
        Some((first, next))
    }

    fn short_way(&self, name: &str) -> Option<u32> {
        self.number(&format!("{name}?")).ok()
    }

    /// Starts by number with bytes.
    pub async fn start_raw(
        &mut self,
        number: u32,
        args: Vec<u8>,
    ) -> Result<Result<Encoded, Failure>> {
        let start = self.starter()?;
        self.store
            .run_concurrent(async |accessor| answer(accessor, &start, (number, args), 0).await)
            .await?
    }

    fn starter(&mut self) -> Result<Start> {
        self.export("mix:ffi/family@0.1.1", "start")
    }

    fn export<P, R>(&mut self, interface: &str, function: &str) -> Result<TypedFunc<P, R>>
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
        R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
    {
        let Some(interface_index) =
            self.instance
                .get_export_index(&mut self.store, None, interface)
        else {
            bail!("no export {interface}");
        };
        let index = self
            .instance
            .get_export_index(&mut self.store, Some(&interface_index), function)
            .with_context(|| format!("no function {function} in {interface}"))?;
        Ok(self.instance.get_typed_func(&mut self.store, index)?)
    }
}
