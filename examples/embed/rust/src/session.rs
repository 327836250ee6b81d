//! A session of the app: messages go in as a stream, answers come out as one.
use crate::exports::mix::embed::agents::Guest;
use crate::machine::Machine;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wasmtime::component::{Accessor, Source, StreamConsumer, StreamReader, StreamResult};
use wasmtime::{Result, StoreContextMut};

/// Takes the answers as they come.
struct Told(UnboundedSender<String>);

impl StreamConsumer<Machine> for Told {
    type Item = String;
    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<Machine>,
        mut source: Source<'_, String>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut texts = Vec::with_capacity(16);
        source.read(store, &mut texts)?;
        let told = texts.into_iter().try_for_each(|text| self.0.send(text));
        let next = told.map_or(StreamResult::Dropped, |()| StreamResult::Completed);
        Poll::Ready(Ok(next))
    }
}

pub async fn talk(store: &Accessor<Machine>, app: &Guest, messages: Vec<String>) -> Result<()> {
    let (send, mut told) = unbounded_channel();
    let messages = store.with(|access| StreamReader::new(access, messages))?;
    let answers = app.call_session(store, messages).await?;
    store.with(|access| answers.pipe(access, Told(send)))?;
    while let Some(answer) = told.recv().await {
        println!("{answer}");
    }
    Ok(())
}
