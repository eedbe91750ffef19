//! Why the events of a link go where they go, or go nowhere.

use super::problem::{Code, Problem};
use super::rows::{self, Addresses};
use super::shape::{Candidate, Explanation, LastError, Rule, State, millis};
use crate::router::{Aim, Change, Choice, Failure, Link, LinkName, Session, Snapshot};
use crate::session::{Generation, Nearest, Release, SessionName, SessionState, is_stopped, tool};

/// What the table does not know.
pub trait Facts: Addresses {
    /// Whether the project file leads the link there.
    fn is_declared(&self, link: &Link) -> bool;
    /// Events that wait for the target of a link.
    fn waiting_on(&self, link: &LinkName) -> usize;
    /// Events that wait for a session and come by no link.
    fn waiting_outside(&self, session: &SessionName) -> usize;
    /// Why an event on a link was last not served.
    fn last_failure(&self, link: &LinkName) -> Option<Failure>;
    /// The same of events that come by no link.
    fn last_failure_outside(&self, session: &SessionName) -> Option<Failure>;
    /// What stands under a worker's name in a registry and cannot be a session, and why.
    fn refused(&self, worker: &str) -> Vec<(String, String)>;
}

/// Explains a link (`web/API`), or a session.
///
/// # Errors
/// There is none of that name; the likest is named.
pub fn explain(asked: &str, now: &Snapshot, facts: &impl Facts) -> Result<Explanation, Problem> {
    let bad = |error: String| {
        Problem::new(Code::BadRequest, error).hint("give a link, like `web/API`, or a session, like `web`")
    };
    if asked.contains('/') {
        let link: LinkName =
            asked.parse().map_err(|error: crate::router::LinkTextError| bad(error.to_string()))?;
        let link = LinkName::new(known(link.session, now)?, link.binding);
        return explain_link(link, now, facts);
    }
    let session = asked.parse().map_err(|error: crate::session::NameError| bad(error.to_string()))?;
    explain_session(&known(session, now)?, now, facts)
}

/// The session that is meant.
fn known(name: SessionName, now: &Snapshot) -> Result<SessionName, Problem> {
    let meant = now.meant(name);
    if now.session(&meant).is_some() {
        return Ok(meant);
    }
    let all = now.sessions();
    let alike: Vec<_> = all.iter().filter(|session| session.name.name() == meant.name()).collect();
    let lists = "`jackfield ls` lists the sessions";
    Err(match alike.as_slice() {
        [] => {
            let nearest = Nearest::of(&meant, all.iter().map(|session| &session.name));
            Problem::new(Code::UnknownSession, format!("there is no session {meant}{nearest}")).hint(lists)
        }
        alike => {
            let names: Vec<_> = alike.iter().map(|session| session.name.to_string()).collect();
            Problem::new(
                Code::UnknownSession,
                format!("there is no session {meant}, but {}", names.join(", ")),
            )
            .hint("say which one, with its scope")
        }
    })
}

fn explain_session(name: &SessionName, now: &Snapshot, facts: &impl Facts) -> Result<Explanation, Problem> {
    let callers: Vec<_> = now.links().into_iter().filter(|link| leads_to(link, name)).collect();
    let by_links: usize = callers.iter().map(|link| facts.waiting_on(&link.name)).sum();
    let failures = callers.iter().filter_map(|link| facts.last_failure(&link.name));
    let last = failures.chain(facts.last_failure_outside(name)).max_by_key(|failure| failure.at);
    let session = now.session(name);
    let next = session.map(|session| when_down(session)).unwrap_or_default();
    Ok(Explanation {
        revision: now.revision,
        link: None,
        rule: None,
        because: None,
        target: None,
        session: session.map(|session| rows::session_row(session, facts)),
        candidates: Vec::new(),
        misfit: None,
        waiting: by_links + facts.waiting_outside(name),
        last_error: last.map(last_error),
        nearest: None,
        callers: callers.into_iter().map(|link| link.name.clone()).collect(),
        next,
    })
}

fn leads_to(link: &Link, session: &SessionName) -> bool {
    link.rule.as_ref().is_none_or(|choice| choice.session().is_some()) && link.target.session() == session
}

fn explain_link(name: LinkName, now: &Snapshot, facts: &impl Facts) -> Result<Explanation, Problem> {
    let found = find(&name, now);
    let name = found.map_or(name, |link| link.name.clone());
    let (rule, because, target, wanted) = match found {
        Some(link) => ruled(link, facts),
        None if is_joined(&name.session, now) => {
            let choice = choose(&name, now);
            let (rule, because, target) = chosen(&choice, &name.binding);
            (rule, format!("nothing was called by this link so far; {because}"), target, name.binding.clone())
        }
        None => return Err(unknown_link(&name, now)),
    };
    let aimed = target.as_ref().and_then(|target| now.session(&target.session));
    let mut candidates = candidates(&name, found.map(AsRef::as_ref), rule, target.as_ref(), &wanted, now);
    let is_candidate = |worker: &str| candidates.iter().any(|candidate| candidate.session == worker);
    let refused = facts.refused(&wanted).into_iter().filter(|(worker, _)| !is_candidate(worker));
    let refused: Vec<_> = refused
        .map(|(worker, why)| Candidate { session: worker, taken: false, state: None, why_not: Some(why) })
        .collect();
    candidates.extend(refused);
    let sessions = now.sessions();
    let nearest = match rule {
        Rule::Missing => Nearest::of(&wanted, sessions.iter().map(|session| session.name.name())).0,
        _ => None,
    };
    let mut next = next((&name, &wanted), rule, aimed.map(AsRef::as_ref), &candidates, nearest.as_deref());
    let misfit = now.session(&name.session).zip(aimed).and_then(|(caller, target)| misfit(caller, target));
    if misfit.is_some() {
        let needed = Release::needed();
        next.insert(0, format!("update the tool that runs {}, to one with {needed}", name.session));
    }
    Ok(Explanation {
        revision: now.revision,
        rule: Some(rule),
        because: Some(because),
        session: aimed.map(|session| rows::session_row(session, facts)),
        candidates,
        misfit,
        waiting: facts.waiting_on(&name),
        last_error: facts.last_failure(&name).map(last_error),
        nearest,
        callers: Vec::new(),
        next,
        target,
        link: Some(name),
    })
}

/// The link of that name, whatever the case, or the one that leads to a session of that name.
fn find<'a>(name: &LinkName, now: &'a Snapshot) -> Option<&'a std::sync::Arc<Link>> {
    if let Some(link) = now.link(name) {
        return Some(link);
    }
    let own: Vec<_> = now.links().into_iter().filter(|link| link.name.session == name.session).collect();
    let only = |fits: &dyn Fn(&Link) -> bool| {
        let mut found = own.iter().copied().filter(|link| fits(link));
        found.next().filter(|_| found.next().is_none())
    };
    only(&|link| link.name.binding.eq_ignore_ascii_case(&name.binding)).or_else(|| {
        only(&|link| match link.rule {
            Some(_) => link.wanted() == name.binding,
            None => link.target.session().name() == name.binding,
        })
    })
}

fn is_joined(session: &SessionName, now: &Snapshot) -> bool {
    now.session(session).is_some_and(|session| session.origin.is_joined())
}

fn choose(link: &LinkName, now: &Snapshot) -> Choice {
    let sessions = now.sessions();
    Choice::of(&link.session, &link.binding, sessions.iter().map(|session| &session.name))
}

/// The rule of a link that is there, in words; its target, and the name that candidates have.
fn ruled(link: &Link, facts: &impl Facts) -> (Rule, String, Option<Aim>, String) {
    if let Some(choice) = &link.rule {
        let (rule, because, _) = chosen(choice, link.wanted());
        let target = choice.session().map(|_| link.target.aim());
        return (rule, because, target, link.wanted().to_owned());
    }
    let wanted = link.target.session().name().to_owned();
    let (rule, because) = match facts.is_declared(link) {
        true => (Rule::Project, "the project says so"),
        false => (Rule::Operator, "an operator moved it there"),
    };
    (rule, because.to_owned(), Some(link.target.aim()), wanted)
}

fn chosen(choice: &Choice, wanted: &str) -> (Rule, String, Option<Aim>) {
    let because = match choice {
        Choice::Missing { .. } => format!("there is no session called {wanted}"),
        choice => choice.to_string(),
    };
    (
        Rule::from(choice),
        because,
        choice.session().map(|session| Aim { session: session.clone(), export: None }),
    )
}

fn candidates(
    name: &LinkName,
    link: Option<&Link>,
    rule: Rule,
    target: Option<&Aim>,
    wanted: &str,
    now: &Snapshot,
) -> Vec<Candidate> {
    let all = now.sessions();
    let alike = all.into_iter().filter(|session| session.name.name() == wanted);
    let candidate = |session: &std::sync::Arc<Session>| {
        let taken = target.is_some_and(|target| target.session == session.name);
        let why_not = (!taken).then(|| {
            unfit(session, link, now).unwrap_or_else(|| not_taken(&session.name, name, rule, target))
        });
        let state = Some(rows::state(&session.state).0);
        Candidate { session: session.name.to_string(), taken, state, why_not }
    };
    alike.map(candidate).collect()
}

/// Why the link could not be moved to that session.
fn unfit(session: &Session, link: Option<&Link>, now: &Snapshot) -> Option<String> {
    let link = link?;
    let to = Aim { session: session.name.clone(), ..link.target.aim() };
    let props = link.target.props().cloned();
    now.allows(Change::Retarget { link: link.name.clone(), to, props }).err().map(|error| error.to_string())
}

fn not_taken(session: &SessionName, link: &LinkName, rule: Rule, target: Option<&Aim>) -> String {
    let scope =
        |name: &SessionName| name.scope().map_or("no scope".to_owned(), |scope| format!("the scope {scope}"));
    let target = target.map(|target| target.session.to_string()).unwrap_or_default();
    match rule {
        Rule::Project => format!("the project names {target}"),
        Rule::Operator => format!("an operator chose {target}"),
        Rule::SameScope | Rule::OnlyOne => {
            format!("it has {}, and the caller {}", scope(session), scope(&link.session))
        }
        Rule::Ambiguous => {
            format!(
                "it has {}, the caller {}, and it is not the only one",
                scope(session),
                scope(&link.session)
            )
        }
        Rule::Missing => "it has another name".to_owned(),
    }
}

/// Why two that are up do not understand each other.
fn misfit(caller: &Session, target: &Session) -> Option<String> {
    let (SessionState::Up(ours), SessionState::Up(theirs)) = (&caller.state, &target.state) else {
        return None;
    };
    let (own, other) = (ours.release.as_ref()?, theirs.release.as_ref()?);
    if own.can_call(other) {
        return None;
    }
    let with_tool = |generation: &Generation, release: &Release| match tool(generation.pid) {
        Some(tool) => format!("{release} ({tool})"),
        None => release.to_string(),
    };
    Some(format!(
        "methods cannot be called, of Durable Objects neither: {} runs {}, which takes the beginning of a call for its end \
         where the target runs {}, as {} does; fetch() and WebSockets work",
        caller.name,
        with_tool(ours, own),
        with_tool(theirs, other),
        target.name
    ))
}

fn last_error(failure: Failure) -> LastError {
    LastError { message: failure.text, at_ms: millis(failure.at) }
}

fn next(
    (link, wanted): (&LinkName, &str),
    rule: Rule,
    target: Option<&Session>,
    candidates: &[Candidate],
    nearest: Option<&str>,
) -> Vec<String> {
    let up = candidates.iter().filter(|candidate| !candidate.taken && candidate.state == Some(State::Up));
    let moves =
        up.map(|candidate| format!("`jackfield retarget {link} {}` leads it there", candidate.session));
    match (rule, target) {
        (Rule::Ambiguous, _) => moves.collect(),
        (Rule::Missing, _) => {
            let start = format!(
                "start it: `jackfield dev` in its folder, or `jackfield run --name {wanted} -- COMMAND`"
            );
            let near = nearest.map(|near| format!("if {near} is meant: `jackfield retarget {link} {near}`"));
            near.into_iter().chain([start]).collect()
        }
        (_, Some(session)) if rows::state(&session.state).0 != State::Up => {
            when_down(session).into_iter().chain(moves).collect()
        }
        _ => Vec::new(),
    }
}

fn when_down(session: &Session) -> Vec<String> {
    use crate::router::Origin;
    if let SessionState::Up(generation) = &session.state {
        let stopped = is_stopped(generation.pid)
            .then(|| format!("let it go on: `kill -CONT {}`, or `fg` in its terminal", generation.pid));
        return stopped.into_iter().collect();
    }
    let advice = match (&session.state, session.origin) {
        (SessionState::Up(_) | SessionState::Starting, _) | (SessionState::Down { .. }, Origin::Fake) => {
            return Vec::new();
        }
        (SessionState::Down { .. }, Origin::Project) => {
            "look at what it wrote, put it right, and `jackfield reload`"
        }
        (SessionState::Down { .. }, Origin::Dev) => "look at what `jackfield dev` says of it",
        (SessionState::Down { .. }, Origin::Left) => "start its `jackfield dev` again",
        (SessionState::Down { .. }, Origin::Run) => "start its command again under `jackfield run`",
        (SessionState::Down { .. }, Origin::Registry) => "start its dev command again",
        (SessionState::Down { .. }, Origin::Attached) => "start what listens there, or attach it anew",
    };
    vec![advice.to_owned()]
}

fn unknown_link(name: &LinkName, now: &Snapshot) -> Problem {
    let links = now.links();
    let own: Vec<_> = links.iter().filter(|link| link.name.session == name.session).collect();
    let nearest = Nearest::of(name, links.iter().map(|link| &link.name));
    let problem = Problem::new(Code::UnknownLink, format!("there is no link {name}{nearest}"));
    let names: Vec<_> = own.iter().map(|link| link.name.to_string()).collect();
    match names.is_empty() {
        true => problem.hint(format!("session {} has no links", name.session)),
        false => problem.hint(format!("links of {}: {}", name.session, names.join(", "))),
    }
}
