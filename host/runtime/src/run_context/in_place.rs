//! Calls that are made on the stack of the VM, where the instance is there and nothing has to be asked before.

use super::{Link, RunContext, failure};
use crate::assembly::Target;
use crate::bindings::{Answer, Failure, ShortValue};
use crate::instance::job::Address;
use crate::neighbours;
use crate::plugin::CallResult;
use crate::short::Answered;
use crate::trace::Open;
use mix_value::packed::Short;
use std::sync::Arc;
use std::time::Instant;

/// A run, and what its VM needs again and again. It belongs to the store of the VM, so no lock is in the way
/// of a call.
pub struct AtHand {
    /// The run.
    pub run: Arc<RunContext>,
    /// The link that was used last, and the plugin that it is to: the next call mostly wants it too.
    last: Option<(usize, Link)>,
    /// The answer of the last call with short arguments, if it was no short one.
    kept: Option<CallResult>,
}

impl AtHand {
    /// For the store of the VM of a run.
    pub fn new(run: Arc<RunContext>) -> AtHand {
        AtHand {
            run,
            last: None,
            kept: None,
        }
    }

    /// A synchronous function of an instance that is there and can be called in place.
    /// Else the arguments come back, for [`RunContext::call`].
    pub fn call_in_place(
        &mut self,
        function: u32,
        args: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<CallResult, Vec<u8>> {
        let Some((target, link, run)) = self.reach(function, &args) else {
            return Err(args);
        };
        let address = Address {
            session: link.session,
            function: target.function,
            args,
        };
        let span = run.trace.as_ref().and_then(|_| run.span(target));
        let result = link.instance.call_in_place(address, deadline);
        let result = result.map_err(|address| address.args);
        settle(
            span,
            result.as_ref().ok().map(|result| result.as_ref().err()),
        );
        result
    }

    /// The same with short arguments.
    pub fn call_short(
        &mut self,
        function: u32,
        args: ShortValue,
        deadline: Option<Instant>,
    ) -> Answer {
        match self.short_in_place(function, args.into(), deadline) {
            Some(Answered::Short(value)) => Answer::Value(value.into()),
            Some(Answered::Whole(result)) => {
                self.kept = Some(result);
                Answer::Kept
            }
            None => Answer::Declined,
        }
    }

    /// What [`AtHand::call_short`] has kept.
    pub fn take_kept(&mut self) -> CallResult {
        let nothing = || Err(failure("ERR_INTERNAL", "no answer is kept".to_owned()));
        self.kept.take().unwrap_or_else(nothing)
    }

    fn short_in_place(
        &mut self,
        function: u32,
        args: Short,
        deadline: Option<Instant>,
    ) -> Option<Answered> {
        let (target, link, run) = self.reach(function, args.get()?)?;
        let span = run.trace.as_ref().and_then(|_| run.span(target));
        let answered =
            link.instance
                .call_short_in_place(link.session, target.function, args, deadline);
        settle(
            span,
            answered.as_ref().map(|answered| match answered {
                Answered::Whole(result) => result.as_ref().err(),
                Answered::Short(_) => None,
            }),
        );
        answered
    }

    /// Where a function is, if its instance is there and nothing has to be asked before.
    fn reach(&mut self, function: u32, args: &[u8]) -> Option<(Target, &Link, &RunContext)> {
        let AtHand { run, last, .. } = self;
        let target = run.assembly.target(function)?;
        let plugin = target.plugin;
        let is_at_hand = |(of, link): &(usize, Link)| *of == plugin && !link.instance.is_dead();
        if !last.as_ref().is_some_and(is_at_hand) {
            *last = Some((plugin, run.link_at_hand(plugin)?));
        }
        let (_, link) = last.as_ref()?;
        // What is outside of the app takes permission first, what is stored takes room.
        let asks_first = link.instance.is_shared()
            && (neighbours::writes(run.assembly.name_of(target))
                || run.remote(target, args).is_some()
                || neighbours::outside(&run.place.app, args).is_some());
        (!asks_first).then_some((target, link, run))
    }
}

impl RunContext {
    /// The own app's instance of a plugin, if it is there.
    fn link_at_hand(&self, plugin: usize) -> Option<Link> {
        let mut links = self.links.try_lock().ok()?;
        let wanted = (plugin, None);
        let link = links.alive(&wanted);
        link.or_else(|| self.link_in_place(&mut links, &wanted))
    }
}

/// Ends the span of a call in place: `None` is one that is made another way, and recorded there.
fn settle(span: Option<Open>, made: Option<Option<&Failure>>) {
    match (span, made) {
        (Some(span), None) => span.discard(),
        (Some(mut span), Some(Some(failure))) => span.fail(&*failure.code),
        _ => {}
    }
}
