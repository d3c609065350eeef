//! Which CPUs the app gets, and which are left to the crowd.

use rustix::thread::{CpuSet, sched_getaffinity};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSplit {
    pub app: Vec<usize>,
    pub crowd: Vec<usize>,
    /// Both use the same CPU somewhere: the crowd's own work then shows in the app's figures.
    pub shared: bool,
}

/// Splits the CPUs that fissure itself may use. The crowd gets the first ones, the app the `wanted` last ones
/// (default: all but one). When that leaves the crowd none, both use the first.
pub fn cpu_split(wanted: Option<usize>) -> CpuSplit {
    split(&usable_cpus(), wanted)
}

/// The affinity mask of this process: a container or `taskset` may leave less than the machine has.
fn usable_cpus() -> Vec<usize> {
    let mask = sched_getaffinity(None).unwrap_or_default();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| mask.is_set(cpu)).collect();
    if cpus.is_empty() { vec![0] } else { cpus }
}

fn split(cpus: &[usize], wanted: Option<usize>) -> CpuSplit {
    let wanted = wanted.unwrap_or(cpus.len().saturating_sub(1)).clamp(1, cpus.len());
    let (crowd, app) = cpus.split_at(cpus.len() - wanted);
    if crowd.is_empty() {
        return CpuSplit { app: app.to_vec(), crowd: app[..1].to_vec(), shared: true };
    }
    CpuSplit { app: app.to_vec(), crowd: crowd.to_vec(), shared: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_gets_what_the_app_leaves() {
        let of = |cpus: &[usize], wanted| {
            let s = split(cpus, wanted);
            (s.app, s.crowd, s.shared)
        };
        assert_eq!(of(&[0], None), (vec![0], vec![0], true));
        assert_eq!(of(&[0, 1], None), (vec![1], vec![0], false));
        assert_eq!(of(&[2, 5, 7, 9], None), (vec![5, 7, 9], vec![2], false));
        assert_eq!(of(&[0, 1, 2, 3], Some(1)), (vec![3], vec![0, 1, 2], false));
        assert_eq!(of(&[0, 1, 2, 3], Some(99)), (vec![0, 1, 2, 3], vec![0], true));
        assert_eq!(of(&[0, 1], Some(0)), (vec![1], vec![0], false));
    }

    #[test]
    fn this_machine_has_a_split() {
        let split = cpu_split(None);
        assert!(!split.app.is_empty() && !split.crowd.is_empty());
        assert_eq!(split.shared, split.app.contains(&split.crowd[0]));
    }
}
