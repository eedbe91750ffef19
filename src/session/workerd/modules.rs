//! The project's own workerd, in the node_modules at or above it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{PassedOver, native, trust};

/// Looks in every folder from `project` up to the project's root.
///
/// The walk ends at the home folder, and before any folder that others own or may write: whoever can put a
/// node_modules there could have us run what they like.
pub(super) fn search(
    project: &Path,
    home: Option<&Path>,
    package: &str,
    passed_over: &mut Vec<PassedOver>,
) -> Option<PathBuf> {
    let project = fs::canonicalize(project).ok()?;
    let home = home.and_then(|home| fs::canonicalize(home).ok());
    levels(&project, home.as_deref(), passed_over)
        .iter()
        .find_map(|level| in_modules(&level.join("node_modules"), package, passed_over))
}

/// The folders to look in, the project's own first.
pub(super) fn levels(project: &Path, home: Option<&Path>, passed_over: &mut Vec<PassedOver>) -> Vec<PathBuf> {
    let mut walked = Vec::new();
    // How many of the walked folders belong to the project. Its root is the nearest repository, or else the topmost
    // folder with a package.json, since a workspace's members have one each.
    let mut belonging = 1;
    for folder in project.ancestors() {
        if let Some(why) = trust::objection_to_folder(folder) {
            passed_over.push(PassedOver { path: folder.to_owned(), why });
            break;
        }
        walked.push(folder.to_owned());
        if folder.join(".git").exists() {
            belonging = walked.len();
            break;
        }
        if folder.join("package.json").exists() {
            belonging = walked.len();
        }
        if Some(folder) == home {
            break;
        }
    }
    walked.truncate(belonging);
    walked
}

fn in_modules(modules: &Path, package: &str, passed_over: &mut Vec<PassedOver>) -> Option<PathBuf> {
    if !modules.is_dir() {
        return None;
    }
    let below = |modules: PathBuf| modules.join("@cloudflare").join(package).join("bin/workerd");
    let hoisted = [below(modules.to_owned()), below(modules.join(".pnpm/node_modules"))];
    let nested = native::dependents(modules).filter_map(|dependent| native::beside(&dependent, package));
    for candidate in hoisted.into_iter().filter(|binary| native::is_native(binary)).chain(nested) {
        let Ok(canonical) = fs::canonicalize(&candidate) else { continue };
        match trust::objection_to_file(&canonical) {
            None => return Some(canonical),
            Some(why) => passed_over.push(PassedOver { path: candidate, why }),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const PACKAGE: &str = "workerd-test";

    fn put_binary(at: &Path) -> PathBuf {
        let binary = at.join("node_modules/@cloudflare").join(PACKAGE).join("bin/workerd");
        fs::create_dir_all(binary.parent().unwrap()).unwrap();
        fs::write(&binary, b"\x7fELF").unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        fs::canonicalize(binary).unwrap()
    }

    fn project() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("packages/web");
        fs::create_dir_all(&inner).unwrap();
        (root, inner)
    }

    fn find(project: &Path) -> (Option<PathBuf>, Vec<PassedOver>) {
        let mut passed_over = Vec::new();
        (search(project, None, PACKAGE, &mut passed_over), passed_over)
    }

    #[test]
    fn the_walk_reaches_the_root_and_no_further() {
        let (root, inner) = project();
        let outside = put_binary(root.path());
        fs::create_dir(root.path().join("packages/.git")).unwrap();
        assert_eq!(find(&inner).0, None);
        fs::remove_dir(root.path().join("packages/.git")).unwrap();
        assert_eq!(find(&inner).0, None, "without a mark of a root, only the project's own folder counts");
        fs::create_dir(root.path().join(".git")).unwrap();
        assert_eq!(find(&inner).0, Some(outside));
        let own = put_binary(&inner);
        assert_eq!(find(&inner).0, Some(own), "the nearest wins");
    }

    #[test]
    fn the_topmost_package_json_marks_a_workspace() {
        let (root, inner) = project();
        let shared = put_binary(root.path());
        fs::write(inner.join("package.json"), "{}").unwrap();
        assert_eq!(find(&inner).0, None);
        fs::write(root.path().join("package.json"), "{}").unwrap();
        assert_eq!(find(&inner).0, Some(shared));
        let mut passed_over = Vec::new();
        let home = root.path().join("packages");
        assert_eq!(
            search(&inner, Some(&home), PACKAGE, &mut passed_over),
            None,
            "never above the home folder"
        );
    }

    #[test]
    fn folders_that_others_may_write_are_not_walked_through() {
        let (root, inner) = project();
        put_binary(root.path());
        fs::create_dir(root.path().join(".git")).unwrap();
        fs::set_permissions(root.path().join("packages"), fs::Permissions::from_mode(0o777)).unwrap();
        let (found, passed_over) = find(&inner);
        assert_eq!(found, None);
        assert!(passed_over[0].why.contains("may be written"), "{passed_over:?}");
    }

    #[test]
    fn a_binary_that_others_may_write_is_passed_over() {
        let (_root, inner) = project();
        let binary = put_binary(&inner);
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o777)).unwrap();
        let (found, passed_over) = find(&inner);
        assert_eq!(found, None);
        assert!(passed_over[0].why.contains("may be written"), "{passed_over:?}");
    }

    #[test]
    fn a_linked_package_is_looked_for_where_it_lies() {
        let (_root, inner) = project();
        let store = inner.join("node_modules/.pnpm/wrangler@4");
        fs::create_dir_all(store.join("node_modules/wrangler")).unwrap();
        symlink(store.join("node_modules/wrangler"), inner.join("node_modules/wrangler")).unwrap();
        let binary = put_binary(&store);
        assert_eq!(find(&inner).0, Some(binary));
    }

    #[test]
    fn a_shim_leads_to_the_binary_beside_it() {
        let (_root, inner) = project();
        let shim = inner.join("node_modules/workerd/bin/workerd");
        fs::create_dir_all(shim.parent().unwrap()).unwrap();
        fs::write(&shim, "#!/usr/bin/env node\n").unwrap();
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).unwrap();
        let bin = inner.join("node_modules/.bin");
        fs::create_dir_all(&bin).unwrap();
        symlink(&shim, bin.join("workerd")).unwrap();
        assert!(
            native::resolve(&bin.join("workerd"), PACKAGE).unwrap_err().contains("not installed beside it")
        );
        let binary = put_binary(&inner);
        assert_eq!(native::resolve(&bin.join("workerd"), PACKAGE).unwrap(), binary);
        fs::remove_file(bin.join("workerd")).unwrap();
        fs::write(bin.join("workerd"), "#!/bin/sh\nexec node ../workerd/bin/workerd\n").unwrap();
        fs::set_permissions(bin.join("workerd"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(native::resolve(&bin.join("workerd"), PACKAGE).unwrap(), binary);
    }
}
