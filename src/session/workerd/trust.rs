//! Whose folders and files a program may be started from.
//!
//! Whoever may write a folder may swap what lies in it, so a binary counts as ours only if nobody but us and root
//! can change it or any folder on the way to it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const ROOT: u32 = 0;
const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why a folder may not be walked through, if so.
pub(super) fn objection_to_folder(folder: &Path) -> Option<String> {
    objection_at(folder, Sticky::Counts)
}

/// Why a file may not be run, if so. The path must be canonical: links are where such checks get fooled.
pub(super) fn objection_to_file(canonical: &Path) -> Option<String> {
    // A sticky folder such as /tmp lets others add entries, but not replace ours, and a foreign entry fails by its owner.
    canonical.ancestors().find_map(|part| objection_at(part, Sticky::Forgives))
}

#[derive(Clone, Copy, PartialEq)]
enum Sticky {
    Forgives,
    Counts,
}

fn objection_at(path: &Path, sticky: Sticky) -> Option<String> {
    match fs::metadata(path) {
        Err(error) => Some(format!("{}: {error}", path.display())),
        Ok(found) => {
            let forgiven = found.is_dir() && sticky == Sticky::Forgives && found.mode() & STICKY != 0;
            objection(found.uid(), found.mode(), forgiven, rustix::process::geteuid().as_raw())
                .map(|why| format!("{} {why}", path.display()))
        }
    }
}

fn objection(owner: u32, mode: u32, writable_forgiven: bool, us: u32) -> Option<String> {
    if owner != us && owner != ROOT {
        return Some(format!("belongs to another user (uid {owner})"));
    }
    if mode & GROUP_OR_OTHERS_WRITE != 0 && !writable_forgiven {
        return Some(format!("may be written by its group or by others (mode {:o})", mode & 0o7777));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_we_and_root_may_own_and_write() {
        assert_eq!(objection(1000, 0o755, false, 1000), None);
        assert_eq!(objection(ROOT, 0o755, false, 1000), None);
        assert!(objection(1001, 0o755, false, 1000).unwrap().contains("uid 1001"));
        assert!(objection(1001, 0o755, false, ROOT).unwrap().contains("uid 1001"));
        for mode in [0o775, 0o757, 0o777] {
            assert!(objection(1000, mode, false, 1000).unwrap().contains("may be written"));
        }
        assert_eq!(objection(ROOT, 0o1777, true, 1000), None);
        assert!(objection(1001, 0o1777, true, 1000).is_some());
    }
}
