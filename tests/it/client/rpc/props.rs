//! Entrypoints by their names, with props.

use jackfield::wire::v8::JsValue;
use serde_json::json;

use super::ways::{both, soon};

#[tokio::test(flavor = "multi_thread")]
async fn workers_find_their_props() {
    both(|api| async move {
        let none: [(&str, JsValue); 0] = [];
        assert_eq!(soon(api.main().call("props", [])).await.unwrap(), JsValue::object(none));
        let props = json!({ "tenant": 7, "deep": { "list": [1, null, "é"] }, "": true });
        let list = JsValue::array([1.into(), JsValue::NULL, "é".into()]);
        let expected =
            [("tenant", JsValue::from(7)), ("deep", JsValue::object([("list", list)])), ("", true.into())];
        for name in [None, Some("Named")] {
            let entrypoint = api.with_props(name, props.clone());
            // They are of the entrypoint, and so of each event on it.
            for _ in 0..2 {
                let found = soon(entrypoint.call("props", [])).await.unwrap();
                let found: Vec<_> = expected.iter().map(|(key, _)| found.get(key)).collect();
                assert_eq!(found, expected.clone().map(|(_, value)| Some(value)), "{name:?}");
            }
            let deep = soon(entrypoint.call("props", []).get(["deep", "list"])).await.unwrap();
            assert_eq!(deep.at(2), Some("é".into()));
        }
        let other = api.with_props(Some("Named"), json!({ "tenant": 8 }));
        assert_eq!(soon(other.call("props", []).get("tenant")).await.unwrap(), 8.into());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_there_says_so() {
    both(|api| async move {
        let error = soon(api.with_props(Some("Nope"), json!({})).call("props", [])).await.unwrap_err();
        assert!(error.to_string().contains(r#"does not export an entrypoint named "Nope""#), "{error}");
        error.to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_says_so() {
    both(|api| async move {
        let nope = api.session.entrypoint("nope", None, None);
        let error = soon(nope.call("add", [])).await.unwrap_err().to_string();
        assert!(error.contains("nope"), "{error}");
        let advice = if api.way == "direct" { "names of the process's services" } else { "link" };
        assert!(error.contains(advice), "{error}");
    })
    .await;
}
