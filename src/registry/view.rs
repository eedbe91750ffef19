//! A registry that one session has for itself.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entry::{Entry, EntryError};
use super::folder::{Listing, list, read};

/// Each tool reads another one of these: wrangler the first two by version, the vite plugin and Miniflare the third.
pub const VARIABLES: [&str; 3] =
    ["CLOUDFLARE_DEV_REGISTRY_PATH", "WRANGLER_REGISTRY_PATH", "MINIFLARE_REGISTRY_PATH"];

/// A private registry: the session writes its own workers into it, and we those that it may call. It is removed when
/// this is dropped.
#[derive(Debug)]
pub struct View {
    folder: PathBuf,
    /// Where files are written before they are renamed in: whoever watches sees whole ones only.
    staging: PathBuf,
    ours: BTreeMap<String, Entry>,
    /// What the view before this one has left in the folder: written anew, or removed, by the next
    /// [`View::publish`].
    left: BTreeSet<String>,
    /// Whether all that is ours is there, as far as we know.
    is_whole: bool,
}

impl View {
    /// Makes an empty view at `folder`, in a folder that is private already.
    ///
    /// # Errors
    /// The folder cannot be made, or is there.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let staging = folder.with_extension("new");
        DirBuilder::new().mode(0o700).create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            staging,
            ours: BTreeMap::new(),
            left: BTreeSet::new(),
            is_whole: true,
        })
    }

    /// Takes a view over whose maker was killed, with what the session has registered there since.
    ///
    /// # Errors
    /// The folder cannot be read, or made if it has gone.
    pub fn take_over(folder: &Path) -> io::Result<Self> {
        match Self::create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created,
        }
        let found = list(folder)?;
        let left = found.refused.into_iter().filter(|(_, error)| *error == EntryError::Ours);
        let staging = folder.with_extension("new");
        Ok(Self {
            folder: folder.to_owned(),
            staging,
            ours: BTreeMap::new(),
            left: left.map(|(name, _)| name).collect(),
            is_whole: false,
        })
    }

    /// The workers that the view before this one showed, until something is published.
    pub fn left(&self) -> &BTreeSet<String> {
        &self.left
    }

    /// What the session is told as the registry's path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the session itself has registered, of all that was found in the folder. What we have published and is not
    /// there any more is written again by the next [`View::publish`].
    pub fn registered(&mut self, mut found: Listing) -> Listing {
        let refused: HashSet<_> = found.refused.iter().map(|(file, _)| file).collect();
        let is_there = |name| found.entries.contains_key(name) || refused.contains(name);
        self.is_whole &= self.ours.keys().all(is_there);
        found.refused.retain(|(_, error)| *error != EntryError::Ours);
        found
    }

    /// Makes the view show exactly these workers besides the session's own. A worker that is new, or said something
    /// else before, gets a fresh instance id, and one that has disappeared is written again.
    ///
    /// # Errors
    /// The folder cannot be written. What was published stays.
    pub fn publish(&mut self, wanted: BTreeMap<String, Entry>) -> io::Result<()> {
        let same = |ours: &Entry, entry: &Entry| Entry { instance: None, ..ours.clone() } == *entry;
        let is_known = |ours: &BTreeMap<String, Entry>, name: &String, entry: &Entry| {
            ours.get(name).is_some_and(|ours| same(ours, entry))
        };
        let is_whole = std::mem::replace(&mut self.is_whole, false);
        if !is_whole {
            // The session's tool may have removed the folder with what was in it.
            match DirBuilder::new().mode(0o700).create(&self.folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let shown = self.ours.keys().chain(&self.left);
        let gone: Vec<_> = shown.filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            let path = self.folder.join(&name);
            if read(&path) == Err(EntryError::Ours) {
                remove(&path)?;
            }
            self.ours.remove(&name);
        }
        for (name, entry) in wanted {
            let is_known = is_known(&self.ours, &name, &entry);
            if is_known && is_whole {
                continue;
            }
            let path = self.folder.join(&name);
            match read(&path) {
                Err(EntryError::Ours) if is_known => continue,
                Ok(None) | Err(EntryError::Ours) => {}
                // The session's own, whatever we think of that name, or of what it has written so far.
                Ok(Some(_)) => continue,
                Err(_) if path.symlink_metadata().is_ok() => continue,
                Err(_) => {}
            }
            let entry = Entry { instance: Some(fresh_id()?), ..entry };
            self.write(&name, &entry)?;
            self.ours.insert(name, entry);
        }
        self.left.clear();
        self.is_whole = true;
        Ok(())
    }

    fn write(&self, name: &str, entry: &Entry) -> io::Result<()> {
        let mut file = File::create(&self.staging)?;
        file.write_all(entry.to_json().as_bytes())?;
        std::fs::rename(&self.staging, self.folder.join(name))
    }

    /// Makes what we published look alive: sessions remove entries whose time of change is 90 seconds old.
    pub fn touch(&self) {
        for name in self.ours.keys() {
            // One that has gone is written again when that is noticed.
            if let Ok(file) = File::options().append(true).open(self.folder.join(name)) {
                let _ = file.set_modified(SystemTime::now());
            }
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.staging);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A random UUID, as the tools write it.
fn fresh_id() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let text = hex::encode(bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::RuntimeDir;

    fn entry(address: &str) -> Entry {
        let text = format!(
            r#"{{"debugPortAddress":"{address}","defaultEntrypointService":"default","userWorkerService":"named"}}"#
        );
        Entry::parse(text.as_bytes()).unwrap()
    }

    /// What a tool registers.
    fn foreign(port: u16) -> Entry {
        entry(&format!("127.0.0.1:{port}"))
    }

    /// What we publish.
    fn face(number: u16) -> Entry {
        let folder = RuntimeDir::folder_of(std::path::Path::new("/jackfield.toml")).unwrap();
        entry(&format!("unix:{}/e-{number}", folder.display()))
    }

    fn published(view: &View) -> BTreeMap<String, Option<String>> {
        let files = std::fs::read_dir(view.folder()).unwrap().map(|file| file.unwrap());
        let entry = |bytes: Vec<u8>| Entry::parse(&bytes).unwrap();
        files
            .map(|file| {
                let name = file.file_name().into_string().unwrap();
                (name, entry(std::fs::read(file.path()).unwrap()).instance)
            })
            .collect()
    }

    fn registered(view: &mut View) -> Listing {
        let found = list(view.folder()).unwrap();
        view.registered(found)
    }

    fn view() -> (tempfile::TempDir, View) {
        let folder = tempfile::tempdir().unwrap();
        let view = View::create(&folder.path().join("v")).unwrap();
        (folder, view)
    }

    fn wanted(all: &[(&str, u16)]) -> BTreeMap<String, Entry> {
        all.iter().map(|(name, number)| ((*name).to_owned(), face(*number))).collect()
    }

    #[test]
    fn what_is_published_stays_until_it_is_not_wanted_and_changes_its_id_when_it_changes() {
        let (_keep, mut view) = view();
        view.publish(wanted(&[("api", 1), ("db", 2)])).unwrap();
        let first = published(&view);
        assert_eq!(first.len(), 2);
        view.publish(wanted(&[("api", 1), ("db", 3)])).unwrap();
        let second = published(&view);
        assert_eq!(first["api"], second["api"], "nothing was said anew");
        assert_ne!(first["db"], second["db"]);
        view.publish(wanted(&[("db", 3)])).unwrap();
        assert_eq!(published(&view).len(), 1);
        assert_eq!(registered(&mut view), Listing::default());
    }

    #[test]
    fn the_sessions_own_workers_are_never_written_over_or_removed() {
        let (_keep, mut view) = view();
        let own = view.folder().join("web");
        std::fs::write(&own, foreign(7).to_json()).unwrap();
        view.publish(wanted(&[("web", 1), ("api", 2)])).unwrap();
        view.publish(BTreeMap::new()).unwrap();
        let found = registered(&mut view).entries;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("web".to_owned(), foreign(7))]);
        // Also while it is being written.
        std::fs::write(&own, "").unwrap();
        view.publish(wanted(&[("web", 1)])).unwrap();
        assert_eq!(std::fs::read(&own).unwrap(), b"");
    }

    #[test]
    fn what_disappears_is_written_again_and_the_folder_with_it() {
        let (_keep, mut view) = view();
        view.publish(wanted(&[("api", 1)])).unwrap();
        std::fs::remove_dir_all(view.folder()).unwrap();
        assert_eq!(registered(&mut view), Listing::default());
        view.publish(wanted(&[("api", 1)])).unwrap();
        assert_eq!(published(&view).len(), 1);
        let folder = view.folder().to_owned();
        drop(view);
        assert!(!folder.exists());
    }

    #[test]
    fn what_a_killed_maker_has_left_is_said_anew_or_removed() {
        let (_keep, mut view) = view();
        let folder = view.folder().to_owned();
        std::fs::write(folder.join("web"), foreign(7).to_json()).unwrap();
        view.publish(wanted(&[("api", 1), ("db", 2)])).unwrap();
        let before = published(&view);
        std::mem::forget(view);
        let mut view = View::take_over(&folder).unwrap();
        assert_eq!(view.left().iter().collect::<Vec<_>>(), ["api", "db"]);
        assert_eq!(registered(&mut view).entries.len(), 1);
        view.publish(wanted(&[("api", 1)])).unwrap();
        let after = published(&view);
        assert_eq!(after.keys().collect::<Vec<_>>(), ["api", "web"]);
        assert_ne!(before["api"], after["api"], "connections to the one before are over");
        drop(view);
        assert!(View::take_over(&folder).unwrap().left().is_empty(), "made where it has gone");
    }

    #[test]
    fn a_touch_makes_an_entry_look_alive() {
        let (_keep, mut view) = view();
        view.publish(wanted(&[("api", 1)])).unwrap();
        let path = view.folder().join("api");
        let old = SystemTime::now() - std::time::Duration::from_secs(85);
        File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
        view.touch();
        assert!(path.metadata().unwrap().modified().unwrap() > old + std::time::Duration::from_secs(80));
    }

    #[test]
    fn hostile_files_are_named_and_passed_over() {
        let (keep, mut view) = view();
        let folder = view.folder();
        let secret = keep.path().join("secret");
        std::fs::write(&secret, foreign(9).to_json()).unwrap();
        std::os::unix::fs::symlink(&secret, folder.join("link")).unwrap();
        std::fs::create_dir(folder.join("folder")).unwrap();
        std::fs::write(folder.join("large"), vec![b' '; super::super::entry::MAX_BYTES + 1]).unwrap();
        std::fs::write(folder.join("\u{1b}[31mred"), "{}").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("pipe"), rustix::fs::Mode::from_raw_mode(0o600))
            .unwrap();
        let found = registered(&mut view);
        assert!(found.entries.is_empty());
        let mut names: Vec<_> = found.refused.iter().map(|(name, _)| name.as_str()).collect();
        names.sort();
        assert_eq!(names, ["\\u{1b}[31mred", "folder", "large", "link", "pipe"]);
    }

    #[test]
    fn ten_thousand_entries_are_read_and_no_more() {
        let (_keep, mut view) = view();
        let text = foreign(1).to_json();
        for index in 0..=super::super::MAX_ENTRIES {
            std::fs::write(view.folder().join(format!("w{index}")), &text).unwrap();
        }
        let found = registered(&mut view);
        assert!(found.is_cut && found.entries.len() == super::super::MAX_ENTRIES);
    }
}
