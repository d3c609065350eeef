//! Databases that are a library in the app's own process.
//!
//! Their work depends on the statement that a line of the app asks for (an index, a join instead of many questions), so unlike
//! another library's it counts as that line's own.

use fissure_facts::Profile;
use fissure_facts::profile::{Doing, Frame};

use super::origin::{Origin, origin};

/// By a part of a function's or a module's name.
const ENGINES: [(&str, &str); 3] = [("sqlite", "SQLite"), ("duckdb", "DuckDB"), ("rocksdb", "RocksDB")];
/// What an instrument that knows only its language calls the functions of the C compiler.
const EXTENSION: &str = "extension.so";
/// PHP's functions for databases do not say which of them is at work.
const EXTENSION_OF_PHP: &str = "ext/PDO";
/// An engine counts as what is at work in a language's extensions when it does this part of what the process does in them.
const MOST: f64 = 0.5;

/// The engine whose code a frame is.
pub(super) fn of(frame: &Frame) -> Option<&'static str> {
    let module = frame.module.as_deref().unwrap_or_default();
    let file = frame.file.as_deref().filter(|_| !frame.in_app).unwrap_or_default();
    let has = |part: &str| {
        let function = !frame.in_app && frame.function.to_ascii_lowercase().starts_with(part);
        function || [module, file].iter().any(|name| file_name(name).to_ascii_lowercase().contains(part))
    };
    ENGINES.iter().find(|(part, _)| has(part)).map(|(_, name)| *name)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The code of an extension, which its language's instrument cannot name; it runs without the interpreter's lock, where there is one.
pub(crate) fn is_extension(frame: &Frame) -> bool {
    frame.module.as_deref().is_some_and(|module| [EXTENSION, EXTENSION_OF_PHP].contains(&module))
}

/// The engine that does most of what a process does in libraries, as an instrument saw it that knows those.
pub(super) fn within_extensions(profiles: &[&Profile], process: u32) -> Option<&'static str> {
    let stacks = profiles.iter().flat_map(|p| p.stacks.iter().map(move |s| (*p, s)));
    let running = stacks.filter(|(_, s)| s.process == process && s.doing == Doing::Running);
    let (mut all, mut engine) = (0, None::<(&'static str, u64)>);
    for (profile, stack) in running {
        let Some(inner) = profile.frames(stack).next() else { continue };
        if let Some(name) = of(inner) {
            engine = Some((name, engine.map_or(0, |(_, count)| count) + stack.count));
            all += stack.count;
        } else if origin(inner) == Origin::Library && !is_extension(inner) {
            all += stack.count;
        }
    }
    engine.filter(|(_, count)| *count as f64 >= MOST * all as f64).map(|(name, _)| name)
}
