//! A test in a process of its own, where descriptors and memory are its alone.

use std::process::Command;

/// Set in that process.
const ALONE: &str = "JACKFIELD_TEST_ALONE";

/// True in the process that shall do the work. Elsewhere `test`, by its full name, is run in a process of its own.
///
/// # Panics
/// If it fails there; what it said is in the message.
pub async fn is_alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let output = tokio::task::spawn_blocking(move || alone.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{erred}");
    false
}

/// Descriptors that are open.
pub fn descriptors() -> usize {
    std::fs::read_dir("/dev/fd").unwrap().count()
}

/// Resident memory in bytes; nothing where the system does not say.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.unwrap_or_default() * 1024
}
