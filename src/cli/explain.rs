//! `jackfield explain`

use std::time::{Duration, SystemTime};

use super::failure::Failure;
use super::links::file_name;
use super::ls::megabytes;
use super::names::Names;
use super::place::Place;
use super::screen::{self, BAD, Cell, FAINT, GOOD, PENDING, STRONG};
use crate::control::shape::{Candidate, Explanation, SessionRow, State, millis};

/// Before the second column.
const WIDTH: usize = 12;

pub(super) async fn run(place: &Place, asked: &str, as_json: bool) -> Result<(), Failure> {
    let told = place.client().explain(asked).await?;
    if as_json {
        return Ok(screen::json(&told)?);
    }
    let names = Names::at(place).await?;
    screen::data(&text(&told, &names))?;
    Ok(())
}

fn text(told: &Explanation, names: &Names) -> String {
    let mut lines = vec![head(told, names)];
    let mut say = |label: &str, text: String| lines.push(format!("{FAINT}{label:<WIDTH$}{FAINT:#}{text}"));
    if let Some(because) = &told.because {
        say("rule", because.clone());
    }
    match &told.session {
        Some(row) => {
            say("state", state(row));
            for (label, text) in more(row) {
                say(label, text);
            }
        }
        None => say("state", format!("{BAD}nothing fits{BAD:#}; events wait, and fail after a while")),
    }
    if let Some(misfit) = &told.misfit {
        say("versions", format!("{BAD}{misfit}{BAD:#}"));
    }
    if !told.callers.is_empty() {
        let callers: Vec<_> = told.callers.iter().map(|link| names.link(link)).collect();
        say("called by", callers.join(", "));
    }
    say(
        "waiting",
        match told.waiting {
            0 => "no event waits for it".to_owned(),
            1 => format!("{PENDING}1 event waits for it{PENDING:#}"),
            many => format!("{PENDING}{many} events wait for it{PENDING:#}"),
        },
    );
    if let Some(error) = &told.last_error {
        say("last error", format!("{} ago: {}", ago(error.at_ms), error.message));
    }
    if let Some(nearest) = &told.nearest {
        say("nearest", nearest.clone());
    }
    for (index, advice) in told.next.iter().enumerate() {
        say(if index == 0 { "next" } else { "" }, advice.clone());
    }
    if told.candidates.len() > usize::from(told.target.is_some()) {
        lines.push(String::new());
        lines.push(candidates(&told.candidates));
    }
    lines.join("\n")
}

fn head(told: &Explanation, names: &Names) -> String {
    let Some(link) = &told.link else {
        let name = told.session.as_ref().map(|row| row.session.to_string()).unwrap_or_default();
        return format!("{STRONG}{name}{STRONG:#}");
    };
    let link = names.link(link);
    match &told.target {
        Some(target) => format!("{STRONG}{link}{STRONG:#} → {STRONG}{}{STRONG:#}", names.aim(target)),
        None => format!("{STRONG}{link}{STRONG:#} leads nowhere"),
    }
}

fn state(row: &SessionRow) -> String {
    let SessionRow { session, generation, pid, why, since_ms, .. } = row;
    let since = ago(*since_ms);
    match row.state {
        State::Up => {
            let pid = pid.filter(|pid| *pid > 0).map(|pid| format!(", process {pid}")).unwrap_or_default();
            let generation = generation.unwrap_or_default();
            format!("{session} is {GOOD}up{GOOD:#} since {since}: generation {generation}{pid}")
        }
        State::Stopped => {
            let why = why.as_deref().unwrap_or_default();
            format!("{session} is {PENDING}stopped{PENDING:#}: {why}")
        }
        State::Starting => format!("{session} is {PENDING}starting{PENDING:#} since {since}"),
        State::Down => {
            let why = why.as_deref().unwrap_or("nobody knows why");
            format!("{session} is {BAD}down{BAD:#} since {since}: {why}")
        }
    }
}

fn more(row: &SessionRow) -> Vec<(&'static str, String)> {
    let mut more = Vec::new();
    let from = match &row.fake {
        Some(file) => format!("the file {}", file_name(file)),
        None => super::ls::origin_in_words(row.origin).to_owned(),
    };
    more.push(("from", from));
    let services = row.services.join(", ");
    for (label, text) in [
        ("services", services),
        ("entrypoints", row.entrypoints.join(", ")),
        ("classes", row.classes.join(", ")),
    ] {
        if !text.is_empty() {
            more.push((label, text));
        }
    }
    let runs: Vec<_> = [&row.workerd, &row.tool].into_iter().flatten().map(String::as_str).collect();
    if !runs.is_empty() {
        more.push(("runs", runs.join(", of ")));
    }
    more.extend(row.memory_bytes.map(|bytes| ("memory", megabytes(bytes))));
    more.extend(row.url.clone().map(|url| ("url", url)));
    more
}

fn candidates(all: &[Candidate]) -> String {
    let rows = all.iter().map(|Candidate { session, taken, state, why_not }| {
        [
            Cell::new(session).style(STRONG),
            state.map_or_else(|| Cell::or_dash(None::<&str>), Cell::state),
            match taken {
                true => Cell::new("taken").style(GOOD),
                false => Cell::new(format!("not taken: {}", why_not.as_deref().unwrap_or_default())),
            },
        ]
    });
    screen::table(["CANDIDATE", "STATE", "TAKEN"], rows.collect())
}

fn ago(at_ms: u64) -> String {
    screen::ago(Duration::from_millis(millis(SystemTime::now()).saturating_sub(at_ms)))
}
