//! Least privilege: what the agent gives up once everything that needs privileges is open.
//!
//! Its sockets stay open and can be read, counted and filtered without any privilege. So it becomes another user, gives
//! up all capabilities for good, and may open nothing but its own folders and what looking up names needs. All that is
//! each thread's own (capabilities, landlock): it is done before there are other threads, which inherit it. The kernel
//! witness's thread alone keeps root, and of its capabilities [`WITNESS`].

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use nix::unistd::{Gid, Uid, User, setgroups, setresgid, setresuid};
use thiserror::Error;
use tracing::{debug, info, warn};

/// What the kernel witness's thread keeps: to read which network namespaces other users' processes are in, to enter
/// them, and to read there which addresses they have.
pub const WITNESS: [Capability; 3] = [
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_DAC_READ_SEARCH,
];

/// Users to become where none is named, the first that exists.
const USERS: [&str; 2] = ["parallax", "nobody"];

/// What looking up a name reads: resolv.conf(5), nsswitch.conf(5), hosts(5), and libraries that glibc loads for it.
const NAMES: [&str; 14] = [
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
];

/// The kernel's access rights that are handled (Linux 6.10); older kernels handle what they know.
const RIGHTS: ABI = ABI::V5;

/// What an agent goes on needing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The user to become; `None`: the first of [`USERS`] that exists.
    pub user: Option<String>,
    /// Whether a witness's thread needs this process to stay root.
    pub witness: bool,
    /// Folders to read and write; they are given to the user with all that is in them.
    pub folders: Vec<PathBuf>,
    /// Files to read.
    pub files: Vec<PathBuf>,
}

/// Why privileges could not be given up.
#[derive(Debug, Error)]
pub enum ConfineError {
    #[error("there is no user {0:?} to run as; name another with --user, or create it")]
    NoUser(String),
    #[error("cannot give up {what}: {source}")]
    Keep {
        what: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn keep<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl FnOnce(E) -> ConfineError {
    move |source| ConfineError::Keep {
        what,
        source: Box::new(source),
    }
}

/// Gives up, for this thread and those that it starts from now on, all that is not needed.
///
/// # Errors
/// A user that does not exist, or capabilities that stay. What the surroundings do not allow (another user in a
/// user namespace, landlock on an old kernel) is said in a line each, and gone without.
pub fn confine(needs: &Needs) -> Result<(), ConfineError> {
    drop_bounding();
    let user = if Uid::effective().is_root() {
        become_user(needs)?
    } else {
        None
    };
    drop_capabilities(&kept(needs))?;
    nix::sys::prctl::set_no_new_privs().map_err(keep("the gain of privileges"))?;
    seal(&needs.folders, &around(&needs.files))?;
    if let Some(user) = user {
        info!("runs as user {user:?}, without capabilities");
    }
    Ok(())
}

/// Leaves the calling thread, which is the witness's, no more than it needs.
pub fn confine_witness() {
    let wanted: CapsHashSet = WITNESS.into_iter().collect();
    let own = caps::read(None, CapSet::Permitted).unwrap_or_default();
    let kept: CapsHashSet = own.intersection(&wanted).copied().collect();
    if let Err(error) = drop_capabilities(&kept) {
        warn!("the kernel witness: {error}");
    }
}

/// The folders of files: a file is replaced by another (in a mounted secret a link is), and its folder stays.
fn around(files: &[PathBuf]) -> Vec<PathBuf> {
    let absolute = files
        .iter()
        .filter_map(|file| std::path::absolute(file).ok());
    absolute
        .filter_map(|file| Some(file.parent()?.to_owned()))
        .collect()
}

/// No program that is started may get any capability back. It takes one itself, so it comes first.
fn drop_bounding() {
    for capability in caps::read(None, CapSet::Bounding).unwrap_or_default() {
        if let Err(error) = caps::drop(None, CapSet::Bounding, capability) {
            debug!("{capability} stays in the bounding set: {error}");
        }
    }
}

fn drop_capabilities(kept: &CapsHashSet) -> Result<(), ConfineError> {
    // Kernels before 4.3 have no ambient set.
    let _old = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Effective, kept).map_err(keep("effective capabilities"))?;
    caps::set(None, CapSet::Permitted, kept).map_err(keep("permitted capabilities"))?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())
        .map_err(keep("inheritable capabilities"))
}

/// A root whose folders belong to somebody else needs one capability to get at them.
fn kept(needs: &Needs) -> CapsHashSet {
    let own = Uid::effective();
    let reached = reaches(needs, own, Gid::effective());
    if reached || !own.is_root() {
        return CapsHashSet::new();
    }
    let override_ = Capability::CAP_DAC_OVERRIDE;
    warn!("keeps {override_}: its folders are not root's; `chown` them to the user to run as");
    let permitted = caps::read(None, CapSet::Permitted).unwrap_or_default();
    permitted
        .into_iter()
        .filter(|held| *held == override_)
        .collect()
}

/// Becomes an unprivileged user, if that may be; its name.
fn become_user(needs: &Needs) -> Result<Option<String>, ConfineError> {
    let named = |name: &str| User::from_name(name).ok().flatten();
    let user = match &needs.user {
        Some(name) => named(name).ok_or_else(|| ConfineError::NoUser(name.clone()))?,
        None => match USERS.into_iter().find_map(named) {
            Some(user) => user,
            None => return Ok(None),
        },
    };
    if user.uid.is_root() {
        return Ok(None);
    }
    if needs.witness {
        info!(
            "stays root for the kernel witness, which has a thread of its own; the rest has no capabilities"
        );
        return Ok(None);
    }
    // Before anything changes hands: what root has given away it cannot get at without capabilities.
    if !would_reach(needs, &user) {
        warn!(
            "stays root, without capabilities: user {:?} cannot reach its folders; `chmod o+x` what is above them, or name another with --user",
            user.name
        );
        return Ok(None);
    }
    for folder in &needs.folders {
        give(folder, &user);
    }
    let changed = setgroups(&[])
        .and_then(|()| setresgid(user.gid, user.gid, user.gid))
        .and_then(|()| setresuid(user.uid, user.uid, user.uid));
    match changed {
        Ok(()) => Ok(Some(user.name)),
        Err(error) => {
            info!(
                "stays the user that it is ({error}: a container, or a user namespace?), without capabilities"
            );
            Ok(None)
        }
    }
}

/// Gives a folder with all that is in it to the user. Links are given, not what they lead to.
fn give(path: &Path, user: &User) {
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    if let Err(error) = std::os::unix::fs::lchown(path, Some(uid), Some(gid)) {
        debug!("{} stays whose it is: {error}", path.display());
        return;
    }
    if !path.is_symlink() && path.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            give(&entry.path(), user);
        }
    }
}

/// Whether a user could get at everything once the folders are its own.
fn would_reach(needs: &Needs, user: &User) -> bool {
    let ours = |file: &&PathBuf| !needs.folders.iter().any(|folder| file.starts_with(folder));
    let mut above = needs.folders.iter().filter_map(|folder| {
        let folder = std::fs::canonicalize(folder).ok()?;
        Some(folder.parent()?.to_owned())
    });
    let rest = Needs {
        files: needs.files.iter().filter(ours).cloned().collect(),
        ..Needs::default()
    };
    above.all(|folder| passes(&folder, user.uid, user.gid)) && reaches(&rest, user.uid, user.gid)
}

/// Whether a user without capabilities can pass through a folder and all above it.
fn passes(folder: &Path, uid: Uid, gid: Gid) -> bool {
    folder.ancestors().all(|folder| may(folder, uid, gid, 1))
}

/// Whether the mode gives a user these rights: 4 read, 2 write, 1 pass.
fn may(path: &Path, uid: Uid, gid: Gid, bits: u32) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| {
        let shift = if meta.uid() == uid.as_raw() {
            6
        } else if meta.gid() == gid.as_raw() {
            3
        } else {
            0
        };
        meta.mode() >> shift & bits == bits
    })
}

/// Whether a user without capabilities can get at all that is needed.
fn reaches(needs: &Needs, uid: Uid, gid: Gid) -> bool {
    let reach = |path: &PathBuf, bits: u32| {
        let Ok(path) = std::fs::canonicalize(path) else {
            // What is not there is not needed.
            return true;
        };
        let above = path.parent().is_none_or(|above| passes(above, uid, gid));
        above && may(&path, uid, gid, bits)
    };
    needs.folders.iter().all(|folder| reach(folder, 7))
        && needs.files.iter().all(|file| reach(file, 4))
}

/// From now on this thread, and those that it starts, open nothing else: they read `readable` and what is beneath, and
/// do as they like in `folders`.
///
/// # Errors
/// The kernel has landlock and refuses.
pub fn seal(folders: &[PathBuf], readable: &[PathBuf]) -> Result<(), ConfineError> {
    let read = AccessFs::from_read(RIGHTS);
    let sealed = (|| {
        Ruleset::default()
            .handle_access(AccessFs::from_all(RIGHTS))?
            .create()?
            .add_rules(path_beneath_rules(NAMES, read))?
            .add_rules(path_beneath_rules(readable, read))?
            .add_rules(path_beneath_rules(folders, AccessFs::from_all(RIGHTS)))?
            .restrict_self()
    })();
    let status = sealed.map_err(keep::<landlock::RulesetError>("other files"))?;
    if status.ruleset == RulesetStatus::NotEnforced {
        info!("this kernel has no landlock: files are kept from this agent by their rights only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_sealed_thread_opens_its_own_folder_and_nothing_else() {
        let own = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let secret = other.path().join("secret");
        fs::write(&secret, "x").unwrap();
        fs::write(own.path().join("there"), "x").unwrap();
        // A link out of the folder leads nowhere.
        std::os::unix::fs::symlink(&secret, own.path().join("link")).unwrap();
        let folder = own.path().to_owned();
        let sealed = std::thread::spawn(move || {
            seal(std::slice::from_ref(&folder), &[]).unwrap();
            let denied = |result: std::io::Result<()>| {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
            };
            denied(fs::read(&secret).map(drop));
            denied(fs::write(&secret, "y"));
            denied(fs::remove_file(&secret));
            denied(fs::read(folder.join("link")).map(drop));
            denied(fs::read("/etc/passwd").map(drop));
            denied(fs::read("/proc/self/environ").map(drop));
            denied(std::process::Command::new("/bin/true").status().map(drop));
            fs::write(folder.join("new"), "z").unwrap();
            fs::rename(folder.join("new"), folder.join("there")).unwrap();
            assert_eq!(fs::read(folder.join("there")).unwrap(), b"z");
            fs::read("/etc/hosts").unwrap();
            // A thread that it starts is sealed, too.
            std::thread::spawn(move || denied(fs::read(&secret).map(drop)))
                .join()
                .unwrap();
        });
        sealed.join().unwrap();
        fs::read("/etc/passwd").unwrap();
    }

    #[test]
    fn a_certificate_that_takes_the_place_of_another_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("agent.pem");
        fs::write(&own, "old").unwrap();
        let needs = Needs {
            files: vec![own.clone()],
            ..Needs::default()
        };
        // In a thread, which alone is confined; as root it would become somebody else.
        let (ready, told) = std::sync::mpsc::channel();
        let (go, replaced) = std::sync::mpsc::channel();
        let read = own.clone();
        let confined = std::thread::spawn(move || {
            seal(&needs.folders, &around(&needs.files)).unwrap();
            ready.send(()).unwrap();
            replaced.recv().unwrap();
            fs::read(read)
        });
        told.recv().unwrap();
        fs::write(folder.path().join("new"), "new").unwrap();
        fs::rename(folder.path().join("new"), &own).unwrap();
        go.send(()).unwrap();
        assert_eq!(confined.join().unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_folder_below_a_private_one_is_out_of_a_strangers_reach() {
        use std::os::unix::fs::PermissionsExt as _;
        let private = tempfile::tempdir().unwrap();
        let needs = Needs {
            folders: vec![private.path().to_owned()],
            ..Needs::default()
        };
        let stranger = (Uid::from_raw(65_000), Gid::from_raw(65_000));
        assert!(!reaches(&needs, stranger.0, stranger.1));
        fs::set_permissions(private.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let below_tmp = private.path().ancestors().skip(1);
        let open = below_tmp
            .clone()
            .all(|folder| fs::metadata(folder).unwrap().mode() & 1 == 1);
        assert_eq!(reaches(&needs, stranger.0, stranger.1), open);
    }
}
