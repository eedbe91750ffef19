//! What workers throw, what is thrown into them, and what goes wrong on the way.

use jackfield::client::{CallError, Thrown, function};
use jackfield::net::local::Fault;
use jackfield::wire::v8::JsValue;

use super::ways::{both, soon};

/// Everything that a caller can see of an error, but for its stack, in which there are places of files.
fn account(error: &CallError) -> String {
    let thrown = error.thrown().map(|thrown| Thrown { stack: None, ..thrown.clone() });
    format!("{error} {:?} {} {thrown:?}", error.fault(), error.is_retryable())
}

const KINDS: [&str; 17] = [
    "error",
    "empty",
    "typeError",
    "rangeError",
    "syntaxError",
    "referenceError",
    "evalError",
    "custom",
    "colon",
    "unicode",
    "own",
    "flagged",
    "domAbort",
    "string",
    "number",
    "null",
    "object",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_error_arrives() {
    both(|api| async move {
        let mut accounts = Vec::new();
        for kind in KINDS {
            let error = soon(api.main().call("fail", [kind.into()])).await.unwrap_err();
            let later = soon(api.main().call("failLater", [kind.into()])).await.unwrap_err();
            assert_eq!(error.to_string(), later.to_string());
            accounts.push(format!("{kind}: {}", account(&error)));
        }
        accounts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_names_and_properties() {
    both(|api| async move {
        let error = |kind: &'static str| {
            let call = api.main().call("fail", [kind.into()]);
            async move { soon(call).await.unwrap_err().thrown().unwrap().clone() }
        };
        let thrown = error("typeError").await;
        assert_eq!((thrown.name.as_str(), thrown.message.as_str()), ("TypeError", "bad type"));
        assert!(thrown.remote && !thrown.retryable && !thrown.overloaded);
        let thrown = error("custom").await;
        assert_eq!((thrown.name.as_str(), thrown.message.as_str()), ("PaymentError", "declined"));
        assert_eq!(thrown.property("code"), Some(&"E_CARD".into()));
        let details = thrown.property("details").unwrap();
        assert_eq!(details.get("attempts"), Some(3.into()));
        let cause = Thrown::of_value(thrown.cause().unwrap().clone());
        assert_eq!(cause.to_string(), "TypeError: inner");
        let thrown = error("domAbort").await;
        assert!(thrown.dom_exception);
        assert_eq!(thrown.to_string(), "AbortError: aborted it");
        let thrown = error("own").await;
        assert_eq!(thrown.property("code"), Some(&42.into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_say_what_to_do_next() {
    both(|api| async move {
        let main = api.main();
        let nope = account(&soon(main.call("nope", [])).await.unwrap_err());
        let own = account(&soon(main.get("own")).await.unwrap_err());
        let reserved = account(&soon(main.call("fetch", [])).await.unwrap_err());
        let property = account(&soon(main.call("answer", [])).await.unwrap_err());
        let unserializable = account(&soon(main.call("unserializable", [])).await.unwrap_err());
        let large = account(&soon(main.call("large", [(33 << 20).into()])).await.unwrap_err());
        for (error, expected) in [
            (&nope, "look for it in the worker's class"),
            (&own, "look for it in the worker's class"),
            (&reserved, "give the method another name"),
            (&property, "get it instead"),
            (&unserializable, "return what can travel"),
            (&large, "as a ReadableStream"),
        ] {
            assert!(error.contains(expected), "{error}");
        }
        let too_large = soon(main.call("count", [JsValue::bytes(vec![0; 33 << 20])])).await.unwrap_err();
        assert!(matches!(too_large, CallError::Arguments(_)), "{too_large}");
        assert!(too_large.to_string().contains("as a stream"), "{too_large}");
        assert_eq!(too_large.fault(), Fault::Caller);
        // What is just small enough passes.
        let passes = main.call("count", [JsValue::bytes(vec![0; 31 << 20])]);
        assert_eq!(soon(passes).await.unwrap(), 1.into());
        [nope, own, reserved, property, unserializable, large]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_see_what_callbacks_throw() {
    both(|api| async move {
        let mut seen = Vec::new();
        let errors = [
            Thrown::type_error("a type").with("code", 7),
            Thrown::error("plain"),
            Thrown::new("PaymentError", "declined")
                .with("code", "E_CARD")
                .with("cause", JsValue::error("TypeError", "why")),
            Thrown::dom_exception("AbortError", "given up"),
            Thrown { retryable: true, ..Thrown::error("again") },
            Thrown { overloaded: true, ..Thrown::error("later") },
        ];
        for error in errors {
            let callback = function(move |_| {
                let error = error.clone();
                async move { Err(error) }
            });
            let caught = soon(api.main().call("caught", [callback])).await.unwrap();
            seen.push(format!("{caught:?}"));
        }
        let expected = [
            ["TypeError", "a type", "type: true", "code: 7"],
            ["Error", "plain", "type: false", "remote: true"],
            ["PaymentError", "declined", "E_CARD", "TypeError: why"],
            ["AbortError", "given up", "dom: true", "remote: true"],
            ["Error", "again", "retryable: true", "remote: true"],
            ["Error", "later", "overloaded: true", "remote: true"],
        ];
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(expected.iter().all(|part| seen.contains(part)), "{seen} has not all of {expected:?}");
        }
        let panics = function(|_| async { panic!("on purpose") });
        let caught = soon(api.main().call("caught", [panics])).await.unwrap();
        assert!(format!("{caught:?}").contains("has panicked: on purpose"), "{caught:?}");
        // An error that passes through us, and back.
        let main = api.main();
        let through = function(move |_| {
            let call = main.call("fail", ["custom".into()]);
            async move { Ok(call.await?) }
        });
        let caught = soon(api.main().call("caught", [through])).await.unwrap();
        assert!(format!("{caught:?}").contains("E_CARD"), "{caught:?}");
        seen
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_dies_in_the_middle() {
    // The process is ended by the first way; so each has its own.
    both(|api| async move {
        let main = api.main();
        let key = format!("dies {}", api.way);
        let hangs = main.call("hang", [key.as_str().into()]);
        api.journal(&key, 1).await;
        if api.way == "direct" {
            api.session.close();
            let error = soon(hangs).await.unwrap_err();
            assert!(matches!(error, CallError::Broken(_)), "{error:?}");
            assert!(error.to_string().contains("connect again"), "{error}");
            assert!(error.is_retryable());
            assert_eq!(error.fault(), Fault::Way);
            return;
        }
        let pid = rustix::process::Pid::from_raw(api.generation.pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let error = soon(hangs).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(error.fault(), Fault::Way);
    })
    .await;
}
