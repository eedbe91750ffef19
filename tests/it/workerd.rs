//! Finding and fetching workerd.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use jackfield::session::workerd::{
    FetchProgress, FetchStep, Options, Pin, Source, Workerd, WorkerdError, locate,
};
use sha2::{Digest, Sha512};
use tempfile::TempDir;

use crate::support::workerd::{workerd, workerd_path};

const ANSWERS: &str = "#!/bin/sh\necho 'workerd 2026-11-17'\n";
const BINARY: &str = "package/bin/workerd";

/// A machine of its own: a PATH, a project, a home and a cache that nobody else has.
struct Machine {
    root: TempDir,
    pin: Pin,
}

impl Machine {
    fn new() -> Self {
        Self::with_package(&[(BINARY, ANSWERS)])
    }

    /// The machine's registry holds one package with these members, and the pin agrees with it.
    fn with_package(members: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "project", "home"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let packed = pack(members);
        fs::write(root.path().join("registry.tgz"), &packed).unwrap();
        let pin = Pin {
            package: "@cloudflare/workerd-test".to_owned(),
            version: "1.20261117.1".to_owned(),
            label: "workerd-test".to_owned(),
            member: "package/bin/workerd",
            sha512: hex::encode(Sha512::digest(&packed)),
            packed_bytes: packed.len() as u64,
            binary_bytes: ANSWERS.len() as u64,
        };
        Self { root, pin }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        put_script(&self.at(name), text);
    }

    /// An npm that counts its calls, has nothing in its own cache, and then does what the script says.
    fn npm(&self, then: &str) {
        let calls = self.at("calls");
        self.script(
            "bin/npm",
            &format!(
                "#!/bin/sh\ncase \"$*\" in *--offline*) echo 'npm error code ENOTCACHED' >&2; exit 1;; esac\n\
                 echo \"$*\" >> '{}'\n{then}\n",
                calls.display()
            ),
        );
    }

    fn npm_that_works(&self) {
        self.npm(&format!("cp '{}' ./cloudflare-workerd-test.tgz", self.at("registry.tgz").display()));
    }

    fn options(&self) -> Options {
        let mut path = OsString::from(self.at("bin"));
        path.push(":/usr/bin:/bin");
        Options {
            explicit: None,
            path,
            project: self.at("project"),
            home: Some(self.at("home")),
            cache: Some(self.at("home/.cache/jackfield")),
            pin: self.pin.clone(),
        }
    }

    fn locate(&self) -> Result<Workerd, WorkerdError> {
        locate(&self.options(), &mut ())
    }

    /// How the search fails. Whatever the reason, the message shows a way out, and nothing stays behind.
    fn fails(&self) -> WorkerdError {
        let error = self.locate().unwrap_err();
        assert!(error.to_string().contains("JACKFIELD_WORKERD"), "{error}");
        assert_eq!(self.cached(), Vec::<String>::new());
        error
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.at("calls")).map_or(0, |calls| calls.lines().count())
    }

    fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at("home/.cache/jackfield")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "lock").collect()
    }
}

fn put_script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn pack(members: &[(&str, &str)]) -> Vec<u8> {
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, contents) in members {
        let mut header = tar::Header::new_gnu();
        // Written by hand, because the builder refuses the names that a hostile package would use.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        archive.append(&header, contents.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn the_real_one_is_found_and_answers() {
    let answer = std::process::Command::new(workerd_path()).arg("--version").output().unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(answer.trim(), format!("workerd {}", workerd().version));
}

#[test]
fn a_fetch_fills_the_cache_and_the_next_start_finds_it() {
    let machine = Machine::new();
    machine.npm_that_works();
    let fetched = machine.locate().unwrap();
    assert_eq!((fetched.source, fetched.version.as_str()), (Source::Fetched, "2026-11-17"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&machine.at("home/.cache/jackfield")), 0o700);
    assert_eq!(mode(&fetched.path), 0o755);
    assert_eq!(machine.cached().len(), 1, "nothing but the binary stays: {:?}", machine.cached());
    fs::remove_file(machine.at("bin/npm")).unwrap();
    let again = machine.locate().unwrap();
    assert_eq!((again.source, again.path), (Source::Cache, fetched.path));
}

#[test]
fn what_was_fetched_and_does_not_run_is_not_kept() {
    let broken = format!("{:1$}", "#!/bin/sh\nexit 1 #", ANSWERS.len());
    let machine = Machine::with_package(&[(BINARY, &broken)]);
    machine.npm_that_works();
    assert!(matches!(machine.fails(), WorkerdError::CannotRun { found: Source::Fetched, .. }));
}

#[test]
fn what_npm_has_already_needs_no_network() {
    let machine = Machine::new();
    let copy = format!("cp '{}' ./a.tgz", machine.at("registry.tgz").display());
    machine.script("bin/npm", &format!("#!/bin/sh\ncase \"$*\" in *--offline*) {copy};; *) exit 1;; esac\n"));
    assert_eq!(machine.locate().unwrap().source, Source::Fetched);
}

#[test]
fn a_cached_file_that_lost_its_end_is_fetched_anew() {
    let machine = Machine::new();
    machine.npm_that_works();
    let path = machine.locate().unwrap().path;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(7).unwrap();
    assert_eq!(machine.locate().unwrap().source, Source::Fetched);
    assert_eq!(fs::read_to_string(&path).unwrap(), ANSWERS);
}

#[test]
fn starts_at_the_same_time_fetch_once() {
    let machine = Machine::new();
    machine.npm_that_works();
    let found: Vec<Workerd> = thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| machine.locate().unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(machine.calls(), 1);
    assert_eq!(found.iter().filter(|found| found.source == Source::Fetched).count(), 1);
    assert!(found.iter().all(|each| each.path == found[0].path));
}

#[test]
fn what_a_dead_process_left_is_swept_up() {
    let machine = Machine::new();
    let left = machine.at("home/.cache/jackfield/fetch-1");
    fs::create_dir_all(left.join("npm")).unwrap();
    fs::set_permissions(left.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(left.join("half.tgz"), "half").unwrap();
    machine.npm_that_works();
    machine.locate().unwrap();
    assert!(!left.exists());
}

#[test]
fn every_step_is_shown_and_the_end_too() {
    #[derive(Default)]
    struct Seen(Vec<String>);
    impl FetchProgress for Seen {
        fn step(&mut self, step: FetchStep, total: u64) {
            self.0.push(format!("{step:?} of {total}"));
        }
        fn advance_to(&mut self, _: u64) {}
        fn finish(&mut self) {
            self.0.push("end".to_owned());
        }
    }
    let machine = Machine::new();
    machine.npm_that_works();
    let mut seen = Seen::default();
    locate(&machine.options(), &mut seen).unwrap();
    let (packed, binary) = (machine.pin.packed_bytes, machine.pin.binary_bytes);
    let downloading = "Downloading { package: \"@cloudflare/workerd-test\", version: \"1.20261117.1\" }";
    let expected = [
        format!("{downloading} of {packed}"),
        format!("Checking of {packed}"),
        format!("Unpacking of {binary}"),
        "end".to_owned(),
    ];
    assert_eq!(seen.0, expected);
}

#[test]
fn without_npm_the_error_says_what_to_install() {
    let machine = Machine::new();
    let mut options = machine.options();
    options.path = machine.at("bin").into();
    let error = locate(&options, &mut ()).unwrap_err();
    assert!(matches!(error, WorkerdError::NoNpm { .. }), "{error}");
    assert!(error.to_string().contains("install Node.js with npm"), "{error}");
}

#[test]
fn without_network_npm_is_quoted() {
    let machine = Machine::new();
    machine.npm("echo 'npm error code ENOTFOUND' >&2; exit 1");
    let error = machine.fails();
    assert!(matches!(&error, WorkerdError::NoNetwork { said, .. } if said.contains("ENOTFOUND")), "{error}");
}

#[test]
fn another_failure_of_npm_is_quoted() {
    let machine = Machine::new();
    machine.npm("echo 'npm error code E401' >&2; echo 'npm error A complete log of this run' >&2; exit 3");
    let error = machine.fails();
    assert!(matches!(&error, WorkerdError::Npm { said, .. } if said.ends_with("E401")), "{error}");
    machine.npm("exit 0");
    assert!(machine.fails().to_string().contains("left no package behind"));
}

#[test]
fn an_npm_that_was_interrupted_is_not_started_again() {
    let machine = Machine::new();
    let calls = machine.at("calls");
    machine.script("bin/npm", &format!("#!/bin/sh\necho x >> '{}'\nkill -INT $$\n", calls.display()));
    let error = machine.fails();
    assert!(matches!(&error, WorkerdError::Npm { why, .. } if why.contains("signal")), "{error}");
    assert_eq!(machine.calls(), 1);
}

#[test]
fn a_full_disk_is_named() {
    let mut machine = Machine::new();
    machine.npm("echo 'npm error code ENOSPC' >&2; exit 1");
    assert!(matches!(machine.fails(), WorkerdError::NoRoom { .. }));
    machine.pin.binary_bytes = 1 << 60;
    machine.npm("touch '/nowhere'");
    assert!(matches!(machine.fails(), WorkerdError::NoRoom { .. }));
    assert_eq!(machine.calls(), 1, "room is looked for before anything is downloaded");
}

#[test]
fn another_package_than_the_pinned_one_is_thrown_away() {
    let machine = Machine::new();
    machine.npm_that_works();
    let mut other = fs::OpenOptions::new().append(true).open(machine.at("registry.tgz")).unwrap();
    other.write_all(b"!").unwrap();
    let error = machine.fails();
    assert!(matches!(error, WorkerdError::WrongHash { .. }), "{error}");
}

#[test]
fn a_package_without_its_binary_is_refused() {
    let climbing = ("package/../../../escaped", ANSWERS);
    for members in [&[climbing][..], &[(BINARY, "#!/bin/sh\n")], &[("package/bin/workerd.js", ANSWERS)]] {
        let machine = Machine::with_package(members);
        machine.npm_that_works();
        let error = machine.fails();
        assert!(matches!(error, WorkerdError::BadPackage { .. }), "{error}");
        assert!(!machine.at("escaped").exists() && !machine.at("home/escaped").exists());
    }
}

#[test]
fn a_cache_that_others_may_write_is_not_used() {
    let machine = Machine::new();
    machine.npm_that_works();
    let cache = machine.at("home/.cache/jackfield");
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(machine.fails(), WorkerdError::UnsafeCache { .. }));
    assert_eq!(machine.calls(), 0);
}

#[test]
fn the_variable_wins_and_is_not_second_guessed() {
    let machine = Machine::new();
    machine.script("bin/workerd", ANSWERS);
    machine.script("mine", ANSWERS);
    let mut options = machine.options();
    options.explicit = Some(machine.at("mine"));
    assert_eq!(locate(&options, &mut ()).unwrap().source, Source::Variable);
    options.explicit = Some(machine.at("absent"));
    let error = locate(&options, &mut ()).unwrap_err();
    assert!(matches!(error, WorkerdError::Explicit { .. }), "{error}");
}

#[test]
fn a_shim_on_path_is_followed_or_passed_over() {
    let machine = Machine::new();
    machine.script("bin/workerd", "#!/usr/bin/env node\n");
    machine.npm_that_works();
    let found = machine.locate().unwrap();
    assert_eq!(found.source, Source::Fetched);
    assert!(found.passed_over[0].why.contains("script of npm's"), "{found:?}");
}

#[test]
fn an_old_one_is_an_error_and_a_stranger_too() {
    let machine = Machine::new();
    machine.script(
        "bin/workerd",
        "#!/bin/sh\ncase $1 in --version) echo 'workerd 2024-01-01';; *) echo 'Usage: --control-fd';; esac\n",
    );
    let error = machine.fails();
    assert!(matches!(error, WorkerdError::TooOld { missing: "--debug-port", .. }), "{error}");
    machine.script("bin/workerd", "#!/bin/sh\necho 'hello'\n");
    assert!(matches!(machine.fails(), WorkerdError::CannotRun { .. }));
    machine.script("bin/workerd", "#!/bin/sh\nexit 1\n");
    assert!(matches!(machine.fails(), WorkerdError::CannotRun { .. }));
}
