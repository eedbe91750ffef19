//! `jackfield fake`

use std::io::Read;
use std::path::{Path, PathBuf};

use super::args::FakeArgs;
use super::failure::Failure;
use super::place::Place;
use super::retarget;
use crate::client::fake::Fake;
use crate::control::shape::FakeRequest;
use crate::router::LinkName;

/// Larger ones are slips; the daemon keeps them in memory.
const LARGEST: u64 = 8 << 20;

pub(super) fn request(args: FakeArgs, here: &Path) -> Result<FakeRequest, Failure> {
    let FakeArgs { words, cut, wait, output: _ } = args;
    let Some((file, links)) = words.split_last() else {
        return Err(Failure::usage("no link and no file is given"));
    };
    let link = |text: &String| {
        let hint = "like this: jackfield fake web/API fake.json";
        text.parse::<LinkName>().map_err(|error| Failure::usage(error).hint(hint))
    };
    let links = links.iter().map(link).collect::<Result<_, _>>()?;
    let (file, text) = read(file, here)?;
    if let Err(error) = Fake::from_text(&file, &text) {
        let place = format!("{}:{}:{}", file.display(), error.line, error.column);
        let hint = "nothing was moved; `jackfield fake --help` shows what a fake looks like";
        return Err(Failure::usage(format!("{place}: {error}")).hint(hint));
    }
    let fake = serde_json::from_str(&text).map_err(Failure::usage)?;
    Ok(FakeRequest { links, file, fake, expected_revision: None, cut, wait })
}

fn read(name: &str, here: &Path) -> Result<(PathBuf, String), Failure> {
    let unreadable =
        |error| Failure::usage(format!("cannot read {name}: {error}")).hint("name the file of a fake");
    let mut text = String::new();
    let (file, read) = match name {
        "-" => {
            (PathBuf::from("(standard input)"), std::io::stdin().take(LARGEST + 1).read_to_string(&mut text))
        }
        name => {
            let file = here.join(name);
            let opened = std::fs::File::open(&file);
            let read = opened.and_then(|opened| opened.take(LARGEST + 1).read_to_string(&mut text));
            (file.canonicalize().unwrap_or(file), read)
        }
    };
    match read.map_err(unreadable)? as u64 > LARGEST {
        true => Err(Failure::usage(format!("{} has more than {LARGEST} bytes", file.display()))
            .hint("a fake answers with a few examples; give it fewer")),
        false => Ok((file, text)),
    }
}

pub(super) async fn run(place: &Place, fake: &FakeRequest, as_json: bool) -> Result<(), Failure> {
    retarget::report(place, place.client().fake(fake), fake.wait, as_json).await
}
