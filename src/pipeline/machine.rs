//! What the machine, or the container on it, has to give.

use crate::units::{ByteSize, SizeOrPercent};
use std::fs;

/// Assumed where the system does not say.
const UNKNOWN: u64 = 2 << 30;

/// The memory that traffic may take: a share is one of the cgroup's limit, where there is one, else of the machine's memory.
pub(in crate::pipeline) fn memory_limit(limit: SizeOrPercent) -> usize {
    let whole = ByteSize::bytes(cgroup().into_iter().chain(machine()).min().unwrap_or(UNKNOWN));
    limit.of(whole).as_usize()
}

/// The limit of the control group, version 2 or 1. "max", and the huge number that version 1 has for it, are no limit.
fn cgroup() -> Option<u64> {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .filter(|&bytes: &u64| bytes < 1 << 60)
}

fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Percentage;

    #[test]
    fn a_share_is_of_what_there_is_and_a_size_is_a_size() {
        assert_eq!(memory_limit(SizeOrPercent::Size(ByteSize::bytes(5 << 20))), 5 << 20);
        let half = memory_limit(SizeOrPercent::Percent(Percentage::try_new(50.0).unwrap()));
        let whole = memory_limit(SizeOrPercent::Percent(Percentage::try_new(100.0).unwrap()));
        assert!(half > 64 << 20 && half.abs_diff(whole / 2) <= 1, "{half} of {whole}");
    }
}
