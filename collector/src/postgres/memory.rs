//! How much memory a server of ours takes to keep pages in.

use std::path::Path;

use nix::sys::sysinfo::sysinfo;

const MIB: u64 = 1 << 20;
/// Of all memory that this process may use.
const SHARE: u64 = 8;
/// What every Postgres begins with, and past which a join is hardly faster.
pub(super) const LEAST: u64 = 128 * MIB;
const MOST: u64 = 1024 * MIB;

/// Octets for `shared_buffers`: an eighth of the memory that the machine has and the control group allows.
pub(super) fn shared_buffers() -> u64 {
    let machine = sysinfo().map_or(0, |info| info.ram_total());
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    share_of(machine.min(allowed(&groups, Path::new("/sys/fs/cgroup"))))
}

fn share_of(memory: u64) -> u64 {
    (memory / SHARE).clamp(LEAST, MOST)
}

/// The least limit of the groups that `/proc/self/cgroup` tells of, and of those around them (cgroups(7)). In a container
/// the path may be one of the machine's, of which only its root is there.
fn allowed(groups: &str, mounted: &Path) -> u64 {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (root, file) = match controllers {
            "" => (mounted.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mounted.join("memory"), "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        let around = Path::new(path.trim_start_matches('/')).ancestors();
        around
            .filter_map(|group| limit(&root.join(group).join(file)))
            .collect()
    });
    limits.min().unwrap_or(u64::MAX)
}

/// `None` where there is none, which version 2 calls `max`.
fn limit(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_of_what_there_is_within_bounds() {
        assert_eq!(share_of(0), 128 * MIB);
        assert_eq!(share_of(1024 * MIB), 128 * MIB);
        assert_eq!(share_of(4096 * MIB), 512 * MIB);
        assert_eq!(share_of(u64::MAX), 1024 * MIB);
        assert!((128 * MIB..=1024 * MIB).contains(&shared_buffers()));
    }

    #[test]
    fn the_narrowest_group_around_counts() {
        let mounted = tempfile::tempdir().unwrap();
        let write = |file: &str, limit: &str| {
            let file = mounted.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, limit).unwrap();
        };
        let allowed = |groups| allowed(groups, mounted.path());
        assert_eq!(allowed("0::/a/b\n"), u64::MAX);
        write("a/b/memory.max", "max\n");
        assert_eq!(allowed("0::/a/b\n"), u64::MAX);
        write("a/memory.max", "4096\n");
        assert_eq!(allowed("0::/a/b\n"), 4096);
        assert_eq!(allowed("0::/elsewhere\n"), u64::MAX);
        // Version 1, in a container that sees its own group as the root.
        write("memory/memory.limit_in_bytes", "2048\n");
        let groups = "9:cpu,cpuacct:/a\n5:memory:/docker/0123\n0::/a/b\n";
        assert_eq!(allowed(groups), 2048);
    }
}
