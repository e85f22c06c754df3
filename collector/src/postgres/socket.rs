//! The folder of the unix socket.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::PostgresError;
use super::owner::{self, Owner};

/// What a socket's path may measure (`sun_path` less its final zero).
const PATH_MAX: usize = 107;
const SOCKET_NAME: &str = "/.s.PGSQL.5432";

/// A folder for the socket: in the data directory, or if its path is too long for a socket, in
/// `/tmp` under a name that follows from it.
pub(super) fn folder(data_dir: &Path, owner: &Owner) -> Result<PathBuf, PostgresError> {
    let folder = choose(data_dir);
    owner::private_folder(&folder, owner)?;
    Ok(folder)
}

pub(super) fn choose(data_dir: &Path) -> PathBuf {
    let within = data_dir.join("socket");
    if within.as_os_str().as_bytes().len() + SOCKET_NAME.len() <= PATH_MAX {
        return within;
    }
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for octet in data_dir.as_os_str().as_bytes() {
        hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    }
    PathBuf::from(format!("/tmp/parallax-{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_data_directory_has_its_socket_elsewhere() {
        let short = choose(Path::new("/var/lib/parallax"));
        assert_eq!(short, Path::new("/var/lib/parallax/socket"));
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        let chosen = choose(&long);
        assert!(chosen.starts_with("/tmp"));
        assert_eq!(chosen, choose(&long));
    }
}
