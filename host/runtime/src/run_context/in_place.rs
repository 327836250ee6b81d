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
use std::sync::PoisonError;
use std::time::Instant;

impl RunContext {
    /// A synchronous function of an instance that is there and can be called in place.
    /// Else the arguments come back, for [`RunContext::call`].
    pub fn call_in_place(
        &self,
        function: u32,
        args: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<CallResult, Vec<u8>> {
        let Some((target, link)) = self.reach(function, &args) else {
            return Err(args);
        };
        let address = Address {
            session: link.session,
            function: target.function,
            args,
        };
        let span = self.trace.as_ref().and_then(|_| self.span(target));
        let result = link.instance.call_in_place(address, deadline);
        let result = result.map_err(|address| address.args);
        settle(
            span,
            result.as_ref().ok().map(|result| result.as_ref().err()),
        );
        result
    }

    /// The same with short arguments.
    pub fn call_short(&self, function: u32, args: ShortValue, deadline: Option<Instant>) -> Answer {
        match self.short_in_place(function, args.into(), deadline) {
            Some(Answered::Short(value)) => Answer::Value(value.into()),
            Some(Answered::Whole(result)) => {
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                Answer::Kept
            }
            None => Answer::Declined,
        }
    }

    /// What [`RunContext::call_short`] has kept.
    pub fn take_kept(&self) -> CallResult {
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let nothing = || Err(failure("ERR_INTERNAL", "no answer is kept".to_owned()));
        kept.unwrap_or_else(nothing)
    }

    fn short_in_place(
        &self,
        function: u32,
        args: Short,
        deadline: Option<Instant>,
    ) -> Option<Answered> {
        let (target, link) = self.reach(function, args.get()?)?;
        let span = self.trace.as_ref().and_then(|_| self.span(target));
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
    fn reach(&self, function: u32, args: &[u8]) -> Option<(Target, Link)> {
        let target = self.assembly.target(function)?;
        let link = self.link_at_hand(target.plugin)?;
        // What is outside of the app takes permission first, what is stored takes room.
        let asks_first = link.instance.is_shared()
            && (neighbours::writes(self.assembly.name_of(target))
                || self.remote(target, args).is_some()
                || neighbours::outside(&self.place.app, args).is_some());
        (!asks_first).then_some((target, link))
    }

    /// The own app's instance of a plugin, if it is there.
    fn link_at_hand(&self, plugin: usize) -> Option<Link> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, link)) = &*last
            && *of == plugin
            && !link.instance.is_dead()
        {
            return Some(link.clone());
        }
        let mut links = self.links.try_lock().ok()?;
        let wanted = (plugin, None);
        let link = links.alive(&wanted);
        let link = link.or_else(|| self.link_in_place(&mut links, &wanted))?;
        *last = Some((plugin, link.clone()));
        Some(link)
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
