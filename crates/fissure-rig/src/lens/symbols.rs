//! From places in programs to functions, files and lines, with what the compiler inlined there.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};
use fissure_facts::profile::Frame;

use super::source::Sources;
use super::unwind::Place;

/// The frames at each of `places`, innermost first: several where calls were inlined.
pub(super) fn frames(
    places: impl Iterator<Item = Place>,
    sources: &mut Sources,
) -> HashMap<Place, Vec<Frame>> {
    let mut by_module: BTreeMap<Arc<Path>, Vec<u64>> = BTreeMap::new();
    for place in places {
        by_module.entry(place.module).or_default().push(place.address);
    }
    let symbolizer = Symbolizer::new();
    let mut found = HashMap::new();
    for (module, mut addresses) in by_module {
        addresses.sort_unstable();
        addresses.dedup();
        let source = Source::Elf(Elf::new(&*module));
        let symbols = symbolizer.symbolize(&source, Input::VirtOffset(&addresses)).unwrap_or_default();
        let mut symbols = symbols.into_iter();
        for address in addresses {
            let symbol = symbols.next().and_then(Symbolized::into_sym);
            let frames = match &symbol {
                Some(symbol) => nested(symbol, &module, sources),
                None => vec![nameless(&module, address)],
            };
            found.insert(Place { module: Arc::clone(&module), address }, frames);
        }
    }
    found
}

/// A function with everything that was inlined at the address. Each function's own line is where it calls the next.
fn nested(symbol: &Sym<'_>, module: &Path, sources: &mut Sources) -> Vec<Frame> {
    let outer = (symbol.name.as_ref(), symbol.code_info.as_deref());
    let inlined = symbol.inlined.iter().map(|f| (f.name.as_ref(), f.code_info.as_ref()));
    let mut frames: Vec<Frame> = std::iter::once(outer)
        .chain(inlined)
        .enumerate()
        .map(|(depth, (name, code))| frame(name, code, module, depth > 0, sources))
        .collect();
    frames.reverse();
    frames
}

fn frame(
    name: &str,
    code: Option<&CodeInfo<'_>>,
    module: &Path,
    inlined: bool,
    sources: &mut Sources,
) -> Frame {
    let file = code.map(|code| sources.resolve(&code.to_path()));
    Frame {
        function: name.to_owned(),
        in_app: file.as_ref().is_some_and(|(_, in_app)| *in_app),
        file: file.map(|(path, _)| path),
        line: code.and_then(|code| code.line),
        module: Some(module.to_string_lossy().into_owned()),
        inlined,
    }
}

/// A stripped program has no names: the address at least tells its functions apart.
fn nameless(module: &Path, address: u64) -> Frame {
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    Frame {
        function: format!("{name}+{address:#x}"),
        module: Some(module.to_string_lossy().into_owned()),
        ..Frame::default()
    }
}
