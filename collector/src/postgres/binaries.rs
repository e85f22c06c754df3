//! Installed servers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OLDEST, PostgresError};

/// A folder with `initdb` and `postgres`, and their major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

/// Where distributions put servers, a folder for each version in it.
const SHELVES: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/pgsql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];

/// Servers of this machine, newest first: the folder that `PARALLAX_POSTGRES_BIN` names and no other,
/// or else distributions' folders and what `PATH` leads to. None may be there.
pub fn find() -> Result<Vec<Binaries>, PostgresError> {
    let named = std::env::var_os("PARALLAX_POSTGRES_BIN").filter(|value| !value.is_empty());
    find_in(named.as_deref(), std::env::var_os("PATH").as_deref())
}

/// [`find`] with the environment as arguments.
pub fn find_in(
    named: Option<&OsStr>,
    path: Option<&OsStr>,
) -> Result<Vec<Binaries>, PostgresError> {
    if let Some(named) = named {
        let folder = PathBuf::from(named);
        return match inspect(&folder)? {
            Some(found) if found.major >= OLDEST => Ok(vec![found]),
            Some(found) => Err(PostgresError::Named {
                what: format!("is version {}, older than {OLDEST}", found.major),
                folder,
            }),
            None => Err(PostgresError::Named {
                what: "has no `postgres` and `initdb`".to_owned(),
                folder,
            }),
        };
    }
    let mut found: Vec<Binaries> = Vec::new();
    for folder in shelved().into_iter().chain(on_path(path)) {
        add(&mut found, &folder);
    }
    Ok(found)
}

/// Adds what a folder holds, unless it is too old or there is one of its version; newest first.
pub(super) fn add(found: &mut Vec<Binaries>, folder: &Path) {
    if let Ok(Some(binaries)) = inspect(folder)
        && binaries.major >= OLDEST
        && !found.iter().any(|known| known.major == binaries.major)
    {
        found.push(binaries);
        found.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    }
}

fn shelved() -> Vec<PathBuf> {
    SHELVES
        .iter()
        .filter_map(|(shelf, bin)| Some((std::fs::read_dir(shelf).ok()?, bin)))
        .flat_map(|(entries, bin)| {
            entries
                .filter_map(Result::ok)
                .map(move |entry| entry.path().join(bin))
        })
        .collect()
}

/// Folders of `PATH` that have `postgres`, and what a `pg_config` there says.
fn on_path(path: Option<&OsStr>) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = path
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    let told = folders
        .iter()
        .map(|folder| folder.join("pg_config"))
        .find(|program| program.is_file())
        .and_then(|program| Command::new(program).arg("--bindir").output().ok())
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    folders.into_iter().chain(told).collect()
}

/// What a folder holds: `None` unless it has both programs.
fn inspect(folder: &Path) -> Result<Option<Binaries>, PostgresError> {
    let program = folder.join("postgres");
    if !program.is_file() || !folder.join("initdb").is_file() {
        return Ok(None);
    }
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|source| PostgresError::Spawn {
            program: program.clone(),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match major(&text) {
        Some(major) => Ok(Some(Binaries {
            folder: folder.to_owned(),
            major,
        })),
        None => Err(PostgresError::Version { program, why: text }),
    }
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)` or `… 18beta1`.
fn major(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn a_named_folder_without_server_says_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let refused = find_in(Some(empty.path().as_os_str()), None).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("apt install postgresql"), "{text}");
        assert!(text.contains("--database-url"), "{text}");
    }
}
