//! What workerd says, and what is shown of it.

use proptest::prelude::*;

use super::*;

const THROWN: &str = "uncaught exception; source = Uncaught (in promise); ";
const REPEATED: &str = "uncaught exception; exception = workerd/jsg/value.h:1456: failed: jsg.";
const ANSWERED: &str = "Uncaught exception: workerd/jsg/value.h:1456: failed: remote.jsg.";
const ADDRESSES: &str = "stack: /a folder/workerd@3f68b70 /a folder/workerd@2b096cc";

fn level(text: &str) -> Level {
    if text.starts_with("Uncaught exception: ") { Level::Error } else { Level::Info }
}

fn shown<T: AsRef<str>>(records: &[T]) -> Vec<String> {
    let mut uncaught = Uncaught::default();
    let heard = records.iter().map(AsRef::as_ref).map(|text| uncaught.hear(level(text), text));
    heard
        .filter_map(|heard| match heard {
            Heard::Error(text) => Some(text),
            Heard::Complaint(text) => Some(text),
            Heard::Nothing => None,
        })
        .collect()
}

#[test]
fn an_error_is_told_once_with_its_stack() {
    for (stack, repeated) in [
        ("RangeError: too far", "RangeError: too far"),
        ("RangeError: in\nsome lines", "RangeError: in\nsome lines"),
        ("RangeError", "RangeError"),
        ("MyError: mine", "Error: MyError: mine"),
        // Its name was given to it after it was made.
        ("Error: mine", "Error: MyError: mine"),
    ] {
        let told = format!("{stack}\n    at f (index.js:2:26)\n    at Object.fetch (index.js:62:12)");
        let records = [
            format!("{THROWN}stack = {told}"),
            format!("{REPEATED}{repeated}\n{ADDRESSES}"),
            format!("{ANSWERED}{repeated}"),
        ];
        assert_eq!(shown(&records), [format!("Uncaught {told}")]);
    }
    let records = [
        format!("{THROWN}exception = a string"),
        format!("{REPEATED}Error: a string\n{ADDRESSES}"),
        format!("{ANSWERED}Error: a string"),
    ];
    assert_eq!(shown(&records), ["Uncaught a string"]);
}

#[test]
fn an_error_whose_event_is_listened_to_is_told_once_with_its_stack() {
    // As a worker with a tail consumer says it, at an HTTP socket and elsewhere.
    let stack = "Error: from web\n    at fail (i.js:1:3)\n    at Object.fetch (i.js:1:34)";
    let records = [
        format!("uncaught exception; source = Uncaught; stack = {stack}"),
        format!("uncaught exception; source = Uncaught (in response); stack = {stack}"),
        format!("{ANSWERED}Error: from web"),
    ];
    assert_eq!(shown(&records), [format!("Uncaught {stack}")]);
    assert_eq!(shown(records.get(1..).unwrap()), [format!("Uncaught {stack}")]);
    // As of a promise that the event did not wait for.
    let records = [
        format!("{THROWN}stack = {stack}"),
        format!("uncaught exception; source = Uncaught (async); stack = {stack}"),
    ];
    assert_eq!(shown(&records), [format!("Uncaught {stack}")]);
}

#[test]
fn an_error_without_a_stack_is_told_where_it_is_first_seen() {
    let records = [
        format!("{REPEATED}RangeError: in\ntwo lines\n{ADDRESSES}"),
        format!("{ANSWERED}RangeError: in\ntwo lines"),
    ];
    assert_eq!(shown(&records), ["Uncaught RangeError: in\ntwo lines"]);
    assert_eq!(shown(&[format!("{ANSWERED}Error: alone")]), ["Uncaught Error: alone"]);
    let listener = "uncaught exception; desc = Error: rep\n    at index.js:1:118";
    let told = "Uncaught Error: rep\n    at index.js:1:118";
    assert_eq!(shown(&[listener]), [told]);
    assert_eq!(shown(&[listener, listener]), [told, told]);
    // As of a WebSocket's listener.
    let thrown = "uncaught exception; source = Uncaught; stack = Error: rep\n    at index.js:1:118";
    assert_eq!(shown(&[listener, thrown]), [told]);
    assert_eq!(shown(&[listener, thrown, thrown]), [told, told]);
}

#[test]
fn what_workerd_says_of_itself_is_dropped_and_what_it_complains_of_is_not() {
    let gone = "uncaught exception; exception = workerd/x.h:1: disconnected: jsg.Error: gone";
    let canceled = "uncaught exception; exception = workerd/io/io-context.c++:2052: failed: jsg.Error: The Workers \
                    runtime canceled this request";
    let records = [
        "Annotating with brokenness; internalMessage = jsg.RangeError: in\nsome lines",
        &format!("{gone}\n{ADDRESSES}"),
        "Inspector is listening",
        "returning failure over rpc; exception = workerd/jsg/value.h:1456: failed: remote.jsg.RangeError: in",
        &format!("{canceled}\n{ADDRESSES}"),
    ];
    assert_eq!(shown(&records), Vec::<String>::new());
    let unanswered = "HTTP connection failed: the handler sent no response";
    assert_eq!(Uncaught::default().hear(Level::Error, unanswered), Heard::Nothing);
    let complaints = [
        (Level::Error, "e = kj/x.c++:1: failed: not allowed"),
        (Level::Error, "Uncaught exception: kj/x.c++:1: disconnected: gone"),
        (Level::Warn, "no such class"),
        (Level::Warn, gone),
    ];
    for (level, text) in complaints {
        let heard = Uncaught::default().hear(level, &format!("{text}\n{ADDRESSES}"));
        assert_eq!(heard, Heard::Complaint(text.to_owned()));
    }
}

#[test]
fn errors_that_fail_side_by_side_are_each_told_once() {
    let thrown = [
        format!("{THROWN}stack = Error: same\n    at index.js:1:1"),
        format!("{REPEATED}Error: same\n{ADDRESSES}"),
    ];
    let answered = [format!("{ANSWERED}Error: same")];
    let records = [&thrown[..], &thrown, &answered, &answered, &thrown, &answered].concat();
    assert_eq!(shown(&records), ["Uncaught Error: same\n    at index.js:1:1"; 3]);
}

proptest! {
    #[test]
    fn each_of_many_errors_is_told_once(
        errors in prop::collection::vec(("[a-z é:\n]{1,20}", 0..3_usize, any::<bool>()), 0..20),
    ) {
        let (mut records, mut wanted) = (Vec::new(), Vec::new());
        for (number, (message, times, has_stack)) in errors.iter().enumerate() {
            let error = format!("Error: {number} {message}");
            let stack = if *has_stack { "\n    at index.js:1:1" } else { "" };
            wanted.push(format!("Uncaught {error}{stack}"));
            let all = [
                format!("{THROWN}stack = {error}{stack}"),
                format!("{REPEATED}{error}\n{ADDRESSES}"),
                format!("{ANSWERED}{error}"),
            ];
            records.extend(all.into_iter().take(times + 1));
        }
        prop_assert_eq!(shown(&records), wanted);
    }
}
