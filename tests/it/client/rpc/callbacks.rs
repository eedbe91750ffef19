//! Functions and objects of ours, called by workers.

use futures::FutureExt;
use futures::future::BoxFuture;
use jackfield::client::{Path, Stub, Target, Thrown, function, object};
use jackfield::wire::v8::JsValue;

use super::ways::{both, soon};

#[tokio::test(flavor = "multi_thread")]
async fn functions_and_objects_are_called() {
    both(|api| async move {
        let main = api.main();
        let double = function(|args| async move { Ok((args[0].as_f64().unwrap() * 2.0).into()) });
        assert_eq!(soon(main.call("call", [double.clone(), 4.into()])).await.unwrap(), 8.into());
        // The same function, given twice, and both at once.
        let twice = main.call("twice", [double.clone()]);
        assert_eq!(soon(twice).await.unwrap(), JsValue::array([2, 4]));
        assert_eq!(soon(main.call("method", [object(Greeter)])).await.unwrap(), "hello worker".into());
        let property = soon(main.call("property", [object(Greeter)])).await.unwrap();
        assert_eq!(property, JsValue::array(["Ada", "a.b"]));
        let error = soon(main.call("method", [double])).await.unwrap_err();
        assert!(error.to_string().contains("does not implement the method \"greet\""), "{error}");
    })
    .await;
}

struct Greeter;

impl Target for Greeter {
    async fn call(&self, method: Path, args: Vec<JsValue>) -> Result<JsValue, Thrown> {
        match (method.names(), args.as_slice()) {
            ([greet], [name]) if greet == "greet" => {
                tokio::task::yield_now().await;
                Ok(format!("hello {}", name.as_str().unwrap()).into())
            }
            _ => Err(Thrown::no_method(&method)),
        }
    }

    async fn get(&self, property: Path) -> Result<JsValue, Thrown> {
        match property.to_string().as_str() {
            "name" => Ok("Ada".into()),
            path @ "a.b" => Ok(path.into()),
            _ => Err(Thrown::no_method(&property)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_pipeline_on_our_answers() {
    both(|api| async move {
        let made = function(|_| async {
            tokio::task::yield_now().await;
            let method =
                function(|args| async move { Ok(JsValue::array([args[0].clone(), "answered".into()])) });
            Ok(JsValue::object([("inner", JsValue::object([("method", method)]))]))
        });
        let answer = soon(api.main().call("pipelined", [made])).await.unwrap();
        assert_eq!(answer, JsValue::array(["pipelined", "answered"]));
        let missing = function(|_| async { Ok(JsValue::object([("inner", 1)])) });
        soon(api.main().call("pipelined", [missing])).await.unwrap_err().to_string()
    })
    .await;
}

/// The worker calls us with a function of its own, which we call with one of ours, and so on.
fn ping_pong(depth: u32) -> JsValue {
    function(move |args: Vec<JsValue>| answer(depth, args))
}

fn answer(depth: u32, args: Vec<JsValue>) -> BoxFuture<'static, Result<JsValue, Thrown>> {
    async move {
        let text = format!("{} rust {depth}", args[0].as_str().unwrap());
        let Some(back) = args.get(1).and_then(Stub::of) else { return Ok(text.into()) };
        let mut args = vec![text.into()];
        if depth > 0 {
            args.push(ping_pong(depth - 1));
        }
        Ok(back.invoke(args).await?)
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_call_back_three_levels_deep() {
    both(|api| async move {
        let deep = soon(api.main().call("pingPong", [3.into(), ping_pong(3)])).await.unwrap();
        assert_eq!(deep.as_str(), Some("worker 3 rust 3 > worker rust 2"));
        let flat = soon(api.main().call("pingPong", [0.into(), ping_pong(3)])).await.unwrap();
        assert_eq!(flat.as_str(), Some("bottom rust 3"));
        let ends = soon(api.main().call("pingPong", [1.into(), ping_pong(0)])).await.unwrap();
        assert_eq!(ends.as_str(), Some("worker 1 rust 0 > end"));
    })
    .await;
}

/// Each level calls the worker anew, with a function that does so in its turn.
fn descend(main: jackfield::client::Entrypoint, depth: u32) -> JsValue {
    function(move |_| {
        let main = main.clone();
        async move {
            if depth == 0 {
                return Ok("bottom".into());
            }
            let inner = main.call("call", [descend(main.clone(), depth - 1)]).await?;
            Ok(format!("{depth} {}", inner.as_str().unwrap()).into())
        }
        .boxed()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_within_sessions() {
    both(|api| async move {
        let answer = soon(api.main().call("call", [descend(api.main(), 3)])).await.unwrap();
        assert_eq!(answer.as_str(), Some("3 2 1 bottom"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_begin_in_their_order() {
    both(|api| async move {
        let (tell, mut told) = tokio::sync::mpsc::channel(500);
        let counts = function(move |args| {
            tell.try_send(args[0].as_f64().unwrap()).unwrap();
            async { Ok(JsValue::UNDEFINED) }
        });
        let echoed = soon(api.main().call("echo", [counts])).await.unwrap();
        let echoed = Stub::of(&echoed).unwrap();
        let calls: Vec<_> = (0..500).map(|number| echoed.invoke([number.into()])).collect();
        for call in calls.into_iter().rev() {
            soon(call).await.unwrap();
        }
        for number in 0..500 {
            assert_eq!(told.recv().await, Some(f64::from(number)));
        }
    })
    .await;
}
