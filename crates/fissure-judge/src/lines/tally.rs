//! Samples counted by the innermost place in the app's own files.

use std::collections::{BTreeMap, BTreeSet};

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame, Stack};

use super::origin::{Origin, is_nameless, origin, short_name};
use super::relay::Relays;
use super::{engine, mapper};
use crate::judgement::Spot;

/// What calls an asynchronous function of JavaScript again when that for which it waited has come.
const GOES_ON: &str = "runMicrotasks";
/// What takes this part of the CPU is what the CPU goes to.
const MOST: f64 = 0.5;

/// A function of the app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Function {
    pub function: String,
    pub file: String,
    /// Where many functions of a file have the same name, or none: each line for itself.
    pub line: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub count: u64,
    /// Of those, samples in which nothing but the app's own code and its language was at work.
    pub own: u64,
    /// Samples in which an object-relational mapper was at work.
    pub mapped: u64,
}

impl Count {
    /// What the line itself is to blame for.
    pub fn blamed(self, with_mapped: bool) -> u64 {
        self.own + if with_mapped { self.mapped } else { 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    pub count: u64,
    pub own: u64,
    pub lines: BTreeMap<u32, Count>,
    pub is_library: bool,
    /// Of those, samples in which it had a database asked, or went on with an answer that it had waited for.
    pub asking: u64,
    /// Of those, samples in which a database in the process was at work, or a mapper.
    engines: BTreeMap<&'static str, u64>,
    /// Functions of libraries that worked for it.
    libraries: BTreeMap<String, u64>,
    /// The next places of the app further out, in another file.
    callers: BTreeMap<Spot, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// All samples, also those outside the app's own files.
    pub total: u64,
    pub functions: BTreeMap<Function, Found>,
    /// Of those outside, samples in which a database in the process was at work.
    pub engines_outside: BTreeMap<&'static str, u64>,
}

impl Found {
    /// The library function that most of the time goes to, if less than half of it is the app's own work; or the database.
    pub fn busiest_library(&self) -> Option<String> {
        if let Some((name, _)) = self.engines.iter().find(|(_, count)| 2 * **count >= self.count) {
            return Some((*name).to_owned());
        }
        let (name, _) = self.libraries.iter().max_by_key(|(_, count)| **count)?;
        (2 * self.own < self.count).then(|| name.clone())
    }
}

impl Found {
    /// Where most of it was called from.
    pub fn busiest_caller(&self) -> Option<Spot> {
        let (spot, count) = self.callers.iter().max_by_key(|(_, count)| **count)?;
        (2 * *count >= self.count).then(|| spot.clone())
    }
}

impl Tally {
    /// What ran. None when no sample was taken.
    ///
    /// A process may have been seen by two instruments: that of its language counts, if it found the app's lines.
    pub fn of_running(profiles: &[&Profile]) -> Option<Self> {
        let mut tally = Self::default();
        let processes: BTreeSet<u32> =
            profiles.iter().flat_map(|p| &p.stacks).filter(|s| runs(s)).map(|s| s.process).collect();
        for process in processes {
            let saw = profiles.iter().filter(|p| p.stacks.iter().any(|s| runs(s) && s.process == process));
            // An app that is itself an installed package has no file of its own: then the packages' lines are better than none.
            let is_own = saw.clone().any(|p| named(p, process, Origin::Own) > 0.0);
            let whose = if is_own { Origin::Own } else { Origin::Library };
            let best = saw.max_by(|a, b| named(a, process, whose).total_cmp(&named(b, process, whose)));
            let Some(profile) = best else { continue };
            let within = engine::within_extensions(profiles, process);
            let stacks = || profile.stacks.iter().filter(|s| runs(s) && s.process == process);
            let relays = Relays::of(profile, stacks());
            for stack in stacks() {
                tally.add(profile, stack, whose, within, &relays);
            }
        }
        (tally.total > 0).then_some(tally)
    }

    /// `within`: the database that is at work where the instrument sees an extension of its language.
    fn add(
        &mut self,
        profile: &Profile,
        stack: &Stack,
        whose: Origin,
        within: Option<&'static str>,
        relays: &Relays<'_>,
    ) {
        self.total += stack.count;
        let frames: Vec<&Frame> = profile.frames(stack).collect();
        let Some(depth) = frames.iter().position(|f| origin(f) == whose && f.line.is_some()) else {
            if let Some(engine) = frames.iter().find_map(|f| engine::of(f)) {
                *self.engines_outside.entry(engine).or_default() += stack.count;
            }
            return;
        };
        let (frame, inner) = (frames[depth], &frames[..depth]);
        let (Some(file), Some(line)) = (&frame.file, frame.line) else { return };
        // The library's outermost function is what the app called.
        let library = frames[..=depth].iter().rev().find(|f| origin(f) == Origin::Library);
        let of_extension = || within.filter(|_| inner.iter().any(|f| engine::is_extension(f)));
        let engine = inner.iter().find_map(|f| engine::of(f)).or_else(of_extension);
        let mapper = inner.iter().find_map(|f| mapper::of(f)).filter(|_| engine.is_none());
        let library = library.filter(|_| engine.is_none());
        if library.is_some() && relays.has(frame) {
            return;
        }
        let own_line = is_nameless(&frame.function).then_some(line);
        let key = Function { function: frame.function.clone(), file: file.clone(), line: own_line };
        let found = self.functions.entry(key).or_default();
        let own = if library.is_none() { stack.count } else { 0 };
        let is_caller =
            |f: &&&Frame| origin(f) == whose && f.line.is_some() && f.file != frame.file && !relays.has(f);
        if let Some(caller) = frames[depth + 1..].iter().find(is_caller)
            && let (Some(file), Some(line)) = (&caller.file, caller.line)
        {
            let spot = Spot { function: short_name(&caller.function), file: file.clone(), line };
            *found.callers.entry(spot).or_default() += stack.count;
        }
        let at = found.lines.entry(line).or_default();
        at.count += stack.count;
        at.own += own;
        at.mapped += if mapper.is_some() { stack.count } else { 0 };
        found.count += stack.count;
        found.own += own;
        found.is_library = whose == Origin::Library;
        let goes_on = library.is_none() && frames.get(depth + 1).is_some_and(|f| f.function == GOES_ON);
        found.asking += if mapper.is_some() || goes_on { stack.count } else { 0 };
        if let Some(engine) = mapper.or(engine) {
            *found.engines.entry(engine).or_default() += stack.count;
        }
        if let Some(library) = library {
            *found.libraries.entry(short_name(&library.function)).or_default() += stack.count;
        }
    }

    /// The database in the process that does most of the work that no line of the app is seen to ask for, and its share of all.
    pub fn engine_outside(&self) -> Option<(&'static str, f64)> {
        let (name, count) = self.engines_outside.iter().max_by_key(|(_, count)| **count)?;
        let share = *count as f64 / self.total as f64;
        (share >= MOST).then_some((*name, share))
    }

    pub fn share(&self, key: &Function) -> f64 {
        self.functions.get(key).map_or(0.0, |found| found.count as f64 / self.total as f64)
    }

    pub fn blamed_share_of_line(&self, key: &Function, line: u32, with_mapped: bool) -> f64 {
        let at = self.functions.get(key).and_then(|found| found.lines.get(&line));
        at.map_or(0.0, |at| at.blamed(with_mapped) as f64 / self.total as f64)
    }
}

fn runs(stack: &Stack) -> bool {
    stack.doing == Doing::Running
}

/// The share of a process's running samples in which an instrument found a line of the app, or of a package.
fn named(profile: &Profile, process: u32, whose: Origin) -> f64 {
    let of = |keep: &dyn Fn(&&Stack) -> bool| {
        let stacks = profile.stacks.iter().filter(|s| runs(s) && s.process == process).filter(keep);
        stacks.map(|s| s.count).sum::<u64>() as f64
    };
    let own = |s: &&Stack| profile.frames(s).any(|f| origin(f) == whose && f.line.is_some());
    of(&own) / of(&|_| true).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str, line: u32, in_app: bool) -> Frame {
        Frame {
            function: function.to_owned(),
            file: Some(file.to_owned()),
            line: Some(line),
            in_app,
            ..Frame::default()
        }
    }

    fn profile(instrument: &str, frames: Vec<Frame>, stacks: &[(u32, &[u32], u64)]) -> Profile {
        let stacks = stacks.iter().map(|&(process, frames, count)| Stack {
            process,
            frames: frames.to_vec(),
            count,
            ..Stack::default()
        });
        Profile { instrument: instrument.to_owned(), frames, stacks: stacks.collect(), ..Profile::default() }
    }

    /// A list that loaded what belongs to each of its rows by a statement of its own was told to need more CPUs.
    #[test]
    fn what_a_mapper_does_for_a_line_is_counted_apart() {
        let frames = vec![
            frame("_emit_lazyload", "lib/site-packages/sqlalchemy/orm/strategies.py", 9, false),
            frame("stars", "models.py", 51, true),
            frame("sqlalchemy", "sqlalchemy/mine.py", 3, true),
        ];
        let shop = profile("python", frames, &[(1, &[0, 1], 30), (1, &[1], 10), (1, &[2], 5)]);
        let tally = Tally::of_running(&[&shop]).unwrap();
        let (_, found) = tally.functions.iter().find(|(key, _)| key.function == "stars").unwrap();
        let count = found.lines[&51];
        assert_eq!((count.own, count.mapped), (10, 30));
        assert_eq!((count.blamed(false), count.blamed(true)), (10, 40));
        assert_eq!(found.busiest_library().as_deref(), Some("SQLAlchemy"));
        assert!(tally.functions.values().all(|f| f.own > 0), "an app's own folder is its own");
    }

    /// Of a registry that was installed by its package manager the report said that no profiler had looked.
    #[test]
    fn an_app_that_is_a_package_is_named_by_the_packages_lines() {
        let frames = vec![
            frame("_encipher", "node_modules/bcryptjs/bcrypt.js", 9, false),
            frame("login", "node_modules/registry/auth.js", 3, false),
            frame("tick", "node:internal/timers", 1, false),
        ];
        let tally =
            Tally::of_running(&[&profile("node", frames, &[(1, &[0, 1, 2], 30), (1, &[2], 10)])]).unwrap();
        let (key, found) = tally.functions.first_key_value().unwrap();
        assert_eq!((tally.functions.len(), tally.total), (1, 40));
        assert_eq!((&*key.function, found.count, found.own), ("_encipher", 30, 0), "it is not the app's own");
        assert!(found.is_library);
    }

    /// Of a Django app whose pages cost alike the report said that a middleware takes 39 % of the CPU, in its line that calls the next one.
    #[test]
    fn what_a_framework_does_behind_a_middleware_is_not_the_middlewares() {
        let library = |function: &str| frame(function, "lib/site-packages/django/core.py", 9, false);
        let mut frames = vec![library("load_session"), library("inner"), frame("seen", "seen.py", 7, true)];
        frames.extend(["home", "works", "members"].map(|view| frame(view, "views.py", 3, true)));
        let views: [(u32, &[u32], u64); 5] = [
            (1, &[0, 1, 2, 1], 40),
            (1, &[3, 1, 2, 1], 20),
            (1, &[4, 1, 2, 1], 20),
            (1, &[0, 5, 1, 2, 1], 15),
            (1, &[2, 1], 5),
        ];
        let tally = Tally::of_running(&[&profile("python", frames.clone(), &views)]).unwrap();
        let counts: Vec<(&str, u64)> =
            tally.functions.iter().map(|(key, found)| (&*key.function, found.count)).collect();
        assert_eq!(counts, [("home", 20), ("members", 15), ("seen", 5), ("works", 20)], "its own work stays");
        assert_eq!(tally.total, 100);
        assert!(tally.functions.values().all(|found| found.busiest_caller().is_none()));

        // Below a line that asks a library for something of its own the library works for that line.
        let one: [(u32, &[u32], u64); 2] = [(1, &[0, 1, 2, 1], 40), (1, &[3, 1, 2, 1], 60)];
        let tally = Tally::of_running(&[&profile("python", frames, &one)]).unwrap();
        assert_eq!(tally.functions.values().map(|found| found.count).collect::<Vec<_>>(), [60, 40]);
    }

    fn shop() -> Profile {
        let library = "/home/me/.cargo/registry/src/image/src/resize.rs";
        let frames = vec![
            frame("resample", library, 9, false),
            frame("shop::resize", "src/shop.rs", 27, true),
            frame("core::add", "/rustc/a/library/core/add.rs", 3, false),
            frame("shop::price", "src/shop.rs", 41, true),
            frame("shop::price", "src/shop.rs", 42, true),
            frame("main", "src/main.rs", 1, true),
        ];
        profile(
            "native",
            frames,
            &[(1, &[0, 1, 5], 60), (1, &[2, 3, 5], 20), (1, &[4, 5], 10), (1, &[0], 10)],
        )
    }

    #[test]
    fn a_sample_counts_for_the_innermost_line_of_the_app() {
        let shop = shop();
        let tally = Tally::of_running(&[&shop]).unwrap();
        let found = |function: &str| {
            let key = Function { function: function.to_owned(), file: "src/shop.rs".to_owned(), line: None };
            tally.functions[&key].clone()
        };
        assert_eq!(tally.total, 100, "what no line of the app asked for counts too");
        assert_eq!((found("shop::resize").count, found("shop::resize").own), (60, 0));
        assert_eq!(
            found("shop::resize").busiest_caller().map(|at| (at.function, at.line)),
            Some(("main".to_owned(), 1))
        );
        assert!(!found("shop::resize").is_library, "although the library's function may have the same name");
        assert_eq!(found("shop::resize").busiest_library().as_deref(), Some("resample"));
        assert_eq!(
            (found("shop::price").count, found("shop::price").own),
            (30, 30),
            "the language is no library"
        );
        assert_eq!(found("shop::price").busiest_library(), None);
        assert_eq!(found("shop::price").lines[&41], Count { count: 20, own: 20, mapped: 0 });
        assert_eq!(tally.functions.len(), 2, "main only called them");
    }

    #[test]
    fn the_instrument_that_knows_the_language_counts_for_its_process() {
        let native = profile(
            "native",
            vec![frame("interpret", "/usr/bin/node", 1, false)],
            &[(1, &[0], 500), (2, &[0], 50)],
        );
        let node = profile("node", vec![frame("total", "app.js", 7, true)], &[(1, &[0], 100)]);
        let tally = Tally::of_running(&[&native, &node]).unwrap();
        assert_eq!(tally.total, 150, "process 2 was seen by one only");
        assert_eq!(tally.functions.len(), 1);
    }

    /// What SQLite does for a statement is the statement's, whoever asked it for the line: an index may do away with it.
    #[test]
    fn a_database_in_the_process_works_for_the_line_that_asks_it() {
        let module = |function: &str, name: &str| Frame {
            function: function.to_owned(),
            module: Some(name.to_owned()),
            ..Frame::default()
        };
        let wrapper = frame("rusqlite::query", "/home/me/.cargo/registry/src/rusqlite/src/lib.rs", 9, false);
        let frames =
            vec![module("sqlite3VdbeExec", "shop"), wrapper, frame("shop::find", "src/shop.rs", 5, true)];
        let native = profile("native", frames, &[(1, &[0, 1, 2], 40), (1, &[1, 2], 10)]);
        let tally = Tally::of_running(&[&native]).unwrap();
        let key = Function { function: "shop::find".to_owned(), file: "src/shop.rs".to_owned(), line: None };
        let found = &tally.functions[&key];
        assert_eq!((found.count, found.own), (50, 40), "the wrapper alone is a library");
        assert_eq!(found.busiest_library().as_deref(), Some("SQLite"));

        // Python sees that it is in C code; who knows shared libraries sees whose.
        let python = profile(
            "python",
            vec![module("C code", "extension.so"), frame("find", "app.py", 26, true)],
            &[(1, &[0, 1], 90)],
        );
        for (library, own) in [("libsqlite3.so.0.8.6", 90), ("_imaging.so", 0)] {
            let native = profile("native", vec![module("step", library)], &[(1, &[0], 500)]);
            let tally = Tally::of_running(&[&native, &python]).unwrap();
            assert_eq!(tally.functions.values().next().unwrap().own, own, "{library}");
        }
    }

    #[test]
    fn nothing_ran_is_no_tally() {
        assert_eq!(Tally::of_running(&[]), None);
        assert_eq!(Tally::of_running(&[&Profile::default()]), None);
    }
}
