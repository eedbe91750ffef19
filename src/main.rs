//! The `jackfield` command. Everything is in the library.

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    jackfield::cli::main()
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "error: jackfield does not run on Windows: sessions are linked over unix sockets that only their owner can \
         open, and workerd has none there\nhelp: run it inside WSL"
    );
    std::process::ExitCode::from(2)
}
