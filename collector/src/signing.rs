//! The collector's own key, by which others know that a bundle is its own.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parallax_bundle::sealed::Signer;
use parallax_bundle::{hex, unhex};
use thiserror::Error;

/// The key's file in a data directory.
pub const FILE: &str = "signing-key";

/// Why there is no key.
#[derive(Debug, Error)]
pub enum SigningError {
    #[error(
        "cannot read or make the signing key {path}: {source}; choose another with --signing-key"
    )]
    File { path: PathBuf, source: io::Error },
    #[error(
        "the signing key {path} can be read by others than its owner; chmod 600 it, or make a new one by removing it if they may have read it"
    )]
    Open { path: PathBuf },
    #[error(
        "{path} holds no signing key (64 hexadecimal digits); remove it, and a new one is made"
    )]
    Nonsense { path: PathBuf },
}

/// The key in `path`; where there is no such file one is made of the system's chance, for its owner only.
pub fn read_or_make(path: &Path) -> Result<Signer, SigningError> {
    let failed = |source| SigningError::File {
        path: path.to_owned(),
        source,
    };
    match read(path) {
        Err(SigningError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        known => return known,
    }
    let mut seed = [0; 32];
    let mut chance = fs::File::open("/dev/urandom").map_err(failed)?;
    chance.read_exact(&mut seed).map_err(failed)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(mut file) => {
            writeln!(file, "{}", hex(&seed)).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        // Another collector made it just now.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    read(path)
}

fn read(path: &Path) -> Result<Signer, SigningError> {
    let failed = |source| SigningError::File {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SigningError::Open {
            path: path.to_owned(),
        });
    }
    let mut text = String::new();
    let read = file.take(1024).read_to_string(&mut text);
    read.map_err(failed)?;
    unhex(text.trim())
        .and_then(|seed| Signer::new(&seed))
        .ok_or_else(|| SigningError::Nonsense {
            path: path.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state").join(FILE);
        let made = read_or_make(&path).unwrap().public();
        assert_eq!(read_or_make(&path).unwrap().public(), made);
        let bits = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(bits & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            read_or_make(&path),
            Err(SigningError::Open { .. })
        ));
        let other = folder.path().join("other");
        assert_ne!(read_or_make(&other).unwrap().public(), made);
        fs::write(&other, "no key").unwrap();
        assert!(matches!(
            read_or_make(&other),
            Err(SigningError::Nonsense { .. })
        ));
    }
}
