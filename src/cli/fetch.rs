//! `jackfield fetch`

use std::io;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::args::FetchArgs;
use super::failure::Failure;
use super::out::Out;
use super::patience::patiently;
use super::reach::Reach;
use super::screen;
use super::target::Target;
use super::thrown;
use crate::client::{Body, Cf, FetchError};
use crate::wire::http::HeadError;

/// What is to be sent, checked.
#[derive(Debug)]
pub(super) struct FetchSettings {
    pub(super) target: Target,
    pub(super) props: Option<Value>,
    method: Method,
    url: Uri,
    headers: HeaderMap,
    cf: Option<String>,
    data: Data,
    include: bool,
    fail: bool,
    unbuffered: bool,
    output: Option<PathBuf>,
}

#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    Form(Vec<String>),
    Binary(String),
}

/// What curl says of a body given with -d.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

impl FetchSettings {
    pub(super) fn of(args: FetchArgs, here: &Path) -> Result<Self, Failure> {
        let target = Target::typed(&args.target)?;
        let data = match (args.data, args.data_binary) {
            (data, None) if data.is_empty() => Data::None,
            (data, None) => Data::Form(data),
            (_, Some(data)) => Data::Binary(data),
        };
        let method = match (&args.method, &data) {
            (Some(name), _) => Method::from_bytes(name.as_bytes()).map_err(|_| {
                Failure::usage(format!("-X {name} is not a method")).hint("like this: -X PUT")
            })?,
            (None, Data::None) => Method::GET,
            (None, _) => Method::POST,
        };
        let mut headers = HeaderMap::new();
        if !matches!(data, Data::None) {
            headers.insert(CONTENT_TYPE, FORM);
        }
        add_headers(&mut headers, &args.headers)?;
        Ok(FetchSettings {
            url: url(&target, &args.url)?,
            target,
            props: args.reach.props.as_deref().map(super::settings::object).transpose()?,
            method,
            headers,
            cf: args.cf.map(checked_json).transpose()?,
            data,
            include: args.include,
            fail: args.fail,
            unbuffered: args.no_buffer,
            // As for curl, `-` is standard output.
            output: args.output.filter(|file| file != Path::new("-")).map(|file| here.join(file)),
        })
    }
}

/// A path is one of the service itself.
fn url(target: &Target, text: &str) -> Result<Uri, Failure> {
    let whole = match text.starts_with('/') {
        true => {
            let host: String =
                target.service.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            format!("http://{host}{text}")
        }
        false => text.to_owned(),
    };
    let bad = |why: String| {
        Failure::usage(format!("`{text}` is not a URL: {why}"))
            .hint("give a whole one, like https://example.com/path, or a path, like /path")
    };
    let url: Uri = whole.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err(bad("it does not begin with http:// or https://".to_owned())),
    }
}

fn checked_json(text: String) -> Result<String, Failure> {
    let hint = "give a JSON object, like '{\"colo\":\"FRA\"}'";
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(_) | Value::Null) => Ok(text),
        Ok(_) => Err(Failure::usage(format!("--cf {text} is not an object")).hint(hint)),
        Err(error) => Err(Failure::usage(format!("--cf is not JSON: {error}")).hint(hint)),
    }
}

/// As curl takes them: `Name: value`, `Name;` for an empty one, `Name:` for none at all.
fn add_headers(headers: &mut HeaderMap, lines: &[String]) -> Result<(), Failure> {
    let mut given = HeaderMap::new();
    for line in lines {
        let bad = || {
            Failure::usage(format!("-H '{line}' is not a header"))
                .hint("like this: -H 'content-type: text/plain'")
        };
        let (name, value) = match (line.split_once(':'), line.strip_suffix(';')) {
            (Some((name, value)), _) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
            (None, Some(name)) => (name, Some("")),
            (None, None) => return Err(bad()),
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| bad())?;
        headers.remove(&name);
        if let Some(value) = value {
            given.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?);
        }
    }
    headers.extend(given);
    Ok(())
}

pub(super) async fn run(reach: &Reach, settings: FetchSettings, as_json: bool) -> Result<(), Failure> {
    let entrypoint = reach.entrypoint(&settings.target, settings.props.clone()).await?;
    let mut request = Request::new(body(&settings.data).await?);
    *request.method_mut() = settings.method.clone();
    *request.uri_mut() = settings.url.clone();
    *request.headers_mut() = settings.headers.clone();
    if !matches!(settings.data, Data::None) && request.body().length() == Some(0) {
        // A body of no bytes is one, to a worker. One that is said to have none is not.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        *request.body_mut() = Body::stream(None, futures::stream::empty::<io::Result<_>>());
    }
    if let Some(cf) = &settings.cf {
        request.extensions_mut().insert(Cf::new(cf));
    }
    let answer = match patiently(reach, &settings.target, entrypoint.fetch(request)).await {
        Ok(answer) => answer,
        Err(error) => return Err(reach.explain(&settings.target, failure(error)).await),
    };
    let status = answer.status();
    if as_json {
        print_json(answer).await?;
    } else {
        let mut out = match &settings.output {
            Some(file) => Out::file(file)?,
            None if settings.unbuffered => Out::at_once(),
            None => Out::standard(),
        };
        if settings.include {
            let bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            out.write(head(&answer, !bare && settings.method != Method::HEAD).as_bytes())?;
        }
        let mut body = answer.into_body();
        while let Some(bytes) = body.try_next().await.map_err(thrown::broken)? {
            if !out.write(&bytes)? {
                break;
            }
        }
        out.end()?;
    }
    match settings.fail && status.as_u16() >= 400 {
        true => Err(Failure::failed(format!("{} answered {status}", settings.target))),
        false => Ok(()),
    }
}

fn failure(error: FetchError) -> Failure {
    if let FetchError::Request(why) = &error {
        return Failure::usage(&error).hint(match why {
            HeadError::Method(method) if method.as_str() != method.as_str().to_ascii_uppercase() => {
                "methods are written in capitals: -X HEAD"
            }
            _ => "nothing was sent; put it right and try again",
        });
    }
    let failure = Failure::failed(&error).advised(error.advice());
    if matches!(error, FetchError::WebSocket) {
        return failure.hint("this command shows no WebSockets; leave out the header `upgrade`");
    }
    match error.thrown() {
        Some(thrown) => thrown::carried(failure, &thrown),
        None => failure,
    }
}

async fn body(data: &Data) -> Result<Body, Failure> {
    match data {
        Data::None => Ok(Body::empty()),
        Data::Binary(text) => match text.strip_prefix('@') {
            Some(file) => from_file(file).await,
            None => Ok(text.clone().into()),
        },
        Data::Form(parts) => {
            let mut whole = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    whole.push(b'&');
                }
                match part.strip_prefix('@') {
                    // Line ends are left out of what -d reads; --data-binary keeps them.
                    Some(file) => {
                        let read = from_file(file).await?.bytes().await.map_err(thrown::broken)?;
                        whole.extend(read.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
                    }
                    None => whole.extend_from_slice(part.as_bytes()),
                }
            }
            Ok(whole.into())
        }
    }
}

/// Read as it is sent, so that it may be of any size.
async fn from_file(name: &str) -> Result<Body, Failure> {
    if name == "-" {
        return Ok(Body::stream(None, ReaderStream::new(tokio::io::stdin())));
    }
    let unreadable = |error: io::Error| Failure::usage(format!("cannot read {name}: {error}"));
    let file = tokio::fs::File::open(name).await.map_err(unreadable)?;
    let found = file.metadata().await.map_err(unreadable)?;
    Ok(Body::stream(found.is_file().then_some(found.len()), ReaderStream::new(file)))
}

/// `has_body`: whether its status and its request let it have one.
fn head(answer: &Response<Body>, has_body: bool) -> String {
    let reason = match answer.extensions().get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => answer.status().canonical_reason().unwrap_or_default().to_owned(),
    };
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", answer.status().as_u16());
    for (name, value) in answer.headers() {
        head.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    // Where no bytes of a head say it, the body does.
    let length = answer.body().length().filter(|_| !answer.headers().contains_key(CONTENT_LENGTH));
    if let Some(length) = length.filter(|_| has_body) {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head + "\r\n"
}

/// The answer as one object; a body that is no text as a list of the bytes' numbers would help nobody, so it comes in
/// hexadecimal digits.
async fn print_json(answer: Response<Body>) -> Result<(), Failure> {
    let status = answer.status().as_u16();
    let headers: Vec<_> = answer
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let body = answer.into_body().bytes().await.map_err(thrown::broken)?;
    let (key, body) = match std::str::from_utf8(&body) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => ("body_hex", hex::encode(&body)),
    };
    Ok(screen::json(&json!({ "status": status, "headers": headers, key: body }))?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;

    fn fetch(words: &[&str]) -> Result<FetchSettings, Failure> {
        match Args::try_parse_from(["jackfield", "fetch"].iter().chain(words)).unwrap().command {
            Command::Fetch(args) => FetchSettings::of(args, Path::new("/")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn curls_habits() {
        let plain = fetch(&["api", "/a?b=c"]).unwrap();
        assert_eq!((plain.method, plain.url.to_string()), (Method::GET, "http://api/a?b=c".to_owned()));
        let form = fetch(&["api@green#Admin", "https://x/", "-d", "a=1", "-d", "b=2"]).unwrap();
        assert_eq!((form.method, form.headers[CONTENT_TYPE].clone()), (Method::POST, FORM));
        let put = fetch(&[
            "api",
            "http://x",
            "-X",
            "PUT",
            "--data-binary",
            "@-",
            "-H",
            "Content-Type: a/b",
            "-H",
            "x: 1",
            "-H",
            "x: 2",
            "-H",
            "empty;",
        ]);
        let put = put.unwrap();
        assert_eq!(put.method, Method::PUT);
        assert_eq!(put.headers.get_all(CONTENT_TYPE).iter().collect::<Vec<_>>(), ["a/b"]);
        assert_eq!(put.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(put.headers["empty"], "");
        let none = fetch(&["api", "/", "-d", "x", "-H", "content-type:"]).unwrap();
        assert!(none.headers.is_empty());
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before_anything_is_reached() {
        for words in [
            &["api", "example.com/x"][..],
            &["api", "ftp://x/"],
            &["api", "/", "-X", "G T"],
            &["api", "/", "-H", "no header"],
            &["api", "/", "-H", "bad name: x"],
            &["api", "/", "--cf", "{"],
            &["api", "/", "--props", "1"],
            &["#Admin", "/"],
        ] {
            assert!(fetch(words).is_err(), "{words:?}");
        }
    }
}
