//! `jackfield call` and `jackfield get`

use std::io::Read;
use std::path::Path as File;

use futures::TryStreamExt;
use serde::Deserialize as _;
use serde_json::Value;

use super::args::{CallArgs, GetArgs};
use super::failure::Failure;
use super::out::Out;
use super::patience::patiently;
use super::reach::Reach;
use super::screen;
use super::target::Target;
use super::thrown;
use crate::client::{CallError, Path, Promise, ReadableStream};
use crate::wire::v8::{JsValue, Options, from_loose_text, to_text};

/// Twice what a value may be deep, and a little for what encloses it.
const DEEPEST_JSON: usize = 520;

/// What is to be called or got, checked.
#[derive(Debug)]
pub(super) struct CallSettings {
    target: Target,
    props: Option<Value>,
    path: Path,
    /// `None` to get.
    arguments: Option<Vec<JsValue>>,
}

impl CallSettings {
    pub(super) fn of_call(args: CallArgs, here: &File) -> Result<Self, Failure> {
        let CallArgs { target, method, arguments, json: _, reach } = args;
        if arguments.iter().filter(|text| *text == "-").count() > 1 {
            return Err(Failure::usage("two arguments are `-`, and standard input can be read once")
                .hint("put one of them into a file, and give it as @FILE"));
        }
        let read = |text: &String| argument(text, here);
        let arguments = arguments.iter().map(read).collect::<Result<_, _>>()?;
        CallSettings::of(&target, &method, Some(arguments), reach.props.as_deref())
    }

    pub(super) fn of_get(args: GetArgs) -> Result<Self, Failure> {
        CallSettings::of(&args.target, &args.path, None, args.reach.props.as_deref())
    }

    fn of(
        target: &str,
        path: &str,
        arguments: Option<Vec<JsValue>>,
        props: Option<&str>,
    ) -> Result<Self, Failure> {
        Ok(CallSettings {
            target: Target::typed(target)?,
            props: props.map(super::settings::object).transpose()?,
            path: checked(path)?,
            arguments,
        })
    }
}

/// Names with dots between them.
fn checked(path: &str) -> Result<Path, Failure> {
    match path.split('.').any(str::is_empty) {
        true => Err(Failure::usage(format!("`{path}` names no method or property"))
            .hint("give its name, or names with dots between them, like config.limits")),
        false => Ok(Path::dotted(path)),
    }
}

/// What nobody can know who does not know what a debug port carries.
fn advise(name: &str, failure: Failure) -> Failure {
    match name {
        "scheduled" | "queue" | "alarm" | "tail" | "email" | "test" => {
            failure.hint(
                "if its handler is meant: a debug port carries no scheduled, queue or alarm events; schedules and queue \
                 messages are sent by `jackfield fire`",
            )
        }
        "fetch" => failure.hint("send requests with `jackfield fetch TARGET URL`"),
        _ if failure.says("bytes that are allowed") => {
            failure.hint("send large data as a body: `jackfield fetch TARGET URL --data-binary @FILE`")
        }
        _ => failure,
    }
}

/// JSON of any depth that a value may have: two levels for one, since arrays are escaped by others. serde's own limit is
/// the half of that; beyond ours it would take the stack.
fn json(content: &str) -> Result<Value, String> {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in content.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > DEEPEST_JSON {
        return Err(format!("it is nested {deepest} levels deep, and {DEEPEST_JSON} are allowed"));
    }
    let mut reader = serde_json::Deserializer::from_str(content);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| format!("it is not JSON: {error}"))
}

/// An argument: JSON, or the textual form of a value; `@FILE` and `-` stand for what is in a file and in standard input.
fn argument(text: &str, here: &File) -> Result<JsValue, Failure> {
    let unreadable = |what: &str, error| Failure::usage(format!("cannot read {what}: {error}"));
    let content = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(here.join(file)).map_err(|error| unreadable(file, error))?,
        None if text == "-" => {
            let mut all = String::new();
            std::io::stdin().read_to_string(&mut all).map_err(|error| unreadable("standard input", error))?;
            all
        }
        None => text.to_owned(),
    };
    let json = json(&content).map_err(|why| {
        let failure = Failure::usage(format!("the argument `{}` cannot be read: {why}", shortened(text)));
        match content.trim() {
            _ if why.contains("levels deep") => failure,
            "" => failure.hint("it is empty; nothing at all is `null` or `[\"undefined\"]`"),
            _ if content != text || text.contains(['"', '\'', '{', '[']) => {
                failure.hint("give JSON, or the textual form of a value: the README shows it under Values")
            }
            _ => failure.hint(format!(
                "a string needs quotes of its own, for the shell too: '\"{}\"'",
                shortened(text)
            )),
        }
    })?;
    from_loose_text(&json, &[]).map_err(|error| {
        Failure::usage(format!("the argument `{}` is no value: {error}", shortened(text))).hint(
            "forms are like [\"date\",0] (milliseconds) and [\"bigint\",\"10\"]; an array that begins with the name of \
             one, and means itself, stands in another: [[...]]",
        )
    })
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(super) async fn run(reach: &Reach, settings: CallSettings, as_json: bool) -> Result<(), Failure> {
    let CallSettings { target, props, path, arguments } = settings;
    let entrypoint = reach.entrypoint(&target, props).await?;
    let name = path.to_string();
    let mut promise: Promise = match arguments {
        Some(arguments) => entrypoint.call(path, arguments),
        None => entrypoint.get(path),
    };
    let value = match patiently(reach, &target, &mut promise).await {
        Ok(value) => value,
        Err(error) => return Err(advise(&name, reach.explain(&target, failure(error)).await)),
    };
    // What the worker gave lives as long as the promise: its streams are read before that is dropped.
    if let Some(stream) = ReadableStream::take(&value) {
        return pour(stream).await;
    }
    if as_json {
        return Ok(screen::json(&to_text(&value).map_err(Failure::failed)?)?);
    }
    let options = Options { colors: true, depth: None, ..Options::default() };
    Ok(screen::data(&value.as_ref().inspect(&options))?)
}

/// Writes a stream that was returned as it arrives.
async fn pour(stream: ReadableStream) -> Result<(), Failure> {
    let mut out = Out::at_once();
    let mut body = stream.into_body();
    while let Some(bytes) = body.try_next().await.map_err(thrown::broken)? {
        if !out.write(&bytes)? {
            return Ok(());
        }
    }
    Ok(out.end()?)
}

pub(super) fn failure(error: CallError) -> Failure {
    let failure = match &error {
        // Nothing was sent.
        CallError::Arguments(_) => Failure::usage(&error),
        _ => Failure::failed(&error),
    };
    let failure = failure.advised(error.advice());
    match error.thrown() {
        Some(thrown) => thrown::carried(failure, thrown),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let value = argument(text, File::new("/")).unwrap();
        value.as_ref().inspect(&Options::default())
    }

    #[test]
    fn json_means_itself_and_forms_what_they_say() {
        let cases = [
            ("3", "3"),
            (r#""a""#, "'a'"),
            ("[1,[2,3],{}]", "[ 1, [ 2, 3 ], {} ]"),
            (r#"["a","b"]"#, "[ 'a', 'b' ]"),
            (r#"["undefined"]"#, "undefined"),
            ("[]", "[]"),
            ("[[]]", "[]"),
            ("[[1,2]]", "[ 1, 2 ]"),
            ("[[1,2],[3]]", "[ [ 1, 2 ], [ 3 ] ]"),
            (r#"["bigint","10"]"#, "10n"),
            (r#"{"a":[1],"at":["date",0]}"#, "{ a: [ 1 ], at: 1970-01-01T00:00:00.000Z }"),
        ];
        for (text, shown) in cases {
            assert_eq!(value(text), shown, "{text}");
        }
    }

    #[test]
    fn an_argument_that_is_no_json_says_how_to_write_it() {
        assert!(argument("hello", File::new("/")).is_err());
        assert!(argument(r#"["date","x"]"#, File::new("/")).is_err());
        assert!(argument("@/no/such/file", File::new("/")).is_err());
    }
}
