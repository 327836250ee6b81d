//! A run that has its slot: its answer, and what it does after that.
//!
//! An agent that has pushed idle actions answers at once and goes on, without anybody waiting for
//! it. It keeps its slot for a moment and then moves to a pool of its own, so that work which
//! nobody waits for does not stand in the way of requests.

use super::{Ready, Turn, translate};
use crate::Server;
use crate::activity::{Draft, Postponed};
use mix_http_api::{AgentRun, Response, RunOutcome};
use mix_runtime::run::{self, BROKE_OFF, Early, Outcome};
use mix_runtime::trace::Open;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long work after the answer keeps the slot of the run.
const WITH_SLOT: Duration = Duration::from_secs(10);

/// What ends so soon after the answer was no work.
const NO_WORK: Duration = Duration::from_millis(1);

type Running = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

/// A run that goes on. Dropped before its answer, it ends.
pub struct Going {
    server: Arc<Server>,
    /// What was asked for.
    pub run: Arc<AgentRun>,
    shows_stack: bool,
    draft: Option<Draft>,
    running: Running,
    early: oneshot::Receiver<Outcome>,
    turn: Option<Turn>,
    progress: Progress,
    /// Ends with it.
    span: Option<Open>,
}

/// How far it is.
enum Progress {
    Running,
    Answered(Instant),
    Ended(Option<Postponed>),
}

impl Going {
    /// Begins.
    pub fn begin(server: &Arc<Server>, ready: Ready, turn: Turn) -> Going {
        let (answer, early) = oneshot::channel();
        let time = Duration::from_millis(server.settings.postpone_timeout_ms);
        let Ready {
            request,
            run,
            presence,
            shows_stack,
            mut draft,
            rights,
            inside: _,
            span,
        } = ready;
        rights.begin(request.timeout);
        if let Some(draft) = &mut draft {
            draft.served();
        }
        let assembly = server.assembly.clone();
        let running = async move {
            let early = Some(Early { answer, time });
            tokio::select! {
                outcome = run::run_answering(&assembly, request, early) => Some(outcome),
                () = presence.stopped() => None,
            }
        };
        Going {
            server: server.clone(),
            run,
            shows_stack,
            draft,
            running: Box::pin(running),
            early,
            turn: Some(turn),
            progress: Progress::Running,
            span,
        }
    }

    /// The answer. Dropped while this is waited for, the run ends.
    pub async fn answer(&mut self) -> RunOutcome {
        let outcome = tokio::select! {
            biased;
            ended = &mut self.running => self.ended(ended, Instant::now()),
            answer = &mut self.early => match answer {
                Ok(answer) => {
                    self.progress = Progress::Answered(Instant::now());
                    self.linger().await;
                    Some(answer)
                }
                // It has ended, or panicked.
                Err(_) => (&mut self.running).await,
            },
        };
        let outcome = match outcome {
            Some(outcome) => translate(outcome, &self.run, self.shows_stack),
            None => RunOutcome::Canceled,
        };
        if let (Some(span), Some(error)) = (&mut self.span, outcome.error(&self.run.agent)) {
            span.fail(error.code);
        }
        outcome
    }

    /// Most runs have nothing to do after their answer but to end.
    async fn linger(&mut self) {
        tokio::select! {
            biased;
            ended = &mut self.running => {
                self.progress = Progress::Ended(after(ended, Duration::ZERO));
            }
            () = tokio::task::yield_now() => {}
        }
    }

    /// The answer of a run that has ended: the outcome, unless it was told before.
    fn ended(&mut self, outcome: Option<Outcome>, now: Instant) -> Option<Outcome> {
        match self.early.try_recv() {
            Ok(answer) => {
                self.progress = Progress::Ended(after(outcome, now.elapsed()));
                Some(answer)
            }
            Err(_) => {
                self.progress = Progress::Ended(None);
                outcome
            }
        }
    }

    /// Waits for the answer and makes the response; what comes after that goes on by itself.
    pub async fn respond(mut self) -> Response {
        let outcome = self.answer().await;
        let response = self.run.finish(outcome);
        let bytes = response.body.len() as u64;
        self.leave(response.status, response.code, bytes);
        response
    }

    /// Lets it go on without anybody waiting for it; this is what its caller has got.
    pub fn leave(mut self, status: u16, code: &'static str, bytes: u64) {
        if let Some(draft) = &mut self.draft {
            draft.answered(status, code, bytes);
        }
        match std::mem::replace(&mut self.progress, Progress::Running) {
            Progress::Ended(None) | Progress::Running => {}
            Progress::Ended(Some(postponed)) => {
                if let Some(draft) = self.draft {
                    draft.postponed(postponed);
                }
            }
            Progress::Answered(at) => {
                tokio::spawn(self.go_on(at));
            }
        }
    }

    async fn go_on(mut self, answered: Instant) {
        if let Some(Turn::Lent(_)) = self.turn {
            // Whoever has asked goes on, and needs its slot itself.
            self.turn = None;
        }
        let outcome = tokio::select! {
            outcome = &mut self.running => outcome,
            () = tokio::time::sleep(WITH_SLOT) => self.in_background().await,
        };
        if let (Some(draft), Some(postponed)) = (self.draft, after(outcome, answered.elapsed())) {
            draft.postponed(postponed);
        }
    }

    /// Gives up the slot as soon as there is a place in the background.
    async fn in_background(&mut self) -> Option<Outcome> {
        let places = self.server.background.clone();
        let place = tokio::select! {
            outcome = &mut self.running => return outcome,
            place = places.acquire_owned() => place,
        };
        self.turn = None;
        let outcome = (&mut self.running).await;
        drop(place);
        outcome
    }
}

/// What the log says about the time after the answer; `None`: there was nothing.
fn after(outcome: Option<Outcome>, duration: Duration) -> Option<Postponed> {
    let code = match outcome {
        Some(Outcome::Output(_)) if duration < NO_WORK => return None,
        Some(Outcome::Output(_)) => String::new(),
        Some(Outcome::Issue(issue) | Outcome::NotLoaded(issue)) => issue.code,
        Some(Outcome::TimedOut) => "agent_timeout".to_owned(),
        Some(Outcome::OutOfMemory) => "agent_memory".to_owned(),
        Some(Outcome::Broken(reason)) => {
            tracing::error!(%reason, "{BROKE_OFF} after its answer");
            "internal".to_owned()
        }
        None => "canceled".to_owned(),
    };
    Some(Postponed { duration, code })
}
