//! Lines as workerd writes them, and what is shown of them.

use proptest::prelude::*;

use super::*;

const THROWN: &str = "workerd/io/worker.c++:3042: info: uncaught exception; source = Uncaught (in promise); ";
const REPEATED: &str = "workerd/io/io-context.c++:656: info: uncaught exception; exception = \
                        workerd/jsg/value.h:1456: failed: jsg.";
const ANSWERED: &str = "workerd/server/server/listen/mod.rs:372: error: Uncaught exception: \
                        workerd/jsg/value.h:1456: failed: remote.jsg.";
const ADDRESSES: &str = "stack: /a folder/workerd@3f68b70 /a folder/workerd@2b096cc";

fn shown(lines: &str) -> Vec<String> {
    let mut uncaught = Uncaught::default();
    let heard = lines.lines().map(|line| uncaught.hear(line.to_owned()));
    heard
        .filter_map(|heard| match heard {
            Heard::Line(line) | Heard::Error(line) => Some(line),
            Heard::Nothing => None,
        })
        .collect()
}

#[test]
fn an_error_is_told_once_with_its_stack() {
    for (stack, repeated) in [
        ("RangeError: too far", "RangeError: too far"),
        ("RangeError", "RangeError"),
        ("MyError: mine", "Error: MyError: mine"),
        // Its name was given to it after it was made.
        ("Error: mine", "Error: MyError: mine"),
    ] {
        let lines = format!(
            "{THROWN}stack = {stack}\n    at f (index.js:2:26)\n    at Object.fetch (index.js:62:12)\n\
             {REPEATED}{repeated}\n{ADDRESSES}\n{ANSWERED}{repeated}\nmine"
        );
        let wanted = [
            &format!("Uncaught {stack}"),
            "    at f (index.js:2:26)",
            "    at Object.fetch (index.js:62:12)",
            "mine",
        ];
        assert_eq!(shown(&lines), wanted);
    }
    let text = format!(
        "{THROWN}exception = a string\n{REPEATED}Error: a string\n{ADDRESSES}\n{ANSWERED}Error: a string"
    );
    assert_eq!(shown(&text), ["Uncaught a string"]);
}

#[test]
fn an_error_whose_event_is_listened_to_is_told_once_with_its_stack() {
    // As a worker with a tail consumer says it, at an HTTP socket and elsewhere.
    let lines = "\
workerd/io/worker.c++:3042: info: uncaught exception; source = Uncaught; stack = Error: from web
    at fail (i.js:1:3)
    at Object.fetch (i.js:1:34)
workerd/io/io-context.c++:711: info: uncaught exception; source = Uncaught (in response); stack = Error: from web
    at fail (i.js:1:3)
    at Object.fetch (i.js:1:34)
    at what the worker writes
workerd/server/server/listen/mod.rs:372: error: Uncaught exception: workerd/jsg/value.h:1456: failed: \
remote.jsg.Error: from web";
    let wanted = [
        "Uncaught Error: from web",
        "    at fail (i.js:1:3)",
        "    at Object.fetch (i.js:1:34)",
        "    at what the worker writes",
    ];
    assert_eq!(shown(lines), wanted);
    let (_, alone) = lines.split_once("34)\n").unwrap();
    assert_eq!(shown(alone), wanted);
}

#[test]
fn an_error_without_a_stack_is_told_where_it_is_first_seen() {
    let text = format!(
        "{REPEATED}RangeError: in\ntwo lines\n{ADDRESSES}\n{ANSWERED}RangeError: in\ntwo lines\nmine"
    );
    assert_eq!(shown(&text), ["Uncaught RangeError: in", "two lines", "mine"]);
    assert_eq!(shown(&format!("{ANSWERED}Error: alone\nmine")), ["Uncaught Error: alone", "mine"]);
    let listener =
        "workerd/io/worker.c++:1273: info: uncaught exception; desc = Error: rep\n    at index.js:1:118";
    assert_eq!(shown(&format!("{listener}\nmine")), ["Uncaught Error: rep", "    at index.js:1:118", "mine"]);
}

#[test]
fn what_workerd_says_of_itself_is_dropped_and_what_it_complains_of_is_not() {
    let text = format!(
        "{THROWN}stack = RangeError: in\nsome lines\n    at index.js:8:63\n\
         workerd/jsg/exception.c++:146: info: Annotating with brokenness; internalMessage = jsg.RangeError: in\n\
         some lines; brokennessReason = broken.inputGateBroken\n\
         workerd/io/io-context.c++:656: info: uncaught exception; exception = workerd/x.h:1: disconnected: jsg.Error: gone\n\
         {ADDRESSES}\nworkerd/server/server.c++:1: info: Inspector is listening\n\
         capnp/rpc.c++:188: info: returning failure over rpc; exception = \
         workerd/jsg/value.h:1456: failed: remote.jsg.RangeError: in\nsome lines\n{ADDRESSES}\n\
         workerd/io/io-context.c++:656: info: uncaught exception; exception = \
         workerd/io/io-context.c++:2052: failed: jsg.Error: The Workers runtime canceled this request\n{ADDRESSES}\nmine"
    );
    assert_eq!(shown(&text), ["Uncaught RangeError: in", "some lines", "    at index.js:8:63", "mine"]);
    let complaints = format!(
        "workerd/jsg/util.c++:320: error: e = kj/x.c++:1: failed: not allowed\n{ADDRESSES}\n\
         workerd/server/server.c++:1: error: Uncaught exception: kj/x.c++:1: disconnected: gone\n{ADDRESSES}\n\
         workerd/server/server/worker.rs:468: warning: no such class"
    );
    assert_eq!(shown(&complaints), complaints.lines().collect::<Vec<_>>());
}

#[test]
fn errors_that_fail_side_by_side_are_each_told_once() {
    let thrown =
        format!("{THROWN}stack = Error: same\n    at index.js:1:1\n{REPEATED}Error: same\n{ADDRESSES}");
    let answered = format!("{ANSWERED}Error: same");
    let told = shown(&[&*thrown, &thrown, &answered, &answered, &thrown, &answered].join("\n"));
    assert_eq!(told, ["Uncaught Error: same", "    at index.js:1:1"].repeat(3));
}

#[test]
fn an_error_longer_than_a_line_is_told_once() {
    let message = "x".repeat(2 * MAX_LINE + 10);
    let mut uncaught = Uncaught::default();
    let mut told = 0;
    for line in [
        THROWN.to_owned() + "stack = Error: ",
        REPEATED.to_owned() + "Error: ",
        ANSWERED.to_owned() + "Error: ",
    ] {
        for piece in (line + &message).as_bytes().chunks(MAX_LINE) {
            let heard = uncaught.hear(String::from_utf8(piece.to_vec()).unwrap());
            told += usize::from(heard != Heard::Nothing);
        }
        assert_eq!(told, 3);
    }
    assert_eq!(uncaught.hear("mine".to_owned()), Heard::Line("mine".to_owned()));
}

#[test]
fn errors_do_not_say_why_a_process_ends_and_all_else_does() {
    let thrown = "workerd/io/worker.c++:1273: info: uncaught exception; desc = ";
    let text = format!(
        "{thrown}Error: mine\n    at index.js:1:85\n{thrown}a string\nservice web: Uncaught Error: end\n  at index.js:1:171"
    );
    let mut uncaught = Uncaught::default();
    let kept = text.lines().filter(|line| matches!(uncaught.hear((*line).to_owned()), Heard::Line(_)));
    assert_eq!(kept.collect::<Vec<_>>(), ["service web: Uncaught Error: end", "  at index.js:1:171"]);
}

/// What a worker may write that looks like workerd's, but for the place.
const LIKE: [&str; 11] = [
    "mine",
    "",
    "    at f (index.js:2:26)",
    "stack: none",
    "uncaught exception; source = Uncaught; stack = Error",
    " workerd/io/worker.c++:3042: info: uncaught exception; desc = x",
    "worker.c++:3042: info: uncaught exception; desc = x",
    "src/main.rs:7: info: built",
    "workerd/io/worker.c++:n: info: x",
    "workerd/io/worker.js:1: info: x",
    "workerd/a b.h:1: info: x",
];

proptest! {
    #[test]
    fn what_a_worker_writes_is_never_dropped(
        events in prop::collection::vec((0..3_usize, prop::collection::vec(0..LIKE.len(), 0..3), 0..4_u8), 0..20),
    ) {
        let (mut lines, mut wanted) = (Vec::new(), Vec::new());
        for (rest, written, kind) in events {
            let mut error = vec![format!("Error: {kind}")];
            error.extend(["second", "stack: third"].into_iter().take(rest).map(str::to_owned));
            let error = error.join("\n");
            if kind > 0 {
                wanted.push(format!("Uncaught {error}\n    at index.js:1:1"));
                lines.push(format!("{THROWN}stack = {error}\n    at index.js:1:1"));
            }
            if kind > 1 {
                lines.push(format!("{REPEATED}{error}\n{ADDRESSES}"));
            }
            if kind > 2 {
                lines.push(format!("{ANSWERED}{error}"));
            }
            for written in written.into_iter().filter_map(|index| LIKE.get(index)) {
                lines.push((*written).to_owned());
                wanted.push((*written).to_owned());
            }
        }
        let wanted = wanted.join("\n");
        prop_assert_eq!(shown(&lines.join("\n")), wanted.lines().collect::<Vec<_>>());
    }
}
