//! Checking a packed npm package against its pin, and taking the one file out of it that we want.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha512};
use tar::{Archive, EntryType};

use super::{FetchProgress, FetchStep, Pin, WorkerdError};

/// The SHA-512 is taken and the binary unpacked from one open file, so that what was checked is what is used.
pub(super) fn binary_from(
    packed: &Path,
    binary: &Path,
    pin: &Pin,
    progress: &mut dyn FetchProgress,
) -> Result<(), WorkerdError> {
    let needed = pin.packed_bytes + pin.binary_bytes;
    let fail = |doing, path, source| WorkerdError::from_cache(doing, path, needed, source);
    let mut file = File::open(packed).map_err(|source| fail("open", packed, source))?;
    let found = sha512_of(&mut file, pin, progress).map_err(|source| fail("read", packed, source))?;
    if found != pin.sha512 {
        return Err(WorkerdError::WrongHash {
            package: pin.package.clone(),
            version: pin.version.clone(),
            expected: pin.sha512.clone(),
            found,
        });
    }
    file.rewind().map_err(|source| fail("read", packed, source))?;
    progress.step(FetchStep::Unpacking, pin.binary_bytes);
    let mut out = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o755)
        .open(binary)
        .map_err(|source| fail("create", binary, source))?;
    extract(BufReader::new(file), &mut out, pin, progress).map_err(|stopped| match stopped {
        Stopped::Writing(source) => fail("write", binary, source),
        Stopped::Package(why) => {
            WorkerdError::BadPackage { package: pin.package.clone(), version: pin.version.clone(), why }
        }
    })?;
    // The name must not appear before the bytes are safe, else a crash leaves a cached file full of holes.
    out.sync_all().map_err(|source| fail("write", binary, source))
}

fn sha512_of(file: &mut File, pin: &Pin, progress: &mut dyn FetchProgress) -> io::Result<String> {
    progress.step(FetchStep::Checking, pin.packed_bytes);
    let mut hash = Sha512::new();
    let mut taken = 0;
    each_piece(file, |piece| {
        hash.update(piece);
        taken += piece.len() as u64;
        progress.advance_to(taken);
        Ok(())
    })?;
    Ok(hex::encode(hash.finalize()))
}

#[derive(Debug)]
enum Stopped {
    /// The disk's fault.
    Writing(io::Error),
    /// The package's fault.
    Package(String),
}

fn extract(
    packed: impl Read,
    out: &mut impl Write,
    pin: &Pin,
    progress: &mut dyn FetchProgress,
) -> Result<(), Stopped> {
    let bad = |error: io::Error| Stopped::Package(error.to_string());
    // The hash vouches for the contents; the bound keeps even a wrong pin from filling the disk.
    let unpacked = GzDecoder::new(packed).take(2 * pin.binary_bytes + (1 << 20));
    let mut archive = Archive::new(unpacked);
    for entry in archive.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        if entry.path_bytes().as_ref() != pin.member.as_bytes() {
            continue;
        }
        if entry.header().entry_type() != EntryType::Regular || entry.size() != pin.binary_bytes {
            return Err(Stopped::Package(format!(
                "its {} is not the file of {} bytes that belongs to it",
                pin.member, pin.binary_bytes
            )));
        }
        return copy(&mut entry, out, pin, progress);
    }
    Err(Stopped::Package(format!("it has no {}", pin.member)))
}

fn copy(
    from: &mut impl Read,
    out: &mut impl Write,
    pin: &Pin,
    progress: &mut dyn FetchProgress,
) -> Result<(), Stopped> {
    let (mut copied, mut failure) = (0, None);
    let read = each_piece(from, |piece| {
        copied += piece.len() as u64;
        progress.advance_to(copied);
        out.write_all(piece).map_err(|error| {
            let kind = error.kind();
            failure = Some(error);
            kind.into()
        })
    });
    match (read, failure) {
        (_, Some(error)) => Err(Stopped::Writing(error)),
        (Err(error), None) => Err(Stopped::Package(error.to_string())),
        (Ok(()), None) if copied != pin.binary_bytes => {
            Err(Stopped::Package(format!("it ends after {copied} bytes")))
        }
        (Ok(()), None) => Ok(()),
    }
}

fn each_piece(from: &mut impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => take(buffer.get(..length).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
