//! Durable Objects, called.

use jackfield::client::{ActorId, ReadableStream, Thrown, function, new_unique_id};
use jackfield::net::local::Fault;
use jackfield::wire::v8::JsValue;

use super::ways::{both, soon, stub};

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_named_by_their_ids() {
    both(|api| async move {
        let name = format!("lobby {}", api.way);
        let (named, unique) = (ActorId::from_name("the key", &name), new_unique_id("the key").unwrap());
        let hex = ActorId::from_hex_of("the key", &named.to_string().to_uppercase()).unwrap();
        for (id, by, sum) in [(&named, 2, 2), (&hex, 3, 5), (&unique, 1, 1), (&unique, 1, 2)] {
            let room = api.actor("Room", id.clone());
            assert_eq!(soon(room.call("add", [by.into()])).await.unwrap(), sum.into());
            assert_eq!(soon(room.call("which", [])).await.unwrap(), id.to_string().as_str().into());
            assert_eq!(soon(room.get("kind")).await.unwrap(), "Room".into());
        }
        for text in ["", "any text"] {
            let draft = api.actor("Draft", ActorId::ephemeral(format!("{text} {}", api.way)));
            assert_eq!(soon(draft.call("add", [1.into()])).await.unwrap(), 1.into());
            // Each call is an event of its own, and the object the same.
            assert_eq!(soon(draft.call("add", [1.into()])).await.unwrap(), 2.into());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_do_what_entrypoints_do() {
    both(|api| async move {
        let room = api.actor("Room", ActorId::from_name("the key", &format!("does {}", api.way)));
        let key = format!("room {}", api.way);
        let made = room.call("counter", [5.into(), key.as_str().into()]);
        let (one, ten) = (made.call("increment", []), made.call("increment", [10.into()]));
        assert_eq!((soon(one).await.unwrap(), soon(ten).await.unwrap()), (6.into(), 16.into()));
        let counter = stub(&soon(made).await.unwrap());
        // A stub of an object of the object's: passed to the worker, which is another event.
        assert_eq!(
            soon(api.main().call("use", [counter.clone().into(), 1.into()])).await.unwrap(),
            17.into()
        );
        drop(counter);
        assert_eq!(api.journal(&key, 1).await, ["disposed 17"]);

        let calls_back = function(|args| async move { Ok(JsValue::array([args[0].clone(), "back".into()])) });
        let called = soon(room.call("call", [calls_back, 7.into()])).await.unwrap();
        assert_eq!(called, JsValue::array([JsValue::from(7), "back".into()]));
        let bytes = vec![7; 300_000];
        let taken = room.call("take", [ReadableStream::new(bytes).into()]);
        assert_eq!(soon(taken).await.unwrap(), 300_000.into());
        let given = soon(room.call("give", [300_000.into()])).await.unwrap();
        let stream = ReadableStream::take(&given).unwrap();
        assert_eq!(soon(stream.bytes()).await.unwrap().len(), 300_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_throw_and_are_reset() {
    both(|api| async move {
        let room = api.actor("Room", ActorId::from_name("the key", &format!("throws {}", api.way)));
        soon(room.call("add", [1.into()])).await.unwrap();
        let error = soon(room.call("fail", ["custom".into()])).await.unwrap_err();
        let thrown = error.thrown().unwrap();
        assert_eq!((thrown.to_string().as_str(), thrown.remote), ("PaymentError: declined", true));
        assert_eq!(thrown.property("code"), Some(&"E_CARD".into()));
        assert!(!thrown.durable_object_reset && error.fault() == Fault::Callee);
        assert_eq!(soon(room.call("add", [1.into()])).await.unwrap(), 2.into());

        let aborted = soon(room.call("abort", [])).await.unwrap_err();
        let thrown: &Thrown = aborted.thrown().unwrap_or_else(|| panic!("{aborted:?}"));
        assert!(thrown.durable_object_reset && thrown.message.contains("on purpose"), "{thrown:?}");
        // The next event is served by a new one.
        assert_eq!(soon(room.call("add", [1.into()])).await.unwrap(), 1.into());
        format!("{aborted} {:?} {}", aborted.fault(), aborted.is_retryable())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_is_not_there_says_so() {
    both(|api| async move {
        let nope = api.actor("Nope", ActorId::from_name("the key", "a"));
        let error = soon(nope.call("add", [1.into()])).await.unwrap_err().to_string();
        assert!(error.contains("Nope"), "{error}");
    })
    .await;
}
