//! Files of an authority and of an agent.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::IdentityError;

/// The authority's certificate; agents and clients trust it.
pub const CA: &str = "ca.pem";
/// The authority's key; only the collector that signs needs it.
pub const CA_KEY: &str = "ca.key";
/// The collector's certificate, with the authority's behind it.
pub const COLLECTOR: &str = "collector.pem";
pub const COLLECTOR_KEY: &str = "collector.key";
/// An agent's key and certificate in one file, so that they change together.
pub const AGENT: &str = "agent.pem";

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Mode 0600.
    Owner,
    /// Mode 0644.
    All,
}

/// What happens to a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    Kept,
    Replaced,
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|source| IdentityError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file whole or not at all; its octets are on disk when this returns.
///
/// # Errors
/// Names the file: it is there already ([`There::Kept`]), or the disk refuses.
pub fn write(
    path: &Path,
    octets: &[u8],
    readers: Readers,
    there: There,
) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Write {
        path: path.to_owned(),
        source,
    };
    if there == There::Kept && path.exists() {
        return Err(IdentityError::There {
            path: path.to_owned(),
        });
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // What an interrupted attempt left may have been made by others: never written through.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(failed)?;
    file.write_all(octets).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

/// All certificates of a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let octets = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    let all = all.map_err(|error| unfit(path, &error))?;
    if all.is_empty() {
        return Err(IdentityError::Empty {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(all)
}

pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        Error::NoItemsFound => IdentityError::Empty {
            path: path.to_owned(),
            what: "private key",
        },
        error => unfit(path, &error),
    })
}

pub(crate) fn unfit(path: &Path, reason: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::Unfit {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// What tells one state of some files from another: length, change and place of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<Option<(u64, i64, i64, u64)>>);

impl Stamp {
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        use std::os::unix::fs::MetadataExt;
        let stamp = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino()))
        };
        Self(paths.into_iter().map(stamp).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_for_its_owner_and_is_not_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.key");
        write(&path, b"one", Readers::Owner, There::Kept).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = write(&path, b"two", Readers::Owner, There::Kept).unwrap_err();
        assert!(matches!(again, IdentityError::There { .. }), "{again}");
        let before = Stamp::of([&path]);
        write(&path, b"two", Readers::Owner, There::Replaced).unwrap();
        assert_ne!(before, Stamp::of([&path]));
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}
