//! What is dropped here is disposed of there, and not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jackfield::client::{Path, Stub, Target, Thrown, object};
use jackfield::wire::v8::JsValue;

use super::ways::{both, soon};

#[tokio::test(flavor = "multi_thread")]
async fn the_last_clone_disposes() {
    both(|api| async move {
        let main = api.main();
        let key = format!("last {}", api.way);
        let value = soon(main.call("counter", [5.into(), key.as_str().into()])).await.unwrap();
        let counter = Stub::of(&value).unwrap();
        drop(value);
        let clone = counter.clone();
        drop(counter);
        soon(clone.call("increment", [])).await.unwrap();
        assert!(soon(main.call("journal", [key.as_str().into()])).await.unwrap() == JsValue::array([0; 0]));
        drop(clone);
        assert_eq!(api.journal(&key, 1).await, ["disposed 6"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stubs_within_a_value_live_as_long_as_it() {
    both(|api| async move {
        let main = api.main();
        let key = format!("boxed {}", api.way);
        let value = soon(main.call("boxed", [key.as_str().into()])).await.unwrap();
        let within = Stub::of(&value.get("counter").unwrap()).unwrap();
        drop(value);
        soon(within.call("increment", [])).await.unwrap();
        drop(within);
        let mut told = api.journal(&key, 2).await;
        told.sort();
        assert_eq!(told, ["disposed 6", "disposed 6"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disposer_runs_when_the_promise_is_dropped() {
    both(|api| async move {
        let main = api.main();
        let key = format!("object {}", api.way);
        let mut promise = main.call("disposable", [key.as_str().into()]);
        let value = soon(&mut promise).await.unwrap();
        assert_eq!(value.get("plain"), Some(1.into()));
        assert!(soon(main.call("journal", [key.as_str().into()])).await.unwrap() == JsValue::array([0; 0]));
        drop(promise);
        assert_eq!(api.journal(&key, 1).await, ["disposed object"]);

        let key = format!("function {}", api.way);
        drop(soon(main.call("func", [key.as_str().into()])).await.unwrap());
        assert_eq!(api.journal(&key, 1).await, ["disposed function"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stub_that_is_only_pipelined_is_disposed_of() {
    both(|api| async move {
        let key = format!("pipelined {}", api.way);
        let value = api.main().call("counter", [1.into(), key.as_str().into()]).call("increment", []);
        assert_eq!(soon(value).await.unwrap(), 2.into());
        assert_eq!(api.journal(&key, 1).await, ["disposed 2"]);
    })
    .await;
}

/// Counts its drops.
struct Told(Arc<AtomicUsize>);

impl Target for Told {
    async fn call(&self, _: Path, _: Vec<JsValue>) -> Result<JsValue, Thrown> {
        Ok("told".into())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_ours_are_dropped_when_workers_let_them_go() {
    both(|api| async move {
        let dropped = Arc::new(AtomicUsize::new(0));
        let main = api.main();
        assert_eq!(soon(main.call("call", [object(Told(dropped.clone()))])).await.unwrap(), "told".into());
        wait(&dropped, 1).await;
        // Kept beyond the answer.
        let key = format!("kept {}", api.way);
        let kept = main.call("keep", [object(Told(dropped.clone())), key.as_str().into()]);
        assert_eq!(soon(kept).await.unwrap(), "kept".into());
        assert_eq!(api.journal(&key, 1).await, ["told"]);
        wait(&dropped, 2).await;
        // Never sent.
        drop(object(Told(dropped.clone())));
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
    })
    .await;
}

async fn wait(count: &AtomicUsize, expected: usize) {
    soon(async {
        while count.load(Ordering::SeqCst) != expected {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
