//! What resources, processors and lengths of time are called.

use fissure_facts::{Machine, Run};
use fissure_judge::judgement::Resource;

use crate::units::{count, number};

pub(super) fn cpus(run: &Run) -> String {
    count(run.header.machine.app_cpus.len() as u64, "CPU", "CPUs")
}

pub(super) fn same_cpus(run: &Run) -> String {
    match run.header.machine.app_cpus.len() {
        0 => "the same CPUs".to_owned(),
        _ => format!("the same {}", cpus(run)),
    }
}

/// The first word of the app's command that is not a setting: `node`.
pub(super) fn program(run: &Run) -> String {
    let command = &run.header.config.app.command;
    let word = command.split_whitespace().find(|w| !w.contains('=')).unwrap_or("web");
    word.rsplit('/').next().unwrap_or(word).to_owned()
}

/// What a resource class is called.
pub fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "the CPU",
        Resource::OneThread => "one thread (an event loop or an interpreter lock)",
        Resource::Lock => "a lock",
        Resource::Pool => "a pool of connections or workers",
        Resource::Database => "the database",
        Resource::Downstream => "another service",
        Resource::Disk => "the disk",
        Resource::Memory => "memory",
        Resource::NotTheApp => "not the app, but the machine or the load generator",
    }
}

/// Model, memory and kernel.
pub fn machine(machine: &Machine) -> String {
    let model = if machine.cpu_model.is_empty() { "unknown CPU" } else { &machine.cpu_model };
    let gib = machine.memory_bytes as f64 / (1u64 << 30) as f64;
    format!("{model}, {} GiB of memory, kernel {}", number(gib), machine.kernel)
}

/// `CPU 0`, `CPUs 0, 2`.
pub fn cpu_list(cpus: &[usize]) -> String {
    let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    match list.as_slice() {
        [] => "no CPU of its own".to_owned(),
        [one] => format!("CPU {one}"),
        _ => format!("CPUs {}", list.join(", ")),
    }
}

/// `95 s`, `4 min 10 s`.
pub fn minutes(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}
