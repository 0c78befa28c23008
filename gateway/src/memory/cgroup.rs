//! The memory limit of the process' cgroup, in both versions of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The cgroup whose limit binds the process.
#[derive(Debug)]
pub(super) struct Cgroup {
    /// Bytes.
    pub(super) limit: u64,
    folder: PathBuf,
    version: Version,
}

/// What a version calls its files.
#[derive(Debug)]
struct Version {
    limit: &'static str,
    used: &'static str,
    /// Of `memory.stat`: file contents that the kernel can drop.
    files: [&'static str; 2],
}

const V2: Version = Version {
    limit: "memory.max",
    used: "memory.current",
    files: ["inactive_file ", "active_file "],
};
const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: ["total_inactive_file ", "total_active_file "],
};

impl Cgroup {
    /// The cgroup of this process, or the one above it, with the lowest limit; `None` without a limit.
    pub(super) fn find() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::find_in(Path::new("/sys/fs/cgroup"), &own)
    }

    fn find_in(mount: &Path, own: &str) -> Option<Self> {
        let lines = own.lines().filter_map(|line| line.split_once(':'));
        let groups = lines.filter_map(|(_, rest)| {
            let (controllers, path) = rest.split_once(':')?;
            match controllers {
                "" => Some((mount.to_owned(), path, V2)),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    Some((mount.join("memory"), path, V1))
                }
                _ => None,
            }
        });
        let found = groups.filter_map(|(mount, path, version)| {
            // In a container without a namespace for cgroups the path is the host's, and what is
            // mounted is the container's own.
            let inner = mount.join(path.trim_start_matches('/'));
            let inner = if inner.is_dir() { inner } else { mount.clone() };
            let folders = inner
                .ancestors()
                .take_while(|above| above.starts_with(&mount));
            let limits = folders.filter_map(|folder| {
                let limit = number(&folder.join(version.limit))?;
                Some((limit, folder.to_owned()))
            });
            let (limit, folder) = limits.min_by_key(|(limit, _)| *limit)?;
            (limit < UNLIMITED).then_some(Self {
                limit,
                folder,
                version,
            })
        });
        found.min_by_key(|cgroup| cgroup.limit)
    }

    /// Whether no other process is in it: then what it holds is what this process holds.
    pub(super) fn is_own(&self) -> bool {
        let processes = fs::read_to_string(self.folder.join("cgroup.procs"));
        processes.is_ok_and(|all| all.trim() == std::process::id().to_string())
    }

    /// Bytes that the kernel cannot drop: memory, sockets' buffers, its own structures. Below `enough`
    /// file contents may be among them, as telling them apart takes longer.
    pub(super) fn used(&self, enough: u64) -> Option<u64> {
        let used = number(&self.folder.join(self.version.used))?;
        if used < enough {
            return Some(used);
        }
        let stat = fs::read_to_string(self.folder.join("memory.stat")).ok()?;
        let of = |name: &str| -> u64 {
            let value = stat.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let files: u64 = self.version.files.iter().map(|name| of(name)).sum();
        Some(used.saturating_sub(files))
    }
}

/// A file with one number; `max` is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What version 1 calls no limit is near the largest number; no machine has this much.
const UNLIMITED: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// A mounted tree with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_lowest_limit_above_the_process_counts() {
        let root = tree(&[
            ("pod/memory.max", "1000\n"),
            ("pod/container/memory.max", "max\n"),
            ("pod/container/inner/memory.max", "2000\n"),
        ]);
        let found = Cgroup::find_in(root.path(), "0::/pod/container/inner\n").unwrap();
        assert_eq!((found.limit, found.folder), (1000, root.path().join("pod")));
        assert!(Cgroup::find_in(root.path(), "0::/pod/../other\n").is_none());
    }

    #[test]
    fn a_container_sees_its_own_at_the_top() {
        let root = tree(&[("memory.max", "5000\n"), ("memory.current", "4900\n")]);
        let found = Cgroup::find_in(root.path(), "0::/kubepods/pod1/c1\n").unwrap();
        assert_eq!((found.limit, found.folder.as_path()), (5000, root.path()));
    }

    #[test]
    fn version_1_is_read_too_and_files_do_not_count() {
        let root = tree(&[
            ("memory/a/memory.limit_in_bytes", "8000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/a/memory.usage_in_bytes", "7900\n"),
            (
                "memory/a/memory.stat",
                "cache 9\ntotal_inactive_file 3000\ntotal_active_file 400\n",
            ),
        ]);
        let own = "4:memory:/a\n5:cpu,cpuacct:/a\n0::/\n";
        let found = Cgroup::find_in(root.path(), own).unwrap();
        assert_eq!(found.limit, 8000);
        assert_eq!(found.used(7900), Some(4500));
        assert_eq!(found.used(7901), Some(7900));
        assert!(!found.is_own());
        fs::write(
            found.folder.join("cgroup.procs"),
            format!("{}\n", std::process::id()),
        )
        .unwrap();
        assert!(found.is_own());
    }

    #[test]
    fn without_a_limit_there_is_none() {
        let root = tree(&[("memory/memory.limit_in_bytes", "9223372036854771712\n")]);
        assert!(Cgroup::find_in(root.path(), "4:memory:/\n").is_none());
        assert!(Cgroup::find_in(root.path(), "nonsense").is_none());
    }
}
