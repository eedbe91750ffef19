//! What came over one connection, given to a worker over another: it is called from here then.

use jackfield::client::{ReadableStream, WritableStream};
use jackfield::wire::v8::JsValue;

use super::ways::{both, soon, stub};

#[tokio::test(flavor = "multi_thread")]
async fn a_stub_is_called_through_us() {
    both(|api| async move {
        let other = api.apart().await;
        let key = format!("apart {}", api.way);
        let made = soon(api.main().call("counter", [5.into(), key.as_str().into()])).await.unwrap();
        let counter = stub(&made);
        assert_eq!(soon(other.call("use", [made.clone(), 10.into()])).await.unwrap(), 15.into());
        assert_eq!(soon(other.call("read", [made.clone(), "value".into()])).await.unwrap(), 15.into());
        // In their order, a hundred at once.
        let counted = soon(other.call("times", [made.clone(), 100.into()])).await.unwrap();
        assert_eq!(counted, JsValue::array(16..116));
        // There and back it is the same object; so is what it makes.
        let echoed = soon(other.call("echo", [made.clone()])).await.unwrap();
        assert_eq!(soon(stub(&echoed).call("increment", [])).await.unwrap(), 116.into());
        let another = other.call("through", [made.clone(), "another".into(), 70.into()]);
        assert_eq!(soon(another.call("increment", [])).await.unwrap(), 71.into());
        let another = stub(&soon(another).await.unwrap());
        assert_eq!(soon(another.get("value")).await.unwrap(), 71.into());

        let failed = other.call("through", [made, "fail".into(), "on purpose".into()]);
        let error = soon(failed).await.unwrap_err();
        assert_eq!(error.thrown().unwrap().to_string(), "RangeError: on purpose");
        assert_eq!(soon(counter.get("value")).await.unwrap(), 116.into());
        drop((counter, echoed, another));
        let mut told = api.journal(&key, 2).await;
        told.sort();
        assert_eq!(told, ["disposed 116", "disposed 71"]);
        error.to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stub_of_a_connection_that_has_ended_says_so() {
    both(|api| async move {
        let main = api.main();
        let other = api.apart().await;
        let made = soon(other.call("func", ["none".into()])).await.unwrap();
        assert_eq!(soon(main.call("call", [made.clone(), 6.into(), 7.into()])).await.unwrap(), 42.into());
        other.session().close();
        other.session().closed().await;
        let caught = soon(main.call("caught", [made.clone()])).await.unwrap();
        assert_eq!(caught.get("own").and_then(|own| own.get("retryable")), Some(true.into()), "{caught:?}");
        let message = caught.get("message").unwrap();
        assert!(message.as_str().unwrap().contains("connect again"), "{message:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_flow_through_us() {
    both(|api| async move {
        let other = api.apart().await;
        for length in [0, 1, 300_000] {
            let given = soon(api.main().call("giveSlowly", [length.into()])).await.unwrap();
            assert_eq!(soon(other.call("take", [given])).await.unwrap(), length.into());
        }
        let broken = soon(api.main().call("giveBroken", [])).await.unwrap();
        let said = soon(other.call("takeFailing", [broken])).await.unwrap();
        assert!(said.as_str().is_some_and(|said| said.contains("rror")), "{said:?}");

        let key = format!("apart writable {}", api.way);
        let writable = soon(api.main().call("writable", [key.as_str().into()])).await.unwrap();
        assert_eq!(
            soon(other.call("write", [writable.clone(), 70_000.into()])).await.unwrap(),
            70_000.into()
        );
        assert_eq!(api.journal(&key, 1).await[0].len(), 70_000);
        assert!(WritableStream::take(&writable).is_none());
        // And a stream that one worker gives to the other within a call of a stub.
        let main = api.main();
        let takes = jackfield::client::function(move |args: Vec<JsValue>| {
            let main = main.clone();
            async move { Ok(main.call("take", [args[0].clone()]).await?) }
        });
        let given = soon(other.call("giveSlowly", [70_000.into()])).await.unwrap();
        assert_eq!(soon(other.call("call", [takes, given.clone()])).await.unwrap(), 70_000.into());
        assert!(ReadableStream::take(&given).is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_ended_when_its_reader_says_so() {
    both(|api| async move {
        let (main, other) = (api.main(), api.apart().await);
        let key = format!("apart later {}", api.way);
        let writable = soon(main.call("writableLater", [key.as_str().into()])).await.unwrap();
        let write = other.call("write", [writable, 300_000.into()]);
        let written = tokio::spawn(async { soon(write).await });
        assert_eq!(api.journal(&key, 1).await, ["began"]);
        soon(main.call("noted", [format!("{key} open").into()])).await.unwrap();
        assert_eq!(written.await.unwrap().unwrap(), 300_000.into());
        assert_eq!(api.journal(&key, 2).await[1], "300000");
    })
    .await;
}
