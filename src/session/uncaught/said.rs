//! What workerd says of itself, read.

use crate::session::output::Level;

/// How V8 begins the lines below a message.
const FRAME: &str = "    at ";

/// Of a request whose worker has failed since what it called has gone.
const NO_RESPONSE: &str = "HTTP connection failed: the handler sent no response";

#[derive(Debug)]
pub(super) enum Said<'a> {
    /// An error with its stack, or anything else that was thrown.
    Thrown(&'a str),
    /// The same of a listener, or of `reportError()`: it goes no further, but that of a WebSocket is thrown besides.
    Listener(&'a str),
    /// An error that an event has failed of, or what it left behind, with its stack: the same again where somebody hears
    /// of the event's end.
    Failed(&'a str),
    /// An exception as workerd hands it on.
    Repeated(&'a str),
    /// The same where a request has failed of it.
    Answered(&'a str),
    /// How it does.
    Bookkeeping,
    /// It warns or complains.
    Other,
}

impl<'a> Said<'a> {
    pub(super) fn read(level: Level, text: &'a str) -> Self {
        if let (Level::Error, Some(text)) = (level, text.strip_prefix("Uncaught exception: ")) {
            return Self::Answered(text);
        }
        // Why not is said by the error that goes before.
        if text == NO_RESPONSE {
            return Self::Bookkeeping;
        }
        if matches!(level, Level::Warn | Level::Error) {
            return Self::Other;
        }
        let Some(said) = text.strip_prefix("uncaught exception; ") else { return Self::Bookkeeping };
        if let Some(text) = said.strip_prefix("desc = ") {
            return Self::Listener(text);
        }
        if let Some(text) = said.strip_prefix("exception = ") {
            return Self::Repeated(text);
        }
        let told = said.strip_prefix("source = Uncaught").and_then(|said| said.split_once("; "));
        let Some((place, told)) = told else { return Self::Bookkeeping };
        match told.strip_prefix("stack = ").or(told.strip_prefix("exception = ")) {
            Some(text) if behind_place(text).is_some() => Self::Repeated(text),
            Some(text) if ["", " (in promise)"].contains(&place) => Self::Thrown(text),
            Some(text) => Self::Failed(text),
            None => Self::Bookkeeping,
        }
    }
}

/// What follows `FILE:LINE: `, where the file is one of workerd's.
fn behind_place(text: &str) -> Option<&str> {
    let (file, rest) = text.split_once(':')?;
    let is_ours = ["workerd/", "kj/", "capnp/", "rust/"].iter().any(|folder| file.starts_with(folder));
    let is_source = [".c++", ".h", ".rs"].iter().any(|kind| file.ends_with(kind)) && !file.contains(' ');
    let (number, rest) = rest.split_once(": ").filter(|_| is_ours && is_source)?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// The JavaScript error in an exception. Others, such as a client that went away, are nobody's mistake.
pub(super) fn thrown(exception: &str) -> Option<&str> {
    let text = behind_place(exception)?.strip_prefix("failed: ")?;
    text.strip_prefix("remote.").unwrap_or(text).strip_prefix("jsg.")
}

/// Whether a script has thrown it, and not workerd, which aborts what is left of a call that has failed.
pub(super) fn is_by_script(exception: &str) -> bool {
    exception.starts_with("workerd/jsg/")
}

/// `Error: MESSAGE`; the name in the stack is that of when the error was made, and may be another by now.
pub(super) fn message(text: &str) -> &str {
    let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    match text.split_once(": ") {
        Some((name, message)) if is_name(name) && !message.is_empty() => message,
        _ => text,
    }
}

/// Without the lines at its end that say where in a script, or in workerd.
pub(super) fn without_stack(text: &str) -> &str {
    without(text, |line| line.starts_with(FRAME) || is_addresses(line))
}

/// Without those alone that mean something with workerd's own symbols only.
pub(super) fn without_addresses(text: &str) -> &str {
    without(text, is_addresses)
}

fn without(mut text: &str, is_left_out: impl Fn(&str) -> bool) -> &str {
    while let Some((rest, _)) = text.rsplit_once('\n').filter(|(_, line)| is_left_out(line)) {
        text = rest;
    }
    text
}

/// `stack: /usr/bin/workerd@3f68b70 7f2b096cc`; `remote:` the same of another process.
fn is_addresses(line: &str) -> bool {
    let addresses = line.strip_prefix("stack: ").or(line.strip_prefix("remote: "));
    let last = addresses.and_then(|addresses| addresses.rsplit([' ', '@']).next());
    last.is_some_and(|last| {
        let digits = last.strip_prefix("0x").unwrap_or(last);
        digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
