//! Routines as the driver of a session sees them: requests under way at once, cancelled when
//! nobody waits for them any longer, begun although another routine is busy.

use anyhow::{Context, Result, bail};
use mix_conformance::case_file;
use mix_conformance::families::{Families, Table};
use mix_conformance::session::{Compiled, compiled};
use mix_value::{Value, msgpack};
use mix_vm::{Action, Event, Options, Pending, Reply, Session, Step, Vm};

/// A session of a program whose sleeping is what it asks of its driver.
fn session(source: &str) -> Result<Session> {
    let text = format!("{source}#agent ignored null  //= null\n");
    let block = case_file::parse(&text).pop().context("no block")?;
    let program = match compiled(&block)? {
        Compiled::Program(program, _) => *program,
        Compiled::Refused(problem, _) => bail!("{problem:?}"),
    };
    let vm = Vm::of_program(program, &Table, &Options::default())
        .map_err(|issue| anyhow::anyhow!("{issue}"))?;
    Ok(vm.session())
}

fn run_agent(agent: &str) -> Result<Action> {
    Ok(Action::RunAgent {
        agent: agent.to_owned(),
        params: msgpack::encode(&Value::Null)?,
    })
}

/// Runs until the session waits: its requests, and the results told on the way.
fn until_it_waits(session: &mut Session) -> Result<(Vec<Pending>, Vec<Value>)> {
    let mut families = Families::new()?;
    let mut results = Vec::new();
    loop {
        match session.run(&mut families, 1_000_000) {
            Step::Waiting(requests) | Step::Listening(requests) => return Ok((requests, results)),
            Step::Idle => return Ok((Vec::new(), results)),
            Step::Event(Event::Result(bytes)) => results.push(msgpack::decode(&bytes)?),
            Step::Event(Event::Issue(issue)) => bail!("{issue}"),
            Step::Event(_) | Step::Ready => {}
        }
    }
}

fn nothing() -> Result<Reply> {
    Ok(Reply::One(msgpack::encode(&Value::Null)?.into()))
}

#[test]
fn a_hundred_requests_are_under_way_at_once() -> Result<()> {
    let source = "module hundred(p:data)
  def nap(c, k) = co.createFG(r -> do { co.sleep(1); co.channelEmit(c, k) })
  def naps(n) = do {
    let c = co.channelCreate();
    for (let k in array.enumerate(n)) { nap(c, k) }
    return co.channelToStream(c) |> stream.firstn(n) |> stream.toArray
  }
  cell output = naps(100)
module end
";
    let mut session = session(source)?;
    session.act(run_agent("hundred")?);
    let (requests, results) = until_it_waits(&mut session)?;
    assert_eq!((requests.len(), results), (100, Vec::new()));
    // Answered backwards: the results come in the order of the answers.
    for request in requests.iter().rev() {
        session.resume(request.call(), nothing()?);
    }
    let (requests, results) = until_it_waits(&mut session)?;
    assert!(requests.is_empty());
    let backwards = (0..100).rev().map(Value::Int).collect();
    assert_eq!(results, [Value::Array(backwards)]);
    assert!(session.canceled_requests().is_empty());
    Ok(())
}

#[test]
fn a_request_that_is_too_late_is_cancelled() -> Result<()> {
    let source = "module late(p:data)
  cell output = co.applyWithTimeout(1, x -> co.sleep(x), 60) |> (co.timeout -> \"late\" | _ -> \"in time\")
module end
";
    let mut session = session(source)?;
    session.act(run_agent("late")?);
    let (requests, _) = until_it_waits(&mut session)?;
    assert_eq!(requests.len(), 2);
    // The function asks first, then the timer.
    session.resume(requests[1].call(), nothing()?);
    let (_, results) = until_it_waits(&mut session)?;
    assert_eq!(results, [Value::string("late")]);
    assert_eq!(session.canceled_requests(), [requests[0].call()]);
    // An answer that comes all the same is nobody's.
    session.resume(requests[0].call(), nothing()?);
    assert!(until_it_waits(&mut session)?.1.is_empty());
    Ok(())
}

#[test]
fn a_timer_that_is_not_needed_is_cancelled() -> Result<()> {
    let source = "module early(p:data)
  cell output = co.applyWithTimeout(60, x -> co.sleep(x), 1) |> (co.timeout -> \"late\" | _ -> \"in time\")
module end
";
    let mut session = session(source)?;
    session.act(run_agent("early")?);
    let (requests, _) = until_it_waits(&mut session)?;
    session.resume(requests[0].call(), nothing()?);
    let (_, results) = until_it_waits(&mut session)?;
    assert_eq!(results, [Value::string("in time")]);
    assert_eq!(session.canceled_requests(), [requests[1].call()]);
    Ok(())
}

#[test]
fn requests_in_the_background_are_cancelled_with_the_answer() -> Result<()> {
    let source = "module lingers(p:data)
  def begin(k) = co.create(r -> co.sleep(3600))
  cell output = let _ = array.map(k -> begin(k), [1, 2]); let _ = co.sleep(1); \"done\"
module end
";
    let mut session = session(source)?;
    session.act(run_agent("lingers")?);
    let (requests, _) = until_it_waits(&mut session)?;
    assert_eq!(requests.len(), 3);
    // The agent itself asks first: the others were ready but had not run.
    session.resume(requests[0].call(), nothing()?);
    let (more, results) = until_it_waits(&mut session)?;
    assert_eq!((more.len(), results), (0, vec![Value::string("done")]));
    let background = [requests[1].call(), requests[2].call()];
    assert_eq!(session.canceled_requests(), background);
    Ok(())
}

#[test]
fn requests_of_called_agents_are_cancelled_with_the_caller() -> Result<()> {
    let source = "module inner(p:data)
  cell output = let _ = co.sleep(3600); \"done\"
module end
module outer(p:data)
  cell output = agent.call(agent.localAgent(\"inner\"), {timeout: 1}, null) |> (error(e) -> \"late\" | ok(v) -> v)
module end
";
    let mut session = session(source)?;
    session.act(run_agent("outer")?);
    let (requests, _) = until_it_waits(&mut session)?;
    assert_eq!(requests.len(), 2);
    let timer = requests
        .iter()
        .min_by_key(|request| request.call())
        .context("no timer")?;
    session.resume(timer.call(), nothing()?);
    let (_, results) = until_it_waits(&mut session)?;
    assert_eq!(results, [Value::string("late")]);
    let inner = requests.iter().map(Pending::call).max();
    assert!(
        session
            .canceled_requests()
            .contains(&inner.context("no request")?)
    );
    Ok(())
}

#[test]
fn a_busy_routine_does_not_keep_back_requests() -> Result<()> {
    let source = "module busy(p:data)
  def spin() = do { var n = 0; while (n < 10000000) { n = n + 1 } return n }
  def begin() = co.create(r -> co.sleep(1))
  cell output = let _ = begin(); let _ = co.yield(); spin()
module end
";
    let mut session = session(source)?;
    session.act(run_agent("busy")?);
    assert_eq!(session.run(&mut Families::new()?, 1000), Step::Ready);
    assert_eq!(session.take_requests().len(), 1);
    assert!(session.is_busy());
    Ok(())
}
