//! Time that the hypervisor takes away because of what the app itself does.
//!
//! In a virtual machine a disk is a program of the hypervisor's: who writes much leaves the CPU to it for a moment at every request, and
//! the kernel books that as stolen. An app that wrote 55 MB/s had 13 % of its CPUs stolen where quiet windows beside it had 1 to 6 %,
//! and every window of it was void. So steal that comes and goes with what the app writes is its own cost, not a neighbour's.

use fissure_facts::Window;
use fissure_facts::fact::ProbeSecond;

use crate::stats;

/// Windows of each kind, with little and with much written, below which nobody can tell.
const WINDOWS_LEAST: usize = 3;
/// Less than this is not written often enough to be felt, whatever else rises with it.
const WRITTEN_LEAST: f64 = 1e6;
/// Of the most that a window wrote per second, up to which one wrote little ...
const LITTLE: f64 = 0.25;
/// ... and from which on it wrote much.
const MUCH: f64 = 0.5;

/// The same windows, of which only the steal is left that does not go with what was written.
pub fn left_out(mut windows: Vec<Window>) -> Vec<Window> {
    let Some(stolen_s_per_byte) = stolen_s_per_byte(&windows) else { return windows };
    for probe in windows.iter_mut().flat_map(|w| &mut w.probes) {
        probe.steal_s = (probe.steal_s - stolen_s_per_byte * probe.write_bytes as f64).max(0.0);
    }
    windows
}

/// Seconds that are stolen for each byte that is written; None where it cannot be told from a neighbour.
///
/// The lower quartile of the windows that wrote much against the upper quartile of those that wrote little: a neighbour who comes and
/// goes by itself is in some windows of both kinds and missing in others, and then nothing is left between them. It does not hold
/// where a neighbour came in the very minute in which the app began to write, and stayed.
fn stolen_s_per_byte(windows: &[Window]) -> Option<f64> {
    let seen: Vec<(f64, f64)> = windows.iter().filter_map(written_and_stolen_per_s).collect();
    let most = seen.iter().map(|(written, _)| *written).fold(0.0, f64::max);
    let kind = |is_of_it: &dyn Fn(f64) -> bool| -> (Vec<f64>, Vec<f64>) {
        seen.iter().filter(|(written, _)| is_of_it(*written)).copied().unzip()
    };
    let (little, stolen_little) = kind(&|written| written <= LITTLE * most);
    let (much, stolen_much) = kind(&|written| written >= MUCH * most);
    if most < WRITTEN_LEAST || little.len().min(much.len()) < WINDOWS_LEAST {
        return None;
    }
    let rise = stats::quantile(&stolen_much, 0.25)? - stats::quantile(&stolen_little, 0.75)?;
    let written = stats::median(&much)? - stats::median(&little)?;
    (rise > 0.0).then(|| rise / written)
}

fn written_and_stolen_per_s(window: &Window) -> Option<(f64, f64)> {
    let of = |value: &dyn Fn(&ProbeSecond) -> f64| window.probes.iter().map(value).sum::<f64>();
    let elapsed_s = of(&|p| p.elapsed_s);
    (elapsed_s > 0.0).then(|| (of(&|p| p.write_bytes as f64) / elapsed_s, of(&|p| p.steal_s) / elapsed_s))
}
