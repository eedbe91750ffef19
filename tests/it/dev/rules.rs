//! Modules that are no sources: texts, bytes and WebAssembly.

use serde_json::json;

use super::refused::{HEAD, refused};
use super::{dev, fetch};

const MAIN: &str = r#"
import note from "./note.md";
import shader from "./shaders/one.glsl";
import bytes from "./data.dat";
import more from "./data.bin";
import text from "./text.txt";
import program from "./program.wsm";
export default {
    fetch() {
        const list = [bytes, more].map((data) => [data instanceof ArrayBuffer, ...new Uint8Array(data)]);
        const module = program instanceof WebAssembly.Module;
        return Response.json({ note, shader, list, text, module });
    },
};
"#;

const RULES: &str = r#""rules": [
    { "type": "Text", "globs": ["**/*.md", "shaders/*.glsl"], "fallthrough": true },
    { "type": "ESModule", "globs": ["**/*.js"] },
    { "type": "Data", "globs": ["**/*.dat"], "fallthrough": true },
    { "type": "CompiledWasm", "globs": ["**/*.wsm"] }
  ]"#;

/// An empty module.
const WASM: &str = "\0asm\u{1}\0\0\0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_what_the_rules_say() {
    let config = format!("{{ {HEAD}, {RULES} }}");
    let files = [
        ("wrangler.jsonc", config.as_str()),
        ("src/index.ts", MAIN),
        ("src/note.md", "a note"),
        ("src/shaders/one.glsl", "a shader"),
        ("src/data.dat", "\u{1}\0"),
        ("src/data.bin", "\0\u{2}"),
        ("src/text.txt", "a text"),
        ("src/program.wsm", WASM),
    ];
    let mut up = dev(&files, &[]).await;
    let mut wanted = json!({
        "note": "a note", "shader": "a shader", "list": [[true, 1, 0], [true, 0, 2]], "text": "a text", "module": true
    });
    assert_eq!(fetch(&up).await, wanted);
    up.write("src/data.dat", "\u{1}\u{7}");
    assert_eq!(up.event("reloaded").await["restarted"], json!(["web"]));
    wanted["list"][0] = json!([true, 1, 7]);
    assert_eq!(fetch(&up).await, wanted);

    // A rule that does not fall through is the last of its kind.
    up.write(
        "wrangler.jsonc",
        &config.replace("\"shaders/*.glsl\"], \"fallthrough\": true", "\"**/*.glsl\"]"),
    );
    let failed = up.event("reload_failed").await["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        failed.contains("`src/text.txt` is imported, and the rule for such files is ignored"),
        "{failed}"
    );
    assert_eq!(fetch(&up).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_followed_are_named() {
    let rules = [
        r#"{ "type": "Text", "globs": ["**/*.js"] }"#,
        r#"{ "type": "Data", "globs": ["**/*.md"], "fallthrough": true }"#,
        r#"{ "type": "Text", "globs": ["**/*.md"] }"#,
        r#"{ "type": "Text", "globs": ["a/b.md"] }"#,
        r#"{ "type": "PythonModule", "globs": ["**/*.py"] }"#,
    ];
    let config = format!("{{ {HEAD}, \"rules\": [\n{}\n] }}", rules.join(",\n"));
    let (code, said) = refused(("wrangler.jsonc", &config), &[]).await;
    assert_eq!(code, 2, "{said}");
    for part in [
        "wrangler.jsonc:2:29: this rule cannot be followed",
        "wrangler.jsonc:5:29: this rule cannot be followed",
        "wrangler.jsonc:6:1: there are no rules of the type `PythonModule` here",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}
