use std::path::Path;

use super::*;

const WORKER: &str = "export default { fetch() { return new Response('hi'); } };\n";

fn load(text: &str, files: &[(&str, &str)]) -> Result<Project, ProjectError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, text).unwrap();
    Project::load(&file)
}

/// The whole message, with the temporary folder cut out.
fn complaint(text: &str, files: &[(&str, &str)]) -> String {
    let error = load(text, files).unwrap_err();
    let ProjectError::Invalid { file, .. } = &error else { panic!("{error}") };
    let folder = file.parent().map(Path::display).unwrap().to_string();
    error.to_string().replace(&format!("{folder}/"), "")
}

#[test]
fn a_whole_project() {
    let project = load(
        r##"
        [sessions.web]
        modules = ["src/web.js", "lib/text.txt"]
        compatibility_date = 2026-11-01
        vars = { GREETING = "hi", CONFIG = { json = true, n = [1, 0x10, 1.5] } }
        [sessions.web.services]
        API = "api@blue"
        ADMIN = { target = "api@blue", entrypoint = "Admin", props = { role = "x" }, accept_props = true }
        SELF = "web#default"
        [sessions.web.actors]
        ROOMS = "api@blue#Room"
        [sessions."api@blue"]
        script = "api.js"
        compatibility_date = "2026-11-01"
        [sessions."api@blue".durable_objects]
        Room = "stored"
        Lobby = { storage = "ephemeral", binding = "LOBBY" }
        "##,
        &[("src/web.js", WORKER), ("lib/text.txt", "text"), ("api.js", WORKER)],
    )
    .unwrap();
    let web = &project.sessions[0];
    let api = project.session(&"api@blue".parse().unwrap()).unwrap();
    assert_eq!(
        web.modules.iter().map(|module| &module.name).collect::<Vec<_>>(),
        ["src/web.js", "lib/text.txt"]
    );
    assert_eq!(api.modules[0].name, "api.js");
    assert_eq!(web.compatibility_date, "2026-11-01");
    assert_eq!(
        web.vars[0],
        ("CONFIG".into(), Var::Json(serde_json::json!({"json": true, "n": [1, 16, 1.5]})))
    );
    assert_eq!(web.services.iter().find(|link| link.binding == "SELF").unwrap().entrypoint, None);
    let accepting = web.services.iter().filter(|link| link.accepts_props).map(|link| &*link.binding);
    assert_eq!(accepting.collect::<Vec<_>>(), ["ADMIN"]);
    assert_eq!(api.entrypoints, BTreeSet::from(["Admin".to_owned()]));
    assert_eq!(web.actors[0].storage, Storage::Stored { unique_key: "api-Room".into() });
    assert!(api.stores_objects() && !web.stores_objects());
}

#[test]
fn every_problem_is_named_with_its_place_and_the_nearest_name() {
    let text = r##"
[sessions.web]
scrpt = "web.js"
script = "webb.js"
compatibility_date = "yesterday"
vars = { API = "x" }
[sessions.web.services]
API = "apx"
LIST = ["api"]
[sessions.web.actors]
ROOMS = "api#Rom"
HALLS = "api"
"1x" = "api#Room"
[sessions.api]
script = "api.ts"
compatibility_date = "2026-11-01"
[sessions.api.durable_objects]
Room = "store"
Hall = { storage = "ephemeral", unique_key = "k" }
[sessions."a/b"]
[sessions.old]
script = "old.js"
compatibility_date = "2026-11-01"
"##;
    let said = complaint(text, &[("web.js", WORKER), ("old.js", "addEventListener('fetch', () => {})")]);
    let expected = "\
jackfield.toml:2:11: session `web` has no valid compatibility date
  add `compatibility_date = \"YYYY-MM-DD\"`: it decides how workerd behaves, so it is never guessed
jackfield.toml:3:1: `scrpt` is not a key of a session
  known keys: script, modules, compatibility_date, compatibility_flags, listen, vars, services, actors, durable_objects
  did you mean `script`?
jackfield.toml:4:10: there is no file `webb.js`
  looked for webb.js
  did you mean `web.js`?
jackfield.toml:5:22: this is not a date
  write it as `\"YYYY-MM-DD\"`
jackfield.toml:8:1: the binding `API` of session `web` is declared twice
  vars, services, actors and bindings of own classes share one `env`; rename one of them
jackfield.toml:8:7: there is no session `apx`
  sessions of this file: api, old, web
  did you mean `api`?
";
    assert!(said.starts_with(expected), "{said}");
    for part in [
        "9:8: a service link must be a table\n  this has the type array",
        "11:9: session `api` has no class `Rom`\n  its classes: Hall",
        "12:9: the actor link `HALLS` names no class\n  write `\"api#Class\"`",
        "13:1: `1x` cannot be the name of a binding",
        "15:10: `api.ts` is not a kind of module that can be loaded\n  bundle it to JavaScript first",
        "18:8: `store` is no way to keep objects\n  use \"stored\" (on disk) or \"ephemeral\" (in memory)\n  did you mean `stored`?",
        "19:46: an ephemeral class has no unique key",
        "20:11: `a/b` cannot be the name of a session\n  `/` cannot stand here",
        "22:10: `old.js` is not an ES module that exports something",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
}

#[test]
fn broken_toml_has_its_place() {
    let said = complaint("[sessions.web]\nscript = \n", &[]);
    assert!(said.starts_with("jackfield.toml:2:10: this is not TOML\n"), "{said}");
    assert!(!said.contains("no script"), "{said}");
}

#[test]
fn names_that_differ_only_in_case_would_share_a_folder() {
    let session = "script = \"w.js\"\ncompatibility_date = \"2026-11-01\"\n";
    let said = complaint(&format!("[sessions.api]\n{session}[sessions.Api]\n{session}"), &[("w.js", WORKER)]);
    assert!(said.contains("4:11: the sessions `api` and `Api` differ only in case"), "{said}");
}

#[test]
fn nothing_declared() {
    assert!(complaint("", &[]).contains("1:1: no session is declared"));
    assert!(complaint("[sesions.web]\n", &[]).contains("did you mean `sessions`?"));
    let error = Project::load(Path::new("/nonexistent/jackfield.toml")).unwrap_err();
    assert!(error.to_string().contains("there is no such file"), "{error}");
}

#[test]
fn links_may_form_cycles_and_moving_one_keeps_the_process() {
    let text = |target: &str| {
        format!(
            "[sessions.a]\nscript = \"w.js\"\ncompatibility_date = \"2026-11-01\"\nservices = {{ B = \"{target}\" }}\n\
             [sessions.b]\nscript = \"w.js\"\ncompatibility_date = \"2026-11-01\"\nservices = {{ A = \"a\" }}\n"
        )
    };
    let files = [("w.js", WORKER)];
    let (old, new) = (load(&text("b"), &files).unwrap(), load(&text("a"), &files).unwrap());
    assert_ne!(old.sessions[0].services, new.sessions[0].services);
    // The files lie in two temporary folders.
    let mut moved = new.sessions[0].clone();
    moved.modules = old.sessions[0].modules.clone();
    assert!(old.sessions[0].serves_for(&moved));
    moved.vars.push(("X".into(), Var::Text("y".into())));
    assert!(!old.sessions[0].serves_for(&moved));
}

#[test]
fn a_session_listens_on_this_machine_alone_and_once() {
    let session = |name: &str, listen: &str| {
        format!(
            "[sessions.{name}]\nscript = \"a.js\"\ncompatibility_date = \"2026-11-01\"\nlisten = \"{listen}\"\n"
        )
    };
    let files = [("a.js", WORKER)];
    let project = load(&session("web", "127.0.0.1:8787"), &files).unwrap();
    assert_eq!(project.sessions[0].listen, "127.0.0.1:8787".parse().ok());
    for (listen, what) in [
        ("0.0.0.0:8787", "`0.0.0.0` could be reached from other machines"),
        ("192.168.1.2:80", "`192.168.1.2` could be reached from other machines"),
        ("127.0.0.1:0", "`127.0.0.1:0` has no port"),
        ("localhost:8787", "`localhost:8787` is no address"),
    ] {
        let said = complaint(&session("web", listen), &files);
        assert!(said.contains(&format!("jackfield.toml:4:10: {what}")), "{said}");
    }
    let two = session("web", "[::1]:8787") + &session("api", "[::1]:8787");
    let said = complaint(&two, &files);
    assert!(said.contains("jackfield.toml:8:10: session `web` listens at [::1]:8787 already"), "{said}");
}
