//! What `dev` cannot run: said with its place before anything starts.

use super::{HELLO, WEB_MAIN, folder};
use crate::support::up::{DEADLINE, Up, command};

pub async fn refused(config: (&str, &str), words: &[&str]) -> (i32, String) {
    let folder = folder(&[config, ("src/index.ts", WEB_MAIN), ("src/hello.ts", HELLO)]);
    let words: Vec<_> = ["dev"].iter().chain(words).copied().collect();
    let output = tokio::time::timeout(DEADLINE, command(&folder, &words).output()).await.unwrap().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

pub const HEAD: &str = r#""name": "web", "main": "src/index.ts", "compatibility_date": "2026-11-01""#;

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_serves_is_named_with_its_place() {
    let jsonc = |rest: &str| format!("{{\n  {HEAD},\n{rest}\n}}");
    let cases: [(String, &[&str], &[&str]); 10] = [
        (
            jsonc(r#"  "r2_buckets": [{ "binding": "B" }], "ai": {}, "nmae": 1"#),
            &[],
            &[
                "wrangler.jsonc:3:3: `r2_buckets` cannot be used",
                "`--without r2_buckets`",
                "wrangler.jsonc:3:49: `nmae`",
                "did you mean `name`?",
            ],
        ),
        (
            jsonc(r#"  "kv_namespaces": [{ "binding": "K", "idd": "x" }]"#),
            &[],
            &["wrangler.jsonc:3:39", "`idd`"],
        ),
        (
            jsonc(r#"  "d1_databases": [{ "binding": "D", "database_id": "x", "remote": true }]"#),
            &[],
            &["wrangler.jsonc:3:20: this binding of `d1_databases` is remote", "`--without d1_databases`"],
        ),
        (
            jsonc(
                r#"  "dev": { "local_protocol": "https" }, "rules": [{ "type": "Data", "globs": ["a/*"] }]"#,
            ),
            &[],
            &["`dev.local_protocol` cannot be used", "this rule cannot be followed"],
        ),
        (
            jsonc(
                r#"  "services": { "binding": "K" }, "durable_objects": { "bindings": [{ "name": "A", "class": "B" }] }"#,
            ),
            &[],
            &[
                "wrangler.jsonc:3:15: `services` is no list",
                "`class` is not known here",
                "did you mean `class_name`?",
            ],
        ),
        (jsonc(r#"  "services": [{ "binding": "K" }]"#), &[], &["wrangler.jsonc:3:16", "not whole"]),
        (
            jsonc(r#"  "env": { "prod": {} }"#),
            &["--env", "prdo"],
            &["no environment `prdo`", "did you mean `prod`?"],
        ),
        (r#"{ "name" "web" }"#.to_owned(), &[], &["wrangler.jsonc:1:10: this is not JSON"]),
        (
            HEAD.replace("src/index.ts", "src/nope.ts").replacen('"', "{ \"", 1) + "}",
            &[],
            &["no file `src/nope.ts`"],
        ),
        (r#"{ "main": "src/index.ts" }"#.to_owned(), &[], &["has no name", "no compatibility date"]),
    ];
    for (text, words, parts) in cases {
        let (code, said) = refused(("wrangler.jsonc", &text), words).await;
        assert_eq!(code, 2, "{text}: {said}");
        for part in parts {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    let (code, said) = refused(("elsewhere.jsonc", "{}"), &[]).await;
    assert!(code == 2 && said.contains("there is no wrangler.jsonc, wrangler.json, wrangler.toml"), "{said}");
    let (code, said) = refused(("wrangler.json", "{}"), &["--listen", "0.0.0.0:80"]).await;
    assert!(code == 2 && said.contains("other machines"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_field_the_rest_runs() {
    let config = format!(
        "{{ {HEAD}, \"r2_buckets\": [{{ \"binding\": \"B\" }}], \"vars\": {{ \"GREETING\": \"hi\" }} }}"
    );
    let files = [("wrangler.json", config.as_str()), ("src/index.ts", WEB_MAIN), ("src/hello.ts", HELLO)];
    let up: Up = super::dev(&files, &["--without", "r2_buckets"]).await;
    assert_eq!(super::fetch(&up).await["greeting"], "<hi>");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_cannot_run_beside_each_other_are_named() {
    let worker = |name: &str, rest: &str| {
        format!(
            "{{\n  \"name\": \"{name}\", \"main\": \"i.js\", \"compatibility_date\": \"2026-11-01\",\n{rest}\n}}"
        )
    };
    let run = async |rest: &str, other: &str| {
        let (a, b) = (worker("a", rest), worker("b", rest));
        let folder = folder(&[("a.json", &a), (other, &b), ("i.js", INDEX)]);
        let output = command(&folder, &["dev", "a.json", other]).output();
        let output = tokio::time::timeout(DEADLINE, output).await.unwrap().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let port = super::free_port();
    let (code, said) = run(&format!("  \"dev\": {{ \"port\": {port} }}"), "b.json").await;
    assert!(code == 2 && said.contains("b.json:3:3: session `b` cannot be reached at 127.0.0.1:"), "{said}");
    let (code, said) = run(r#"  "kv_namespaces": [{ "binding": "K", "id": "x" }]"#, "b.json").await;
    assert!(
        code == 2 && said.contains("b.json:2:3: session `b` would keep its state where `a` does"),
        "{said}"
    );
}

const INDEX: &str = "export default { fetch() { return new Response() } };\n";
