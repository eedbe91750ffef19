//! What tells two checkouts of one worker apart.

use std::fs;
use std::path::{Path, PathBuf};

use super::name::MAX_PART;

/// The scope of what runs in a folder: the branch that is checked out there, else the name of the worktree. Nothing
/// outside a repository.
pub fn of_folder(folder: &Path) -> Option<String> {
    let (worktree, git) = folder.ancestors().find_map(|folder| Some((folder, git_folder(folder)?)))?;
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    // Where git keeps its references in tables, HEAD names this branch, which there cannot be.
    let branch = head.trim().strip_prefix("ref: refs/heads/").filter(|branch| *branch != ".invalid");
    // A commit without a branch is checked out in many places; the folder is in one.
    let text = branch.or_else(|| worktree.file_name()?.to_str())?;
    part(text)
}

/// The folder with HEAD: in a linked worktree `.git` is a file that says where it is.
fn git_folder(worktree: &Path) -> Option<PathBuf> {
    let git = worktree.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    Some(worktree.join(text.trim().strip_prefix("gitdir: ")?))
}

/// As a part of a session's name: what cannot stand there becomes `-`.
fn part(text: &str) -> Option<String> {
    let good = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let text: String = text.chars().map(good).take(MAX_PART).collect();
    let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_of_the_checkout_and_else_its_folder() {
        let keep = tempfile::tempdir().unwrap();
        let main = keep.path().join("app");
        fs::create_dir_all(main.join(".git/worktrees/fix")).unwrap();
        fs::create_dir_all(main.join("src/deep")).unwrap();
        fs::write(main.join(".git/HEAD"), "ref: refs/heads/feature/log in\n").unwrap();
        assert_eq!(of_folder(&main.join("src/deep")).unwrap(), "feature-log-in");
        fs::write(main.join(".git/HEAD"), "0123456789abcdef\n").unwrap();
        assert_eq!(of_folder(&main).unwrap(), "app");
        fs::write(main.join(".git/HEAD"), "ref: refs/heads/.invalid\n").unwrap();
        assert_eq!(of_folder(&main).unwrap(), "app");
        let linked = keep.path().join("fix");
        fs::create_dir(&linked).unwrap();
        fs::write(linked.join(".git"), format!("gitdir: {}\n", main.join(".git/worktrees/fix").display()))
            .unwrap();
        fs::write(main.join(".git/worktrees/fix/HEAD"), "ref: refs/heads/fix\n").unwrap();
        assert_eq!(of_folder(&linked).unwrap(), "fix");
        assert_eq!(part("-.x"), Some("x".to_owned()));
        assert_eq!(part("é"), None);
    }
}
