//! What is given up here stops there.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jackfield::client::{Promise, ReadableStream, Stub, function};
use jackfield::wire::v8::JsValue;
use tokio::sync::Notify;

use super::ways::{Api, both, soon};
use crate::support::alone::{is_alone, resident};

/// A function for a worker to call in an endless loop, that it was called, and that the worker let it go: which it
/// does no sooner than it is stopped.
fn ticks() -> (JsValue, Arc<Notify>, Arc<Notify>) {
    let (called, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, guard) = (called.clone(), Guard(dropped.clone()));
    let callback = function(move |_| {
        let _ = &guard;
        tell.notify_one();
        async { Ok(JsValue::UNDEFINED) }
    });
    (callback, called, dropped)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_stops() {
    both(|api| async move {
        let (callback, called, dropped) = ticks();
        let ticks = api.main().call("ticks", [callback]);
        for _ in 0..3 {
            soon(called.notified()).await;
        }
        drop(ticks);
        soon(dropped.notified()).await;
        idle(&api).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_never_polled_is_cancelled_too() {
    both(|api| async move {
        let mut all = Vec::new();
        for _ in 0..10 {
            let (callback, _, dropped) = ticks();
            drop(api.main().call("ticks", [callback]));
            all.push(dropped);
        }
        for dropped in all {
            soon(dropped.notified()).await;
        }
        idle(&api).await;
    })
    .await;
}

/// On one thread nothing is sent before the test waits for something.
#[tokio::test]
async fn a_call_that_waits_for_room_is_never_sent() {
    both(|api| async move {
        let main = api.main();
        let key = format!("room {}", api.way);
        // The connection is there, and so is the entrypoint.
        soon(main.call("add", [1.into(), 1.into()])).await.unwrap();
        // It takes all the room that there is.
        let large = main.call("count", [JsValue::bytes(vec![0; 8 << 20])]);
        let (waits, follows) = (main.call("noted", [key.as_str().into()]), main.call("count", []));
        drop(waits);
        assert_eq!(soon(large).await.unwrap(), 1.into());
        assert_eq!(soon(follows).await.unwrap(), 0.into());
        let told = soon(main.call("journal", [key.as_str().into()])).await.unwrap();
        assert_eq!(told, JsValue::array([0; 0]));
        idle(&api).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_a_stub_is_cancelled_alone() {
    both(|api| async move {
        let key = format!("alone {}", api.way);
        let boxed = soon(api.main().call("boxed", [key.as_str().into()])).await.unwrap();
        let counter = Stub::of(&boxed.get("counter").unwrap()).unwrap();
        drop(counter.call("increment", [1.into()]));
        drop(counter.get("value"));
        let value = soon(counter.call("increment", [1.into()])).await.unwrap();
        assert!(value.as_f64().is_some_and(|value| value >= 6.0), "{value:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_drops_what_it_brought() {
    both(|api| async move {
        let key = format!("callback {}", api.way);
        let (called, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, held) = (called.clone(), Guard(dropped.clone()));
        let callback = function(move |_| {
            let (tell, held) = (tell.clone(), held.clone());
            async move {
                tell.notify_one();
                std::future::pending::<()>().await;
                drop(held);
                Ok(JsValue::UNDEFINED)
            }
        });
        let hangs = api.main().call("hang", [key.as_str().into(), callback]);
        soon(called.notified()).await;
        drop(hangs);
        // The callback's own future is dropped, and then the callback.
        soon(dropped.notified()).await;
    })
    .await;
}

/// Tells when its last clone is dropped.
#[derive(Clone)]
struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        // The test has one, the guard one, and each clone of the guard another.
        if Arc::strong_count(&self.0) == 2 {
            self.0.notify_one();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_for_what_was_asked_of_it() {
    both(|api| async move {
        let counter = api.main().call("counter", [5.into()]);
        let value = counter.call("increment", []);
        drop(counter);
        assert_eq!(soon(value).await.unwrap(), 6.into());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_stops_its_writer() {
    both(|api| async move {
        // Before it is read, and in the middle.
        for read in [0, 1] {
            let value = soon(api.main().call("giveSlowly", [(1 << 30).into()])).await.unwrap();
            let mut stream = ReadableStream::take(&value).unwrap();
            for _ in 0..read {
                soon(futures::StreamExt::next(&mut stream)).await.unwrap().unwrap();
            }
            drop((stream, value));
        }
        // One that is sent, of a call that is given up.
        let (read, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, guard) = (read.clone(), Guard(dropped.clone()));
        let endless = futures::stream::repeat_with(move || {
            let _ = &guard;
            tell.notify_one();
            Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[7; 65536]))
        });
        let body = jackfield::client::Body::stream(None, endless);
        let taken = api.main().call("take", [ReadableStream::new(body).into()]);
        for _ in 0..20 {
            soon(read.notified()).await;
        }
        drop(taken);
        soon(dropped.notified()).await;
        idle(&api).await;
    })
    .await;
}

/// Nothing is left of what was given up.
async fn idle(api: &Api) {
    let main = api.main();
    soon(main.call("add", [1.into(), 1.into()])).await.unwrap();
    let wait = async {
        loop {
            let sizes = api.session.connection().sizes().await.unwrap();
            if sizes.questions <= 1 && sizes.imports <= 2 && sizes.exports <= 2 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), wait).await.is_err() {
        let (sizes, way) = (api.session.connection().sizes().await, api.way);
        panic!("{way}: {sizes:?} {:?}", api.session.peer().inventory().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_leave_nothing() {
    if !is_alone("client::rpc::cancel::ten_thousand_calls_leave_nothing").await {
        return;
    }
    both(|api| async move {
        let main = api.main();
        round(&main, 500).await;
        idle(&api).await;
        let before = api.session.connection().sizes().await.unwrap();
        // What an allocator keeps of a burst it keeps once; what is lost with each call is lost again and again.
        let mut grown = Vec::new();
        while grown.last().is_none_or(|more| *more > 4 << 20) {
            assert!(grown.len() < 5, "bytes more after each ten thousand calls: {grown:?}");
            let resident_before = resident();
            for _ in 0..20 {
                round(&main, 500).await;
            }
            idle(&api).await;
            assert_eq!(before, api.session.connection().sizes().await.unwrap());
            grown.push(resident().saturating_sub(resident_before));
        }
        let inventory = soon(async {
            loop {
                let inventory = api.session.peer().inventory().await.unwrap();
                if inventory.handlers <= 1 && inventory.questions <= 1 && inventory.held == 0 {
                    return inventory;
                }
                tokio::task::yield_now().await;
            }
        });
        let inventory = inventory.await;
        assert!(inventory.capabilities < 8, "{inventory:?}");
    })
    .await;
}

/// Calls with stubs and callbacks, a hundred at once.
async fn round(main: &jackfield::client::Entrypoint, count: usize) {
    let one = |number: usize| async move {
        match number % 3 {
            0 => {
                let counter = Stub::of(&main.call("counter", [1.into()]).await.unwrap()).unwrap();
                assert_eq!(counter.call("increment", []).await.unwrap(), 2.into());
            }
            1 => {
                let callback = function(|args| async move { Ok(args[0].clone()) });
                assert_eq!(main.call("call", [callback, 7.into()]).await.unwrap(), 7.into());
            }
            _ => {
                let promise: Promise = main.call("counter", [1.into()]).call("increment", []);
                assert_eq!(promise.await.unwrap(), 2.into());
            }
        }
    };
    use futures::StreamExt;
    let calls = futures::stream::iter(0..count).map(one).buffer_unordered(100);
    soon(calls.collect::<()>().boxed_local()).await;
}
