//! Calls, properties, paths, stubs, and calls on what is not there yet.

use jackfield::client::CallError;
use jackfield::wire::v8::JsValue;

use super::ways::{Api, both, soon, stub};

#[tokio::test(flavor = "multi_thread")]
async fn methods_properties_and_paths() {
    both(|api| async move {
        let main = api.main();
        assert_eq!(soon(main.call("add", [1.into(), 2.into()])).await.unwrap(), 3.into());
        assert_eq!(soon(main.call("count", [])).await.unwrap(), 0.into());
        assert_eq!(soon(main.call("nothing", [])).await.unwrap(), JsValue::UNDEFINED);
        assert_eq!(soon(main.get("answer")).await.unwrap(), 42.into());
        assert_eq!(soon(main.get(["obj", "deep", "v"])).await.unwrap(), 7.into());
        assert_eq!(soon(main.call(["obj", "deep", "method"], [4.into()])).await.unwrap(), 8.into());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stubs_are_called_cloned_and_passed_on() {
    both(|api| async move {
        let main = api.main();
        let counter = stub(&soon(main.call("counter", [5.into()])).await.unwrap());
        assert_eq!(soon(counter.call("increment", [])).await.unwrap(), 6.into());
        assert_eq!(soon(counter.clone().get("value")).await.unwrap(), 6.into());
        let other = stub(&soon(counter.call("another", [1.into()])).await.unwrap());
        assert_eq!(soon(other.get("value")).await.unwrap(), 1.into());
        let used = main.call("use", [counter.clone().into(), 10.into()]);
        assert_eq!(soon(used).await.unwrap(), 16.into());
        let there_and_back = soon(main.call("echo", [counter.clone().into()])).await.unwrap();
        assert_eq!(soon(stub(&there_and_back).call("increment", [])).await.unwrap(), 17.into());

        let function = stub(&soon(main.call("func", ["none".into()])).await.unwrap());
        assert_eq!(soon(function.invoke([6.into(), 7.into()])).await.unwrap(), 42.into());
        let boxed = soon(main.call("boxed", ["none".into()])).await.unwrap();
        let (first, second) = (boxed.get("counter").unwrap(), boxed.get("list").unwrap().at(0).unwrap());
        assert_eq!(soon(stub(&first).get("value")).await.unwrap(), 5.into());
        assert_eq!(soon(stub(&second).get("value")).await.unwrap(), 6.into());
        assert_eq!(boxed.get("plain"), Some("p".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_what_is_not_there_yet() {
    both(|api| async move {
        let main = api.main();
        let counter = main.call("counter", [5.into()]);
        let (one, two) = (counter.call("increment", []), counter.call("increment", [10.into()]));
        let value = counter.get("value");
        let third = counter.call("another", [100.into()]).call("another", [7.into()]).get("value");
        // Sent in this order, awaited in another.
        assert_eq!(soon(value).await.unwrap(), 16.into());
        assert_eq!(soon(two).await.unwrap(), 16.into());
        assert_eq!(soon(one).await.unwrap(), 6.into());
        assert_eq!(soon(third).await.unwrap(), 7.into());
        let mut counter = counter;
        let there = stub(&soon(&mut counter).await.unwrap());
        assert_eq!(soon(there.get("value")).await.unwrap(), 16.into());
        // The promise is still something to call.
        assert_eq!(soon(counter.get("value")).await.unwrap(), 16.into());

        assert_eq!(soon(main.call("func", []).invoke([3.into(), 3.into()])).await.unwrap(), 9.into());
        let within = main.call("boxed", []).call(["counter", "increment"], []);
        assert_eq!(soon(within).await.unwrap(), 6.into());
        let wrong = main.call("counter", [1.into()]).call("fail", ["on purpose".into()]);
        let error = soon(wrong).await.unwrap_err();
        assert_eq!(error.thrown().unwrap().to_string(), "RangeError: on purpose");
        let error = soon(main.call("fail", ["typeError".into()]).get("value")).await.unwrap_err();
        assert_eq!(error.to_string(), "TypeError: bad type");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_arrive_as_they_are() {
    both(|api| async move {
        let mut seen = Vec::new();
        for value in values() {
            let back = soon(api.main().call("echo", [value.clone()])).await.unwrap();
            assert_eq!(back, value);
            seen.push(soon(api.main().call("describe", [value])).await.unwrap());
        }
        seen
    })
    .await;
}

/// Every kind that a worker can make, as it wrote them itself: read here, sent, and read again.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_workers_come_back() {
    use crate::v8::{is_echo, recorded};
    both(|api| async move {
        let mut seen = Vec::new();
        for one in recorded::workerd() {
            // An error that causes itself, in the form that workers had before, is one that this worker cannot send.
            if !one.externals.is_empty() || one.name.ends_with(", before") {
                continue;
            }
            let back = soon(api.main().call("echo", [one.value()])).await;
            let back = back.unwrap_or_else(|error| panic!("{}: {error}", one.name));
            assert!(is_echo(&back, &one.value()), "{}: {back:?}", one.name);
            seen.push(format!("{}: {back:?}", one.name));
        }
        assert!(seen.len() > 50, "{} kinds", seen.len());
        seen
    })
    .await;
}

fn values() -> Vec<JsValue> {
    use jackfield::wire::v8::{ArrayBuffer, BigInt, Element};
    let big: BigInt = "-123456789012345678901234567890".parse().unwrap();
    let buffer = JsValue::from(ArrayBuffer { bytes: vec![1, 2, 3, 4].into(), max_len: None });
    vec![
        JsValue::UNDEFINED,
        JsValue::NULL,
        true.into(),
        (-0.0).into(),
        f64::NAN.into(),
        f64::INFINITY.into(),
        (-1).into(),
        1e300.into(),
        "".into(),
        "naïve 你好 😀".into(),
        JsValue::from_utf16(&[0xd800, 0x61]),
        big.into(),
        JsValue::date(86_400_000.0),
        JsValue::reg_exp("a+", "gi").unwrap(),
        JsValue::array([1, 2, 3]),
        JsValue::array([JsValue::from("a"), JsValue::array([JsValue::NULL])]),
        JsValue::object([("a", JsValue::from(1)), ("b", JsValue::object([("c", "d")]))]),
        JsValue::map([("k", 1), ("l", 2)]),
        JsValue::set(["x", "y"]),
        JsValue::bytes(vec![1, 2, 3]),
        buffer.clone(),
        JsValue::typed(Element::Uint16, &buffer, 2, Some(2)).unwrap(),
        JsValue::boxed("text").unwrap(),
        JsValue::from("x".repeat(100_000).as_str()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_of_nothing_callable_says_so() {
    both(|api: Api| async move {
        let mut sum = api.main().call("add", [1.into(), 2.into()]);
        let early = soon(sum.call("increment", [])).await.unwrap_err();
        assert!(matches!(&early, CallError::Thrown(_)), "{early}");
        soon(&mut sum).await.unwrap();
        early.to_string()
    })
    .await;
}
