//! What is to be done, with every default filled in and every value checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::args::{
    Args, AttachArgs, Command, CompletionsArgs, DaemonArgs, FireArgs, RetargetArgs, RunArgs, Shell, UpArgs,
};
use super::call::CallSettings;
use super::dev::DevSettings;
use super::failure::Failure;
use super::fetch::FetchSettings;
use super::place::Place;
use super::reach::Reach;
use super::run::RunSettings;
use crate::control::shape::{Attach, ChangeRequest, FakeRequest, Move};
use crate::net::Endpoint;
use crate::router::{Aim, LinkName};
use crate::session::SessionName;

/// A whole day; more than that is a slip, and `Duration` refuses what is not a number at all.
const MAX_GRACE: f64 = 86_400.0;

/// One command, ready to run.
#[derive(Debug)]
pub(super) enum Settings {
    Up(UpSettings),
    Dev(Box<DevSettings>),
    Run(RunSettings),
    Attach(Place, Attach),
    Daemon(Place, Option<u16>),
    /// Where every frame is shown.
    Demo(Option<PathBuf>),
    Reload(Place),
    Ls(Place),
    Links(Place),
    /// A link, or a session.
    Explain(Place, String),
    Retarget(Place, ChangeRequest),
    Fake(Place, FakeRequest),
    Fetch(Reach, Box<FetchSettings>),
    Call(Reach, Box<CallSettings>),
    Fire(Place, FireArgs),
    Down(Place),
    /// For the project in that folder.
    Doctor(PathBuf),
    Completions(Shell),
}

#[derive(Debug)]
pub(super) struct UpSettings {
    pub(super) place: Place,
    pub(super) keep: Keep,
}

/// How a daemon keeps what it runs.
#[derive(Debug)]
pub(super) struct Keep {
    pub(super) trace_frames: Option<PathBuf>,
    pub(super) grace: Duration,
    /// A free port if it is not said.
    pub(super) ingress: Option<u16>,
}

impl Settings {
    /// `here` is the folder that relative names and the search for a project start from.
    pub(super) fn resolve(args: Args, here: &Path) -> Result<Self, Failure> {
        let Args { file, command } = args;
        let place = |file: Option<PathBuf>| Place::find(file.as_deref(), here);
        Ok(match command {
            Command::Up(UpArgs { project, trace_frames, ingress_port, grace, json: _ }) => {
                let place = Place::project(project.or(file).as_deref(), here)?;
                let (grace, ingress) = (seconds(grace)?, port(ingress_port));
                let trace_frames = trace_frames.map(|file| here.join(file));
                Self::Up(UpSettings { place, keep: Keep { trace_frames, grace, ingress } })
            }
            Command::Dev(args) => {
                let place = Place::for_all(file.as_deref(), here)?;
                let ingress = port(args.ingress_port);
                Self::Dev(Box::new(DevSettings::resolve(args, place, ingress, here)?))
            }
            Command::Run(RunArgs { name, scope, command }) => {
                // Before anything is started for it.
                let any = name.as_deref().unwrap_or("worker");
                SessionName::scoped(any, scope.as_deref()).map_err(Failure::usage)?;
                Self::Run(RunSettings { place: Place::for_all(file.as_deref(), here)?, name, scope, command })
            }
            Command::Attach(AttachArgs { address, name, scope, service, output: _ }) => {
                address.parse::<Endpoint>().map_err(Failure::usage)?;
                SessionName::scoped(&name, scope.as_deref()).map_err(Failure::usage)?;
                Self::Attach(Place::for_all(file.as_deref(), here)?, Attach { address, name, scope, service })
            }
            Command::Daemon(DaemonArgs { ingress_port }) => {
                let place = file.map_or_else(|| Place::for_all(None, here), Place::of)?;
                Self::Daemon(place, port(ingress_port))
            }
            Command::Demo(args) => Self::Demo(args.trace_frames.map(|file| here.join(file))),
            Command::Reload(_) => Self::Reload(place(file)?),
            Command::Ls(_) => Self::Ls(place(file)?),
            Command::Links(_) => Self::Links(place(file)?),
            Command::Explain(args) => {
                check_asked(&args.name)?;
                Self::Explain(place(file)?, args.name)
            }
            // The words first: what is wrong with them is wrong wherever it is said.
            Command::Retarget(args) => {
                let change = change(args)?;
                Self::Retarget(place(file)?, change)
            }
            Command::Fake(args) => {
                let fake = super::fake::request(args, here)?;
                Self::Fake(place(file)?, fake)
            }
            Command::Call(args) => {
                let reach = Reach::of(&args.reach, || place(file));
                Self::Call(reach?, Box::new(CallSettings::of_call(args, here)?))
            }
            Command::Get(args) => {
                let reach = Reach::of(&args.reach, || place(file));
                Self::Call(reach?, Box::new(CallSettings::of_get(args)?))
            }
            Command::Fetch(args) => {
                let reach = Reach::of(&args.reach, || place(file));
                Self::Fetch(reach?, Box::new(FetchSettings::of(args, here)?))
            }
            Command::Fire(args) => Self::Fire(place(file)?, args),
            Command::Down(_) => Self::Down(place(file)?),
            Command::Doctor(_) => {
                let root = Place::for_all(file.as_deref(), here).ok();
                let root = root.and_then(|place| Some(place.file.parent()?.to_owned()));
                Self::Doctor(root.unwrap_or_else(|| here.to_owned()))
            }
            Command::Completions(CompletionsArgs { shell }) => Self::Completions(shell),
        })
    }
}

/// 0 is a free one everywhere.
fn port(port: Option<u16>) -> Option<u16> {
    port.filter(|port| *port > 0)
}

fn check_asked(name: &str) -> Result<(), Failure> {
    let hint = "give a link, like `web/API`, or a session, like `web`";
    match name.contains('/') {
        true => name.parse::<LinkName>().map(drop).map_err(|error| Failure::usage(error).hint(hint)),
        false => name.parse::<SessionName>().map(drop).map_err(|error| Failure::usage(error).hint(hint)),
    }
}

fn seconds(grace: f64) -> Result<Duration, Failure> {
    Some(grace)
        .filter(|grace| *grace <= MAX_GRACE)
        .and_then(|grace| Duration::try_from_secs_f64(grace).ok())
        .ok_or_else(|| {
            Failure::usage(format!("--grace is {grace}, not a time"))
                .hint("give seconds from 0 to 86400, like 2.5")
        })
}

fn change(args: RetargetArgs) -> Result<ChangeRequest, Failure> {
    let RetargetArgs { pairs, entrypoint, props, cut, wait, output: _ } = args;
    let mut changes = pairs.chunks(2).map(pair).collect::<Result<Vec<_>, _>>()?;
    if entrypoint.is_some() || props.is_some() {
        let [only] = changes.as_mut_slice() else {
            return Err(Failure::usage("--entrypoint and --props say nothing clear about several links")
                .hint("write entrypoints as `TARGET#NAME`, and move links with props one by one"));
        };
        only.props = props.map(|text| object(&text)).transpose()?;
        if let Some(name) = entrypoint {
            only.target = with_entrypoint(&only.target, &name)?;
        }
    }
    Ok(ChangeRequest { changes, expected_revision: None, cut, wait })
}

fn pair(words: &[String]) -> Result<Move, Failure> {
    let [link, target] = words else {
        return Err(Failure::usage(format!("`{}` has no target", words.concat()))
            .hint("give links and targets in turn: LINK TARGET [LINK TARGET]..."));
    };
    let hint = "like this: jackfield retarget web/API api@green";
    let link: LinkName = link.parse().map_err(|error| Failure::usage(error).hint(hint))?;
    let target: Aim = target.parse().map_err(|error| Failure::usage(error).hint(hint))?;
    Ok(Move { link, target, props: None })
}

pub(super) fn object(text: &str) -> Result<Value, Failure> {
    let hint = "give a JSON object, like '{\"tenant\":1}'";
    match serde_json::from_str(text) {
        Ok(props @ Value::Object(_)) => Ok(props),
        Ok(_) => Err(Failure::usage(format!("--props {text} is not an object")).hint(hint)),
        Err(error) => Err(Failure::usage(format!("--props is not JSON: {error}")).hint(hint)),
    }
}

fn with_entrypoint(target: &Aim, name: &str) -> Result<Aim, Failure> {
    if target.export.is_some() {
        return Err(Failure::usage(format!(
            "the target {target} names an entrypoint, and --entrypoint another"
        ))
        .hint("leave one of them out"));
    }
    format!("{target}#{name}").parse().map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn retarget(words: &[&str]) -> Result<ChangeRequest, Failure> {
        let words = ["jackfield", "retarget"].iter().chain(words);
        match Args::try_parse_from(words).unwrap().command {
            Command::Retarget(args) => change(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pairs_make_one_change() {
        let change = retarget(&["web/API", "api@green", "web/ROOMS", "api@green#Room", "--cut"]).unwrap();
        let moved: Vec<_> =
            change.changes.iter().map(|m| (m.link.to_string(), m.target.to_string())).collect();
        let expected = [("web/API", "api@green"), ("web/ROOMS", "api@green#Room")];
        assert_eq!(moved, expected.map(|(link, target)| (link.to_owned(), target.to_owned())));
        assert!(change.cut && !change.wait);
    }

    #[test]
    fn one_pair_may_have_an_entrypoint_and_props() {
        let change = retarget(&["web/API", "api", "--entrypoint", "Admin", "--props", r#"{"n":1}"#]).unwrap();
        assert_eq!(change.changes[0].target.to_string(), "api#Admin");
        assert_eq!(change.changes[0].props, Some(serde_json::json!({ "n": 1 })));
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let cases: [&[&str]; 7] = [
            &["web/API", "api", "web/B"],
            &["API", "api"],
            &["web/API", "api/x"],
            &["web/A", "api", "web/B", "api", "--props", "{}"],
            &["web/A", "api#X", "--entrypoint", "Y"],
            &["web/A", "api", "--props", "1"],
            &["web/A", "api", "--props", "{"],
        ];
        for words in cases {
            assert!(retarget(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_grace_is_a_time() {
        assert_eq!(seconds(2.5).ok(), Some(Duration::from_millis(2500)));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
