//! The user that the private server runs as, and folders that it can use.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use super::PostgresError;

/// Who runs `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    switch: Switch,
}

/// Whether programs must be started as another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switch {
    /// The collector is root, which Postgres refuses to run as.
    FromRoot,
    /// The collector's own user.
    Same,
}

impl Owner {
    /// The collector's user; as root `postgres`, else `nobody`.
    pub fn choose() -> Result<Self, PostgresError> {
        let own = Uid::effective();
        if !own.is_root() {
            let name = User::from_uid(own).ok().flatten();
            return Ok(Self {
                name: name.map_or_else(|| own.to_string(), |user| user.name),
                uid: own.as_raw(),
                gid: Gid::effective().as_raw(),
                switch: Switch::Same,
            });
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .ok_or(PostgresError::NoUser)?;
        Ok(Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            switch: Switch::FromRoot,
        })
    }

    /// Makes `command` run as this user.
    pub(super) fn run(&self, command: &mut Command) {
        if self.switch == Switch::FromRoot {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives `path` to this user.
    pub(super) fn give(&self, path: &Path) -> Result<(), PostgresError> {
        if self.switch == Switch::Same {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)).map_err(|error| {
            PostgresError::Folder {
                path: path.to_owned(),
                what: format!("cannot be given to user \"{}\": {error}", self.name),
                advice: "choose another --data-dir",
            }
        })
    }

    fn can_pass(&self, folder: &Path) -> bool {
        let Ok(meta) = std::fs::metadata(folder) else {
            return false;
        };
        let mode = meta.permissions().mode();
        let bit = if meta.uid() == self.uid {
            0o100
        } else if meta.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }
}

/// Checks that the server's user can reach what will be in `data_dir`.
pub(super) fn prepare(data_dir: &Path, owner: &Owner) -> Result<(), PostgresError> {
    if owner.switch == Switch::Same {
        return Ok(());
    }
    let closed: Option<PathBuf> = data_dir
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .find(|folder| !owner.can_pass(folder))
        .map(Path::to_owned);
    match closed {
        None => Ok(()),
        Some(path) => Err(PostgresError::Untraversable {
            user: owner.name.clone(),
            path,
        }),
    }
}

/// Makes a folder that only the server's user can enter.
pub(super) fn private_folder(path: &Path, owner: &Owner) -> Result<(), PostgresError> {
    let failed = |error: std::io::Error| PostgresError::Folder {
        path: path.to_owned(),
        what: format!("cannot be made: {error}"),
        advice: "choose another --data-dir",
    };
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let meta = std::fs::symlink_metadata(path).map_err(failed)?;
    let own = Uid::effective().as_raw();
    if !meta.is_dir() || (meta.uid() != owner.uid && meta.uid() != own) {
        return Err(PostgresError::Folder {
            path: path.to_owned(),
            what: format!("belongs to somebody else (uid {})", meta.uid()),
            advice: "remove it, or choose another --data-dir",
        });
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    owner.give(path)
}
