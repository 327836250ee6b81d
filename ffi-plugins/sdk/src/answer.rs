//! The answer of a function that may wait: one value or a lazy stream.

use std::future::Future;
use std::pin::Pin;

use wit_bindgen::{StreamReader, StreamWriter};

use crate::bindings::family::{mix::ffi::types, wit_stream};
use crate::inside::noted;
use crate::{Encoded, Failure, IntoValue, Outgoing};

/// How many items of an iterator are offered to the reader at once.
const BATCH: usize = 100;

/// One element of a stream on the wire.
type Item = Vec<u8>;

/// What a `start` function answers.
#[derive(Debug)]
pub enum Answer {
    /// One value.
    One(Encoded),
    /// A lazy stream of values.
    Many(Many),
}

/// A result of a `start` function.
#[diagnostic::on_unimplemented(
    message = "a foreign function cannot return `{Self}`",
    label = "this type is no value of Mix",
    note = "return (), bool, i64, f64, String, Vec<u8>, Map, Value, Handle, an Option or a Vec of one of these, Many for a stream, alone or in a Result with mix_plugin_sdk::Failure"
)]
pub trait IntoAnswer {
    /// The answer, or why there is none.
    fn into_answer(self) -> Result<Answer, Failure>;
}

impl IntoAnswer for Answer {
    fn into_answer(self) -> Result<Answer, Failure> {
        Ok(self)
    }
}

impl IntoAnswer for Many {
    fn into_answer(self) -> Result<Answer, Failure> {
        Ok(Answer::Many(self))
    }
}

impl<T: IntoAnswer> IntoAnswer for Result<T, Failure> {
    fn into_answer(self) -> Result<Answer, Failure> {
        self?.into_answer()
    }
}

macro_rules! into_answer {
    ($($type:ty),+) => {$(
        impl IntoAnswer for $type {
            fn into_answer(self) -> Result<Answer, Failure> {
                self.encode().map(Answer::One)
            }
        }
    )+};
}

into_answer!(
    Outgoing,
    Encoded,
    mix_value::Value,
    (),
    bool,
    i64,
    f64,
    String,
    &str,
    std::sync::Arc<str>,
    crate::Bytes,
    mix_value::Map
);

impl<T: IntoValue> IntoAnswer for Vec<T> {
    fn into_answer(self) -> Result<Answer, Failure> {
        self.encode().map(Answer::One)
    }
}

impl<T: IntoValue> IntoAnswer for Option<T> {
    fn into_answer(self) -> Result<Answer, Failure> {
        self.encode().map(Answer::One)
    }
}

type Producer = Box<dyn FnOnce(Sink) -> Pin<Box<dyn Future<Output = ()>>>>;

/// A lazy stream of values, made by a task that runs while it is read.
pub struct Many {
    producer: Producer,
}

impl std::fmt::Debug for Many {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Many(..)")
    }
}

impl Many {
    /// Runs `producer` once the stream is read. It ends the stream by returning, and should
    /// return when its sink says [`Closed`]: nobody reads any longer.
    pub fn new<F, P>(producer: P) -> Many
    where
        P: FnOnce(Sink) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        Many {
            producer: Box::new(move |sink| Box::pin(producer(sink))),
        }
    }

    /// The items of an iterator, computed a batch at a time.
    pub fn of<I>(items: I) -> Many
    where
        I: IntoIterator + 'static,
        I::IntoIter: 'static,
        I::Item: IntoValue,
    {
        let mut items = items.into_iter();
        Many::new(async move |mut sink| {
            loop {
                let batch: Vec<_> = items.by_ref().take(BATCH).collect();
                if batch.is_empty() || sink.send_all(batch).await.is_err() {
                    return;
                }
            }
        })
    }
}

/// Nobody reads the stream any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Where a producer puts the values of its stream. Sending waits until the reader has
/// taken the value, so a slow reader slows its producer down and nothing piles up.
#[derive(Debug)]
pub struct Sink {
    writer: StreamWriter<Item>,
}

impl Sink {
    /// Sends one value. A `Result` that is a [`Failure`], or a value without a wire form, ends the stream
    /// with it, and the sink is closed.
    pub async fn send(&mut self, item: impl IntoValue) -> Result<(), Closed> {
        match item.encode() {
            Ok(Encoded(item)) => self.write(item).await,
            Err(failure) => self.break_off(failure).await,
        }
    }

    /// Sends several values; cheaper than one by one.
    pub async fn send_all<T: IntoValue>(&mut self, items: Vec<T>) -> Result<(), Closed> {
        let mut batch = Vec::with_capacity(items.len());
        for item in items {
            match item.encode() {
                Ok(Encoded(item)) => batch.push(item),
                Err(failure) => {
                    self.write_all(batch).await?;
                    return self.break_off(failure).await;
                }
            }
        }
        self.write_all(batch).await
    }

    /// Ends the stream with a failure: the program gets it once it has taken the items before.
    pub async fn fail(mut self, failure: Failure) {
        let _ = self.break_off(failure).await;
    }

    /// The reader may be gone; then nobody wants to know why it ended.
    async fn break_off(&mut self, failure: Failure) -> Result<(), Closed> {
        let _ = self.write(failure.to_item()).await;
        Err(Closed)
    }

    async fn write(&mut self, item: Item) -> Result<(), Closed> {
        match self.writer.write_one(item).await {
            None => Ok(()),
            Some(_) => Err(Closed),
        }
    }

    async fn write_all(&mut self, items: Vec<Item>) -> Result<(), Closed> {
        if self.writer.write_all(items).await.is_empty() {
            Ok(())
        } else {
            Err(Closed)
        }
    }
}

impl Answer {
    /// The reply on the wire. A stream's task starts to run in the present component task.
    pub(crate) fn into_reply(self) -> types::Reply {
        match self {
            Answer::One(Encoded(value)) => types::Reply::One(value),
            Answer::Many(Many { producer }) => {
                let (writer, reader): (_, StreamReader<Item>) = wit_stream::new();
                wit_bindgen::spawn_local(noted(producer(Sink { writer })));
                types::Reply::Many(reader)
            }
        }
    }
}
