//! Where PHP's structures keep what is read of them, by version: offsets in bytes, on 64-bit machines, of builds without threads.
//!
//! They follow from the structures in the sources of each version (`zend_compile.h`, `zend_globals.h`) and do not change within a
//! minor version; those of 8.0 and 8.1 were not tried on a program. A build of PHP may differ all the same, so nothing is believed before
//! [`Engine::find`](super::engine::Engine::find) has checked it, and no function without its instruction.

#[derive(Debug)]
pub(super) struct Layout {
    /// Major and minor version.
    pub version: (u32, u32),
    /// The call that is at work, in the variables of the engine.
    pub current: u64,
    /// In a function that is written in PHP: how many instructions it has, where they are, and its file, behind which its first
    /// line stands.
    pub count: u64,
    pub instructions: u64,
    pub file: u64,
    /// In a function that is written in C: what it belongs to.
    pub extension: u64,
}

impl Layout {
    pub fn of(version: &str) -> Result<&'static Self, String> {
        if cfg!(not(target_pointer_width = "64")) {
            return Err("the lines of PHP are read on 64-bit machines only".to_owned());
        }
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        let minor = numbers.next().zip(numbers.next());
        LAYOUTS.iter().find(|layout| Some(layout.version) == minor).ok_or_else(|| {
            format!(
                "it runs PHP {version}, and fissure knows how 7.4 to 8.5 keep their functions: run the app with one of those to \
                 see its lines"
            )
        })
    }
}

const LAYOUTS: [Layout; 7] = [
    Layout { version: (7, 4), current: 488, count: 60, instructions: 64, file: 136, extension: 56 },
    Layout { version: (8, 0), current: 488, count: 68, instructions: 72, file: 144, extension: 64 },
    Layout { version: (8, 1), current: 488, count: 68, instructions: 72, file: 144, extension: 64 },
    Layout { version: (8, 2), current: 488, count: 80, instructions: 88, file: 152, extension: 80 },
    Layout { version: (8, 3), current: 488, count: 76, instructions: 80, file: 144, extension: 80 },
    Layout { version: (8, 4), current: 488, count: 96, instructions: 104, file: 168, extension: 96 },
    Layout { version: (8, 5), current: 512, count: 96, instructions: 104, file: 168, extension: 96 },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_first_two_numbers() {
        assert_eq!(Layout::of("8.2.31-1+deb12u1").unwrap().version, (8, 2));
        for unknown in ["5.6.40", "8.19.0", "9.0.0-dev", "8", "", "x.y"] {
            assert!(Layout::of(unknown).is_err(), "{unknown}");
        }
    }
}
