//! What is wrong with a project and only workerd can tell, found before anything of it runs.

use std::time::Duration;

use jackfield::session::{Exports, Project, SurveyError, Times, survey};

use crate::support::sessions::Bench;
use crate::support::workerd::workerd_path;

const WORKER: &str = "export default { fetch() { return new Response('hi'); } };\n";

const API: &str = r#"
import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from "cloudflare:workers";
console.log = () => {};
class Base extends DurableObject {}
export class Room extends Base {}
export class Old { fetch() {} }
export class Admin extends WorkerEntrypoint {}
export class Work extends WorkflowEntrypoint { run() {} }
export const plain = { fetch() {} };
export default class extends WorkerEntrypoint {}
"#;

async fn look(bench: &Bench) -> Result<Project, SurveyError> {
    survey(&bench.host(workerd_path(), Times::default()), bench.project(), None).await
}

/// The whole message, with the temporary folder cut out.
async fn complaint(project: &str, files: &[(&str, &str)]) -> String {
    let bench = Bench::new(project, files);
    let said = look(&bench).await.unwrap_err().to_string();
    assert!(bench.states.now().is_empty() && bench.generation_files().is_empty());
    said.replace(&format!("{}/", bench.folder.path().canonicalize().unwrap().display()), "")
}

#[tokio::test]
async fn dates_flags_and_scripts_are_refused_with_their_place() {
    let project = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
compatibility_flags = [
    "streams_enable_constructors",
    "nodejs_compta",
    "zzz",
]
[sessions.both]
script = "web.js"
compatibility_date = "2024-01-01"
compatibility_flags = ["nodejs_compat", "no_nodejs_compat"]
[sessions.late]
script = "web.js"
compatibility_date = "9999-12-31"
[sessions.broken]
script = "broken.js"
compatibility_date = "2026-11-01"
[sessions.thrower]
modules = ["thrower.js"]
compatibility_date = "2026-11-01"
"##;
    let thrower = "function f() { throw new TypeError('oh\\nno'); }\nf();\nexport default {};\n";
    let files =
        [("web.js", WORKER), ("broken.js", "export default {\n  this is wrong"), ("thrower.js", thrower)];
    let said = complaint(project, &files).await;
    let found: Vec<_> = said.split("jackfield.toml:").skip(1).collect();
    let expected: [(&str, &[&str]); 6] = [
        ("7:5: this workerd knows no compatibility flag `nodejs_compta`", &["did you mean `nodejs_compat`?"]),
        ("8:5: this workerd knows no compatibility flag `zzz`", &["compatibility-flags/"]),
        ("13:41: the compatibility flag `no_nodejs_compat` cannot stand here", &["contradictory"]),
        ("16:22: this workerd cannot take the compatibility date `9999-12-31`", &["use an earlier date"]),
        ("18:10: `broken.js` of session `broken` cannot be loaded", &["SyntaxError", "at broken.js:2:"]),
        ("21:12: `thrower.js` of session `thrower` cannot be loaded", &["TypeError: oh\n  no", "in f"]),
    ];
    assert_eq!(found.len(), expected.len(), "{said}");
    for (found, (first, parts)) in found.iter().zip(expected) {
        assert_eq!(found.lines().next(), Some(first), "{said}");
        assert!(parts.iter().all(|part| found.contains(part)), "{found}");
    }
    assert!(!said.contains("streams_enable_constructors"), "what workerd only warns of: {said}");
    assert!(!said.lines().any(|line| line.contains("zzz") && line.contains("did you mean")), "{said}");
}

#[tokio::test]
async fn links_and_classes_name_what_there_is() {
    let project = r##"
[sessions.web]
script = "web.js"
compatibility_date = "2026-11-01"
[sessions.web.services]
GOOD = "api#Admin"
PLAIN = "api#plain"
API = "api#Admim"
ROOM = { target = "api", entrypoint = "Room" }
NONE = "only"
[sessions.api]
script = "api.js"
compatibility_date = "2026-11-01"
[sessions.api.durable_objects]
Room = "stored"
Old = "ephemeral"
Rom = "ephemeral"
Admin = "ephemeral"
[sessions.only]
script = "only.js"
compatibility_date = "2026-11-01"
"##;
    let files = [("web.js", WORKER), ("api.js", API), ("only.js", "export const Named = { fetch() {} };\n")];
    let expected = "\
jackfield.toml:8:7: session `api` exports no entrypoint `Admim`
  its entrypoints: default, Admin, Work, plain
  did you mean `api#Admin`?
jackfield.toml:9:39: session `api` exports no entrypoint `Room`
  `Room` is a Durable Object class: link it under `actors`, or let it extend WorkerEntrypoint
jackfield.toml:10:8: session `only` has no default export to call
  name another of its entrypoints, like `only#Name`; there are: Named
jackfield.toml:17:1: session `api` exports no Durable Object class `Rom`
  classes that its main module exports: Old, Room
  did you mean `Room`?
jackfield.toml:18:1: session `api` exports no Durable Object class `Admin`
  `Admin` does not extend DurableObject";
    assert_eq!(complaint(project, &files).await, expected);
}

#[tokio::test]
async fn exports_are_known_whatever_modules_are_called_and_not_asked_for_twice() {
    let project = r##"
[sessions.old]
modules = ["a b/ma%20in.js", "part.js"]
compatibility_date = "2022-01-01"
[sessions."new@x"]
modules = ["a b/ma%20in.js", "part.js"]
compatibility_date = "2026-11-01"
compatibility_flags = ["new_module_registry"]
"##;
    let bench = Bench::new(project, &[("part.js", "export const named = { fetch() {} };")]);
    std::fs::create_dir(bench.folder.path().join("a b")).unwrap();
    bench.write("a b/ma%20in.js", "export * from '../part.js';\nexport default { fetch() {} };\n");
    let first = look(&bench).await.unwrap();
    let exports = Exports {
        default: true,
        entrypoints: ["named".to_owned()].into(),
        handlers: Some([].into()),
        ..Exports::default()
    };
    for spec in &first.sessions {
        assert_eq!(spec.exports.as_deref(), Some(&exports), "{}", spec.name);
        assert!(spec.entrypoints.contains("named"), "it gets an HTTP socket");
    }
    // An executable that fails: it is not asked.
    let host = bench.host(std::path::Path::new("/bin/false"), Times::default());
    let again = survey(&host, bench.project(), Some(&first)).await.unwrap();
    assert_eq!(again.sessions, first.sessions);
    bench.write("part.js", "export const other = { fetch() {} };");
    let said = survey(&host, bench.project(), Some(&first)).await.unwrap_err().to_string();
    assert_eq!(said, "workerd cannot load the sessions: it ended with status 1");
}

#[tokio::test]
async fn a_script_that_never_ends_is_named() {
    let project = "
[sessions.hang]
script = 'hang.js'
compatibility_date = '2026-11-01'
[sessions.web]
script = 'web.js'
compatibility_date = '2026-11-01'
";
    let bench = Bench::new(project, &[("web.js", WORKER), ("hang.js", "for (;;);\nexport default {};")]);
    let times = Times { start: Duration::from_millis(500), ..Times::default() };
    let said = survey(&bench.host(workerd_path(), times), bench.project(), None).await.unwrap_err();
    assert!(
        said.to_string()
            .starts_with("the script of session `hang` is not loaded after 500ms; look for a loop"),
        "{said}"
    );
}
