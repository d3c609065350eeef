//! `fissure demo`: the whole story on the embedded photo shop.
//!
//! The shop is unpacked into a folder and checked exactly as a foreign app is; nothing outside this file knows it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::cli::DemoArgs;
use crate::commands::check;
use crate::exit::{Exit, Failure};
use crate::project::{CONFIG_NAME, Project};
use crate::runs;

/// What the shop's `fissure.toml` takes the thumbnails of one photo to cost.
const PHOTO_MS_OF_THE_GOAL: f64 = 50.0;
/// Photos that are shrunk to learn how fast this machine is.
const PHOTOS: usize = 7;

pub fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let folder = args.folder.clone().unwrap_or_else(fresh_folder);
    let photo_ms = photo_ms();
    unpack(&folder, photo_ms).map_err(|e| {
        Failure::new(Exit::CouldNotTell, format!("{} cannot be written: {e}.", folder.display()))
    })?;
    if !args.measure.json {
        anstream::eprintln!(
            "A small photo shop is unpacked in {} and checked like any app. Here it needs {photo_ms:.0} ms for the \
             thumbnails of a photo; its goal is set to what such a machine should stand.\n",
            folder.display()
        );
    }
    let mut project = Project::load(&folder)?;
    check::measure(&mut project, "demo", false, &args.measure)
}

/// The shop itself: the hidden verb that its `fissure.toml` names.
pub fn photo_shop() -> Result<Exit, Failure> {
    let port = std::env::var("PORT").ok().and_then(|p| p.parse().ok()).unwrap_or(8000);
    ::photo_shop::main(Path::new("."), port)
        .map(|()| Exit::Met)
        .map_err(|e| Failure::new(Exit::NotStarted, format!("the photo shop ended: {e}.")))
}

fn fresh_folder() -> PathBuf {
    std::env::temp_dir().join(format!("fissure-demo-{}", runs::new_name(rand::random())))
}

fn unpack(folder: &Path, photo_ms: f64) -> std::io::Result<()> {
    let program = std::env::current_exe()?;
    for (name, bytes) in ::photo_shop::FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if *name == CONFIG_NAME {
            // The lesson starts the shop's own program; the demo starts the one that is embedded here.
            let embedded = format!("\"exec '{}' __photo-shop\"", program.display());
            let text = String::from_utf8_lossy(bytes).replace("\"photo-shop\"", &embedded);
            std::fs::write(&path, fit_goal(&text, photo_ms / PHOTO_MS_OF_THE_GOAL))?;
        } else {
            std::fs::write(&path, bytes)?;
        }
    }
    Ok(())
}

/// CPU milliseconds that the thumbnails of one photo cost here.
///
/// The shop's crack shows when a photo takes longer than a page may; on a machine twice as fast the goal of a slower one is no
/// goal. So the demo asks for as much more as the machine is faster.
fn photo_ms() -> f64 {
    let sample = ::photo_shop::FILES.iter().find(|(name, _)| name.ends_with(".jpg")).map(|(_, bytes)| *bytes);
    let cpu_time = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let mut times: Vec<Duration> = (0..PHOTOS)
        .map(|_| {
            let began = cpu_time();
            let _ = std::hint::black_box(::photo_shop::shrink(sample.unwrap_or_default()));
            cpu_time().saturating_sub(began)
        })
        .collect();
    times.sort_unstable();
    times[PHOTOS / 2].as_secs_f64() * 1e3
}

/// The configuration with a goal for a machine on which everything takes `times` as long.
fn fit_goal(text: &str, times: f64) -> String {
    let line = |line: &str| {
        let Some((key, value)) = line.split_once('=') else { return line.to_owned() };
        match key.trim() {
            "requests_per_s" => format!("{key}= {:.0}", 320.0 / times),
            "p95" => format!("{key}= \"{:.1}ms\"", 40.0 * times),
            "\"POST /photos\"" => format!("{key}= {{ p95 = \"{:.0}ms\" }}", 1000.0 * times),
            _ => format!("{key}={value}"),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use fissure_facts::Config;

    use super::*;

    #[test]
    fn a_machine_twice_as_fast_gets_twice_the_goal() {
        let (_, bytes) = ::photo_shop::FILES.iter().find(|(name, _)| *name == CONFIG_NAME).unwrap();
        let text = String::from_utf8_lossy(bytes);
        let (lesson, same) = (Config::parse(&text).unwrap(), Config::parse(&fit_goal(&text, 1.0)).unwrap());
        assert_eq!(lesson, same);
        let fast = Config::parse(&fit_goal(&text, 0.5)).unwrap();
        assert_eq!(fast.goal.requests_per_s.unwrap(), lesson.goal.requests_per_s.unwrap() * 2.0);
        assert_eq!(fast.goal.slo.limit_us() * 2, lesson.goal.slo.limit_us());
        for (route, slo) in &lesson.goal.routes {
            assert_eq!(fast.goal.routes[route].limit_us() * 2, slo.limit_us());
        }
    }

    #[test]
    fn the_speed_of_this_machine_is_measured_not_assumed() {
        assert!(photo_ms() > 0.1);
    }
}
