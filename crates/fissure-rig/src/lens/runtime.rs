//! What runs a program: its own machine code, or an interpreter whose functions the kernel cannot see.

use std::fs;
use std::path::Path;

use super::go;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Runtime {
    Native,
    Node,
    Python,
    Ruby,
    Php,
    Java,
    Go,
    /// One that no instrument understands, by its name.
    Other(&'static str),
}

/// Programs by the beginning of their name, and libraries by which other programs bring the same interpreter along.
const KNOWN: [(&str, &str, Runtime); 10] = [
    ("node", "libnode.so", Runtime::Node),
    ("python", "libpython", Runtime::Python),
    ("ruby", "libruby", Runtime::Ruby),
    ("php", "libphp", Runtime::Php),
    ("frankenphp", "libfrankenphp", Runtime::Php),
    ("java", "libjvm.so", Runtime::Java),
    ("dotnet", "libcoreclr.so", Runtime::Other(".NET")),
    ("beam", "libbeam", Runtime::Other("Erlang")),
    ("deno", "libdeno", Runtime::Other("Deno")),
    ("bun", "libbun", Runtime::Other("Bun")),
];

impl Runtime {
    pub fn of(pid: u32) -> Self {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let libraries = maps.lines().filter_map(|line| line.split_once('/')).map(|(_, path)| path);
        let by_names =
            Self::by_names(&name_of(&program), libraries.map(|path| path.rsplit('/').next().unwrap_or(path)));
        let is_go = by_names == Self::Native && go::is_go(Path::new(&format!("/proc/{pid}/exe")));
        if is_go { Self::Go } else { by_names }
    }

    fn by_names<'l>(program: &str, libraries: impl Iterator<Item = &'l str> + Clone) -> Self {
        let by_program = KNOWN.iter().find(|(name, ..)| is_version_of(program, name));
        let by_library =
            || KNOWN.iter().find(|(_, library, _)| libraries.clone().any(|l| l.starts_with(library)));
        by_program.or_else(by_library).map_or(Self::Native, |(.., runtime)| *runtime)
    }
}

fn name_of(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `python3.11`, `php-fpm8.2`, `beam.smp`, `nodejs`, but not `nodepad`.
fn is_version_of(program: &str, name: &str) -> bool {
    let Some(rest) = program.strip_prefix(name) else { return false };
    let rest = rest.strip_prefix("js").unwrap_or(rest);
    !rest.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_known_by_its_program_or_by_its_library() {
        for (program, libraries, runtime) in [
            ("node", &[][..], Runtime::Node),
            ("nodejs", &[], Runtime::Node),
            ("python3.13t", &["libc.so.6"], Runtime::Python),
            ("uwsgi-core", &["libc.so.6", "libpython3.11.so.1.0"], Runtime::Python),
            ("apache2", &["libphp8.2.so"], Runtime::Php),
            ("php-fpm8.2", &[], Runtime::Php),
            ("frankenphp", &[], Runtime::Php),
            ("phpize-server", &[], Runtime::Native),
            ("ruby3.1", &[], Runtime::Ruby),
            ("java", &["libjvm.so"], Runtime::Java),
            ("bundler", &["libc.so.6"], Runtime::Native),
            ("nodepad", &[], Runtime::Native),
            ("", &[], Runtime::Native),
        ] {
            assert_eq!(Runtime::by_names(program, libraries.iter().copied()), runtime, "{program}");
        }
    }

    #[test]
    fn this_test_is_a_compiled_program() {
        assert_eq!(Runtime::of(std::process::id()), Runtime::Native);
        assert_eq!(Runtime::of(0), Runtime::Native, "one that is gone is no trouble");
    }
}
