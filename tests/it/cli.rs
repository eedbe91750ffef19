//! The command line as its users see it, against an operator that stands for the daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jackfield::control::server;
use jackfield::session::runtime_dir::RuntimeDir;
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::operator::Desk;
use crate::support::snapshot;

const DEADLINE: Duration = Duration::from_secs(30);

/// A project in a folder of its own, with or without a daemon.
struct Bench {
    folder: tempfile::TempDir,
    /// The locked folder, and what ends the server.
    daemon: Option<(RuntimeDir, DropGuard)>,
}

/// How a command ended.
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    fn without_daemon() -> Self {
        let folder = tempfile::Builder::new().prefix("jf").tempdir_in("/tmp").unwrap();
        std::fs::write(folder.path().join("jackfield.toml"), "").unwrap();
        std::fs::create_dir_all(folder.path().join("deep/inside")).unwrap();
        Self { folder, daemon: None }
    }

    fn with_daemon() -> Self {
        let mut bench = Self::without_daemon();
        let file = bench.folder.path().join("jackfield.toml");
        let runtime = RuntimeDir::claim_in(&bench.base(), &file).unwrap();
        let listener = server::bind(&RuntimeDir::control_socket(runtime.folder())).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, Arc::new(Desk::new()), stop.clone()));
        bench.daemon = Some((runtime, stop.drop_guard()));
        bench
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
        command
            .args(words)
            .env_clear()
            .env("JACKFIELD_RUNTIME_DIR", self.base())
            // No session of whoever runs the tests.
            .env("CLOUDFLARE_DEV_REGISTRY_PATH", self.base().join("registry"))
            .env("XDG_CONFIG_HOME", self.base().join("config"))
            .env("XDG_STATE_HOME", self.base().join("state"))
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, words: &[&str]) -> Outcome {
        self.finish(self.command(words)).await
    }

    async fn finish(&self, mut command: Command) -> Outcome {
        let output =
            tokio::time::timeout(DEADLINE, command.output()).await.expect("the command hangs").unwrap();
        let clean = |bytes| self.clean(&String::from_utf8(bytes).unwrap());
        Outcome { code: output.status.code().unwrap(), out: clean(output.stdout), err: clean(output.stderr) }
    }

    /// Takes out what differs from run to run.
    fn clean(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let mut text = text
            .replace(folder.to_str().unwrap(), "[FOLDER]")
            .replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        // The name of the project's folder under `run` is a hash of where the test happens to be.
        while let Some(at) =
            text.find("run/").filter(|at| text[at + 4..].starts_with(|c: char| c.is_ascii_hexdigit()))
        {
            text.replace_range(at..at + 4 + 12, "[RUN]");
        }
        let text = text.replace("\"at_ms\":", "\"since_ms\":");
        let mut words: Vec<String> = text.split("\"since_ms\":").map(str::to_owned).collect();
        for word in words.iter_mut().skip(1) {
            *word = format!("[TIME]{}", word.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        words.join("\"since_ms\":")
    }

    /// Runs commands one after the other and compares all that they say.
    async fn snapshot(&self, name: &str, commands: &[&[&str]]) {
        let mut text = String::new();
        for words in commands {
            let Outcome { code, out, err } = self.run(words).await;
            let out = if out.is_empty() { out } else { format!("-- stdout\n{out}") };
            let err = if err.is_empty() { err } else { format!("-- stderr\n{err}") };
            text.push_str(&format!("$ jackfield {}\n{out}{err}-- exit code {code}\n\n", words.join(" ")));
        }
        snapshot::check(name, &text);
    }
}

#[tokio::test]
async fn help_says_what_there_is() {
    let bench = Bench::without_daemon();
    let commands: &[&[&str]] = &[
        &[],
        &["--help"],
        &["up", "--help"],
        &["reload", "--help"],
        &["ls", "--help"],
        &["links", "--help"],
        &["explain", "--help"],
        &["retarget", "--help"],
        &["down", "--help"],
        &["doctor", "--help"],
        &["completions", "--help"],
        &["--version"],
    ];
    bench.snapshot("help", commands).await;
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    let bench = Bench::without_daemon();
    for (shell, part) in
        [("bash", "complete -F _jackfield"), ("zsh", "#compdef jackfield"), ("fish", "complete -c jackfield")]
    {
        let Outcome { code, out, err } = bench.run(&["completions", shell]).await;
        assert!(
            code == 0 && err.is_empty() && out.contains(part) && out.contains("retarget"),
            "{shell}: {err}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_says_what_is_the_matter_and_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::with_daemon();
    let registry = bench.base().join("registry");
    std::fs::create_dir(&registry).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let entry = serde_json::json!({
        "debugPortAddress": free.to_string(), "defaultEntrypointService": "a", "userWorkerService": "a"
    });
    std::fs::write(registry.join("late"), entry.to_string()).unwrap();
    std::fs::write(registry.join("old"), r#"{"protocol":"http","host":"localhost","port":1}"#).unwrap();
    let left = bench.base().join("0123456789ab");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("lock"), "2147483647\n/gone/jackfield.toml\n").unwrap();
    let told = |out: &str| -> Vec<(String, String, String)> {
        let told: serde_json::Value = serde_json::from_str(out).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let checks = told["checks"].as_array().unwrap();
        checks
            .iter()
            .map(|check| (text(&check["mark"]), text(&check["topic"]), text(&check["what"])))
            .collect()
    };
    let doctor = || async {
        let mut command = bench.command(&["doctor", "--json"]);
        command.env("JACKFIELD_WORKERD", crate::support::workerd::workerd_path());
        command.env("JACKFIELD_INGRESS_PORT", "none");
        bench.finish(command).await
    };
    let Outcome { code, out, .. } = doctor().await;
    let all = told(&out);
    for (mark, topic, part) in [
        ("ok", "workerd", "named by JACKFIELD_WORKERD"),
        ("warning", "node", "not on PATH"),
        ("ok", "folder", "for this user alone"),
        ("warning", "folder", "was left by a daemon of /gone/jackfield.toml"),
        ("warning", "daemon", "it is version 0.0.0"),
        ("error", "ports", "JACKFIELD_INGRESS_PORT is `none`"),
        ("warning", "registry", "late is registered at"),
        ("warning", "registry", "written by a version without a debug port"),
    ] {
        let fits = |(a, b, c): &(String, String, String)| a == mark && b == topic && c.contains(part);
        assert!(all.iter().any(fits), "{mark} {topic} {part}: {out}");
    }
    assert_eq!(code, 1);
    std::fs::set_permissions(bench.base(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(told(&doctor().await.out).iter().any(|(mark, topic, what)| {
        mark == "error" && topic == "folder" && what.contains("others may enter it")
    }));
}

#[tokio::test]
async fn wrong_words_are_refused_before_anything_happens() {
    let bench = Bench::without_daemon();
    let commands: &[&[&str]] = &[
        &["link"],
        &["ls", "--jsno"],
        &["retarget", "web/API"],
        &["retarget", "web/API", "api@green", "web/B"],
        &["retarget", "API", "api@green"],
        &["retarget", "web/API", "../api"],
        &["retarget", "web/API", "api", "--props", "[]"],
        &["retarget", "web/API", "api", "web/B", "api", "--entrypoint", "X"],
        &["up", "--grace", "-1"],
        &["up", "one.toml", "--file", "two.toml"],
        &["ls", "--file", "nowhere/jackfield.toml"],
        &["ls"],
        &["ls", "--json"],
    ];
    bench.snapshot("refused", commands).await;
    let mut outside = bench.command(&["ls"]);
    outside.current_dir("/");
    let Outcome { code, err, .. } = bench.finish(outside).await;
    assert_eq!(
        (code, err.lines().next()),
        (
            3,
            Some(
                "error: nothing runs: no daemon answers, and there is no jackfield.toml in / or a folder above it"
            )
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_tables_for_people_and_json_for_programs() {
    let bench = Bench::with_daemon();
    let commands: &[&[&str]] = &[&["ls"], &["ls", "--json"], &["links"], &["links", "--json"]];
    bench.snapshot("lists", commands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explanations_name_the_rule_and_everybody_who_was_not_taken() {
    let bench = Bench::with_daemon();
    let commands: &[&[&str]] = &[
        &["explain", "web/API"],
        &["explain", "web/api", "--json"],
        &["explain", "web/ROOMS"],
        &["explain", "site/api"],
        &["explain", "site/web"],
        &["explain", "site/wbe"],
        &["explain", "site/old"],
        &["explain", "api@blue"],
        &["explain", "site"],
        &["explain", "api"],
        &["explain", "wbe/API"],
        &["explain", "web/APL"],
        &["explain", "web/"],
    ];
    bench.snapshot("explain", commands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_say_what_came_of_them() {
    let bench = Bench::with_daemon();
    let commands: &[&[&str]] = &[
        &["retarget", "web/API", "api@green#Admin", "--props", r#"{"n":1}"#],
        &["retarget", "web/API", "api@green", "web/ROOMS", "api@green#Room", "--cut", "--wait"],
        &["retarget", "web/API", "api@blue", "--json"],
        &["retarget", "web/APO", "api@green"],
        &["retarget", "web/APO", "api@green", "--json"],
        &["retarget", "web/ROOMS", "api@green"],
        &["reload"],
        &["reload", "--json"],
        &["down"],
        &["down", "--json"],
    ];
    bench.snapshot("changes", commands).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_found_from_below_and_by_name() {
    let bench = Bench::with_daemon();
    let mut below = bench.command(&["ls", "--json"]);
    below.current_dir(bench.folder.path().join("deep/inside"));
    let mut named = bench.command(&["-f", bench.folder.path().to_str().unwrap(), "ls", "--json"]);
    named.current_dir("/");
    for command in [below, named] {
        let Outcome { code, out, err } = bench.finish(command).await;
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("api@green"), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_found_when_its_file_is_gone_and_listed_where_none_is_meant() {
    let bench = Bench::with_daemon();
    let file = bench.folder.path().canonicalize().unwrap().join("jackfield.toml");
    std::fs::remove_file(&file).unwrap();
    let mut below = bench.command(&["ls", "--json"]);
    below.current_dir(bench.folder.path().join("deep/inside"));
    let mut named = bench.command(&["ls", "--json", "--file", file.to_str().unwrap()]);
    named.current_dir("/");
    let mut of_folder = bench.command(&["ls", "--json", "--file", file.parent().unwrap().to_str().unwrap()]);
    of_folder.current_dir("/");
    for command in [below, named, of_folder] {
        let Outcome { code, out, err } = bench.finish(command).await;
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("api@green"), "{out}");
    }
    let mut outside = bench.command(&["down"]);
    outside.current_dir("/");
    let said = bench.finish(outside).await.err;
    assert!(said.contains("daemons run for [FOLDER]/jackfield.toml"), "{said}");
    let Outcome { code, err, .. } = bench.run(&["down", "--file", "other.toml"]).await;
    assert_eq!(code, 2);
    assert!(err.starts_with("error: there is no [FOLDER]/other.toml, and no daemon runs for it\n"), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colour_is_for_terminals_unless_asked_for() {
    let bench = Bench::with_daemon();
    let coloured = |out: &str| out.contains('\u{1b}');
    assert!(!coloured(&bench.run(&["ls"]).await.out));
    let mut forced = bench.command(&["ls"]);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(coloured(&bench.finish(forced).await.out));
    let mut never = bench.command(&["ls"]);
    never.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!coloured(&bench.finish(never).await.out));
}
