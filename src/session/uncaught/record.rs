//! What workerd writes when it is verbose, read line by line.

#[derive(Debug)]
pub(super) enum Record<'a> {
    /// An error with its stack, or anything else that was thrown.
    Thrown { text: &'a str, repeated: bool },
    /// An error that an event has failed of, with its stack: the same again where somebody hears of the event's end.
    Failed(&'a str),
    /// An exception as workerd hands it on.
    Repeated(&'a str),
    /// The same where a request has failed of it.
    Answered(&'a str),
    /// Anything else that is said of how workerd does.
    Other(&'a str),
}

/// What workerd says, unless it warns or complains.
pub(super) fn record(line: &str) -> Option<Record<'_>> {
    let text = behind_place(line)?;
    if let Some(text) = text.strip_prefix("error: Uncaught exception: ") {
        return Some(Record::Answered(text));
    }
    let text = text.strip_prefix("info: ")?;
    let said = text.strip_prefix("uncaught exception; ").unwrap_or(text);
    // That of an event handler or of `reportError()`: it goes no further.
    if let Some(text) = said.strip_prefix("desc = ") {
        return Some(Record::Thrown { text, repeated: true });
    }
    if let Some(text) = said.strip_prefix("exception = ") {
        return Some(Record::Repeated(text));
    }
    let told = said.strip_prefix("source = Uncaught").and_then(|said| said.split_once("; "));
    let Some((place, told)) = told else { return Some(Record::Other(text)) };
    Some(match told.strip_prefix("stack = ").or(told.strip_prefix("exception = ")) {
        Some(text) if behind_place(text).is_some() => Record::Repeated(text),
        Some(text) if place == " (in response)" => Record::Failed(text),
        Some(text) => Record::Thrown { text, repeated: false },
        None => Record::Other(text),
    })
}

/// What follows `FILE:LINE: `, where the file is one of workerd's. A worker that says the same of such a file is not
/// told from it.
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

/// `stack: /usr/bin/workerd@3f68b70 7f2b096cc`; `remote:` the same of another process.
pub(super) fn is_addresses(line: &str) -> bool {
    let addresses = line.strip_prefix("stack: ").or(line.strip_prefix("remote: "));
    let last = addresses.and_then(|addresses| addresses.rsplit([' ', '@']).next());
    last.is_some_and(|last| {
        let digits = last.strip_prefix("0x").unwrap_or(last);
        digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
