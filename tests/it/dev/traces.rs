//! What a worker writes of its errors names the files that its author has written.

use serde_json::json;

use super::{dev, fetch, line};

/// The type above the function is gone from the bundle, so that lines of the two differ.
const DEEP: &str = "interface Thing {
    name: string;
}

export function fail(thing: Thing): never {
    throw new RangeError(`too far: ${thing.name}`);
}
";

const MAIN: &str = r#"import { fail } from "./lib/deep";
export default {
    fetch(): Response {
        try {
            fail({ name: "me" });
        } catch (error) {
            console.error(error);
        }
        return Response.json({});
    },
};
"#;

const CONFIG: &str = r#"{ "name": "site", "main": "src/index.ts", "compatibility_date": "2026-11-01" }"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_traces_point_into_the_sources_of_each_generation() {
    let files = [("wrangler.jsonc", CONFIG), ("src/index.ts", MAIN), ("src/lib/deep.ts", DEEP)];
    let mut up = dev(&files, &[]).await;
    assert_eq!(fetch(&up).await, json!({}));
    assert_eq!(line(&mut up, "RangeError").await, "RangeError: too far: me");
    assert_eq!(line(&mut up, "    at ").await, "    at fail (src/lib/deep.ts:6:11)");
    assert_eq!(line(&mut up, "    at ").await, "    at Object.fetch (src/index.ts:5:13)");

    // The bundle stays as it is, and so does the process; only where its parts come from is another place.
    up.write("src/lib/deep.ts", &format!("// A line more.\n{DEEP}"));
    assert_eq!(up.event("reloaded").await["restarted"], json!([]));
    assert_eq!(fetch(&up).await, json!({}));
    assert_eq!(line(&mut up, "    at ").await, "    at fail (src/lib/deep.ts:7:11)");
    assert_eq!(line(&mut up, "    at ").await, "    at Object.fetch (src/index.ts:5:13)");

    let longer = MAIN.replace("        try {", "        console.info(\"it begins\");\n        try {");
    up.write("src/index.ts", &longer);
    assert_eq!(up.event("reloaded").await["restarted"], json!(["site"]));
    assert_eq!(fetch(&up).await, json!({}));
    assert_eq!(line(&mut up, "    at ").await, "    at fail (src/lib/deep.ts:7:11)");
    assert_eq!(line(&mut up, "    at ").await, "    at Object.fetch (src/index.ts:6:13)");
}
