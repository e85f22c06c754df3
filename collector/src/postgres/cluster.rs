//! The cluster: Postgres's own data directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::binaries::Binaries;
use super::owner::{self, Owner};
use super::{DATABASE, PostgresError};

/// Paths within a data directory.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub cluster: PathBuf,
    pub log: PathBuf,
}

impl Place {
    pub fn new(data_dir: &Path) -> Self {
        Self {
            cluster: data_dir.join("postgres"),
            log: data_dir.join("postgres.log"),
        }
    }

    /// The major version that made the cluster; `None`: there is none yet.
    fn version(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.cluster.join("PG_VERSION")).ok()?;
        text.trim().parse().ok()
    }
}

/// The installed server of the cluster's version; the newest for a new cluster.
pub(super) fn choose_binaries(
    place: &Place,
    installed: &[Binaries],
) -> Result<Binaries, PostgresError> {
    let newest = installed.first().ok_or(PostgresError::NotFound {
        download: "none was named".to_owned(),
    })?;
    let Some(theirs) = place.version() else {
        return Ok(newest.clone());
    };
    let same = installed.iter().find(|binaries| binaries.major == theirs);
    same.cloned().ok_or_else(|| PostgresError::OtherVersion {
        dir: place.cluster.clone(),
        theirs,
        ours: installed
            .iter()
            .map(|binaries| binaries.major.to_string())
            .collect::<Vec<_>>()
            .join(" and "),
    })
}

/// Makes the cluster unless it exists. It gets its name last, so that half a one is never taken for
/// a whole.
pub(super) fn initialise(
    place: &Place,
    binaries: &Binaries,
    owner: &Owner,
) -> Result<(), PostgresError> {
    if place.version().is_some() {
        return Ok(());
    }
    let folder = |path: &Path, what: String| PostgresError::Folder {
        path: path.to_owned(),
        what,
        advice: "choose another --data-dir",
    };
    if place.cluster.exists() {
        return Err(PostgresError::Folder {
            path: place.cluster.clone(),
            what: "is no PostgreSQL cluster (it has no PG_VERSION)".to_owned(),
            advice: "move it away, or choose another --data-dir",
        });
    }
    let unfinished = place.cluster.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)
            .map_err(|error| folder(&unfinished, format!("cannot be removed: {error}")))?;
    }
    owner::private_folder(&unfinished, owner)?;
    initdb(&unfinished, binaries, owner)?;
    std::fs::rename(&unfinished, &place.cluster)
        .map_err(|error| folder(&unfinished, format!("cannot be renamed: {error}")))
}

fn initdb(folder: &Path, binaries: &Binaries, owner: &Owner) -> Result<(), PostgresError> {
    let program = binaries.folder.join("initdb");
    let mut command = Command::new(&program);
    command
        .arg("-D")
        .arg(folder)
        .args(["-U", DATABASE, "-A", "trust", "-E", "UTF8"])
        .args(["--locale=C", "--no-instructions"])
        .current_dir(folder)
        .stdin(Stdio::null());
    owner.run(&mut command);
    let output = command
        .output()
        .map_err(|source| PostgresError::Spawn { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let why = text
        .lines()
        .find(|line| line.contains("error") || line.contains("FATAL"))
        .or_else(|| text.lines().last())
        .unwrap_or("it does not say why");
    Err(PostgresError::Initdb {
        dir: folder.to_owned(),
        why: why.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32) -> Binaries {
        Binaries {
            folder: PathBuf::from("/nowhere"),
            major,
        }
    }

    #[test]
    fn a_cluster_of_another_version_is_refused_with_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        std::fs::create_dir(&place.cluster).unwrap();
        std::fs::write(place.cluster.join("PG_VERSION"), "14\n").unwrap();
        let refused = choose_binaries(&place, &[binaries(17), binaries(15)]).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("PostgreSQL 14, but only 17 and 15"), "{text}");
        assert!(text.contains("postgresql-14"), "{text}");
        let kept = choose_binaries(&place, &[binaries(17), binaries(14)]).unwrap();
        assert_eq!(kept.major, 14);
    }
}
