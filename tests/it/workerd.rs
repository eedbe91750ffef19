//! Finding and fetching workerd.

use crate::support::workerd::{workerd, workerd_path};

#[test]
fn the_real_one_is_found_and_answers() {
    let answer = std::process::Command::new(workerd_path()).arg("--version").output().unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(answer.trim(), format!("workerd {}", workerd().version));
}
