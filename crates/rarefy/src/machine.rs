//! What the machine tells of itself: its processor, and the memory that it has, that is left, and that this process holds.

use std::path::{Path, PathBuf};

/// The processor's name, for records of measurements.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split(':').nth(1)?.trim().to_string())
    };
    let family = named("cpu family").map_or(String::new(), |family| format!(" family {family}"));
    named("model name").map_or_else(|| std::env::consts::ARCH.to_string(), |name| name + &family)
}

/// The most memory that this process has held, in bytes; 0 where the system does not tell.
pub fn peak_rss_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmHWM:").unwrap_or(0)
}

/// The memory that this process holds, in bytes; 0 where the system does not tell.
pub fn rss_bytes() -> u64 {
    kilobytes("/proc/self/status", "VmRSS:").unwrap_or(0)
}

/// The memory that the machine has, in bytes; `None` where the system does not tell.
pub fn memory_bytes() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemTotal:")
}

/// The memory that this process can still have, in bytes: what the machine has left, within the limits of the control
/// groups that the process is in; `None` where the system does not tell.
pub fn free_memory_bytes() -> Option<u64> {
    let machine = kilobytes("/proc/meminfo", "MemAvailable:");
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let within = group_folders(&groups).into_iter().filter_map(|folder| left_of_group(&folder));
    machine.into_iter().chain(within).min()
}

/// A line such as `VmHWM:   1234 kB` of one of the system's files, in bytes.
fn kilobytes(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?)
}

/// The folders of the control groups that limit memory, as `/proc/self/cgroup` names them, with all above them.
fn group_folders(groups: &str) -> Vec<PathBuf> {
    let lines = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            _ if controllers.split(',').any(|controller| controller == "memory") => "/sys/fs/cgroup/memory",
            _ => return None,
        };
        Some((root, path.trim_start_matches('/')))
    });
    lines
        .flat_map(|(root, path)| {
            let within = Path::new(path).ancestors().map(Path::to_path_buf).collect::<Vec<_>>();
            within.into_iter().map(move |path| Path::new(root).join(path))
        })
        .collect()
}

/// What a control group may still take: its limit less what it holds, not counting files that it could forget. `None`
/// without a limit.
fn left_of_group(folder: &Path) -> Option<u64> {
    let number = |name: &str| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse().ok());
    Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_control_groups_count() {
        let groups = "12:cpu,cpuacct:/a\n5:memory:/jobs/b\n0::/user/c\n";
        let expected = ["memory/jobs/b", "memory/jobs", "memory", "user/c", "user", ""];
        let expected: Vec<PathBuf> =
            expected.iter().map(|path| Path::new("/sys/fs/cgroup").join(path)).collect();
        assert_eq!(group_folders(groups), expected);

        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(left_of_group(folder.path()), None);
        put("memory.current", "700\n");
        put("memory.max", "max\n");
        assert_eq!(left_of_group(folder.path()), None);
        put("memory.max", "1000\n");
        assert_eq!(left_of_group(folder.path()), Some(300));
        put("memory.stat", "anon 500\ninactive_file 150\n");
        assert_eq!(left_of_group(folder.path()), Some(450));
        put("memory.current", "2000\n");
        assert_eq!(left_of_group(folder.path()), Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells_its_memory() {
        let (all, free) = (memory_bytes().unwrap(), free_memory_bytes().unwrap());
        assert!(0 < free && free <= all, "{free} of {all}");
        assert!(0 < rss_bytes() && rss_bytes() <= peak_rss_bytes());
    }
}
