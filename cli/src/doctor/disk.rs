//! Folders and files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};

use super::Check;

/// Less room than this does not do, MiB.
const LEAST: u64 = 64;
/// Less than this will not do for long.
const LITTLE: u64 = 1024;

/// A folder that is written to: whether it can be, and how much room there is.
pub fn folder(what: &str, folder: &Path) -> Vec<Check> {
    let named = format!("{what} {}", folder.display());
    let Some(there) = folder.ancestors().find(|path| path.exists()) else {
        return vec![Check::wrong(
            named,
            "no part of its path exists",
            "choose another",
        )];
    };
    let rights = access(there, AccessFlags::W_OK | AccessFlags::X_OK);
    let rights = match rights {
        Ok(()) if there == folder => Check::fine(named.clone(), "it can be written"),
        Ok(()) => Check::fine(named.clone(), "it will be made"),
        Err(error) => Check::wrong(
            named.clone(),
            format!("{} cannot be written: {error}", there.display()),
            format!("chown it to the program's user, or choose another {what}"),
        ),
    };
    vec![rights, room(&format!("room for {named}"), there)]
}

fn room(what: &str, folder: &Path) -> Check {
    let Ok(status) = statvfs(folder) else {
        return Check::warning(what, "the file system does not say", "look with df");
    };
    let free = (status.blocks_available() * status.fragment_size()) >> 20;
    let inodes = status.files_available();
    let found = format!("{free} MiB are free");
    let mend = "make room: drop old days with --retention, lower spool-disk, or take a larger disk";
    match free {
        _ if inodes == 0 && status.files() > 0 => {
            Check::wrong(what, format!("{found}, but no inode is"), mend)
        }
        0..LEAST => Check::wrong(what, found, mend),
        LEAST..LITTLE => Check::warning(what, found, mend),
        _ => Check::fine(what, found),
    }
}

/// A key in PEM: whether it can be read, and is nobody else's business.
pub fn key(file: &Path) -> Check {
    let named = format!("key {}", file.display());
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let mend = "correct the path, or let the program's user read it";
            return Check::wrong(named, format!("cannot be read: {error}"), mend);
        }
    };
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY");
    if !text.lines().any(begins) {
        return Check::wrong(
            named,
            "it holds no PRIVATE KEY in PEM form",
            "give the right file",
        );
    }
    let open = std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
    if open {
        return Check::warning(
            named,
            "others may read it",
            format!("chmod 600 {}", file.display()),
        );
    }
    Check::fine(named, "it can be read")
}
