//! Texts that people read, kept beside the tests. `JACKFIELD_BLESS=1 cargo test` writes them anew.

use std::path::Path;

/// Compares `text` with the file of that name.
pub fn check(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let file = folder.join(format!("{name}.txt"));
    if std::env::var_os("JACKFIELD_BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == text,
        "{} differs; JACKFIELD_BLESS=1 accepts what is new\n--- kept\n{kept}\n--- new\n{text}",
        file.display()
    );
}
