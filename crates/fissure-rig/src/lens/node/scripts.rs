//! From places in scripts to places in the sources that they were made of (TypeScript, bundles), by their source maps
//! (<https://tc39.es/ecma426>).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use fissure_facts::profile::Frame;
use oxc_sourcemap::SourceMap;

use super::calls::line_of_call;
use super::cpu_profile::CallFrame;
use crate::lens::source::Sources;

pub(super) struct Scripts {
    sources: Sources,
    /// By the script's URL, what it says of its source map.
    named: BTreeMap<String, String>,
    maps: HashMap<String, Option<Map>>,
    texts: HashMap<String, Option<String>>,
}

/// What came of which place: generated line and column, and the source with its line, all from 0.
#[derive(Debug, Default)]
struct Map {
    sources: Vec<PathBuf>,
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: u32,
    column: u32,
    source: usize,
    source_line: u32,
}

impl Scripts {
    pub fn new(folders: &[PathBuf]) -> Self {
        Self {
            sources: Sources::new(folders),
            named: BTreeMap::new(),
            maps: HashMap::new(),
            texts: HashMap::new(),
        }
    }

    /// Before the first frame is asked for.
    pub fn learn(&mut self, source_maps: BTreeMap<String, String>) {
        self.named.extend(source_maps);
    }

    /// A frame at the line on which it calls another function, or where it begins.
    pub fn caller(&mut self, at: &CallFrame, callee: &CallFrame) -> Frame {
        let text =
            self.texts.entry(at.url.clone()).or_insert_with(|| fs::read_to_string(path_of(&at.url)?).ok());
        let line = text.as_ref().and_then(|text| {
            let (line, column) = (u32::try_from(at.line_number).ok()?, u32::try_from(at.column_number).ok()?);
            line_of_call(text, line, column, &callee.function_name)
        });
        self.frame(at, line.map(|line| line + 1))
    }

    /// A frame at this line of the script (from 1), or where its function begins.
    pub fn frame(&mut self, at: &CallFrame, line: Option<u32>) -> Frame {
        let begins = u32::try_from(at.line_number).ok();
        let function = if at.function_name.is_empty() { "(anonymous)" } else { &at.function_name };
        let mut frame = Frame { function: function.to_owned(), ..Frame::default() };
        let Some(line) = line.map(|line| line.saturating_sub(1)).or(begins) else { return frame };
        if at.url.is_empty() {
            return frame; // V8's own: the collector, builtins
        }
        // A column is known of the function only: it tells functions of a minified line apart.
        let column = if Some(line) == begins { u32::try_from(at.column_number).unwrap_or(0) } else { 0 };
        frame.line = Some(line + 1);
        let Some(path) = path_of(&at.url) else {
            frame.file = Some(at.url.clone());
            return frame;
        };
        let (file, in_app) = self.sources.resolve(&path);
        (frame.file, frame.in_app) = (Some(file), in_app);
        let map =
            self.maps.entry(at.url.clone()).or_insert_with(|| Map::load(self.named.get(&at.url)?, &path));
        if let Some((source, line)) = map.as_ref().and_then(|map| map.source_of(line, column)) {
            let (file, in_app) = self.sources.resolve(source);
            // A map may name sources that lie elsewhere; then the script itself says more.
            if in_app || file.contains("node_modules/") {
                (frame.file, frame.line, frame.in_app) = (Some(file), Some(line + 1), in_app);
            }
        }
        frame
    }
}

impl Map {
    /// `named` is a URL: the map itself (`data:`), or a file beside the script.
    fn load(named: &str, script: &Path) -> Option<Self> {
        let folder = script.parent()?;
        let (text, folder) = match named.split_once(";base64,") {
            Some((kind, data)) if kind.starts_with("data:") => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(data.trim()).ok()?;
                (String::from_utf8(bytes).ok()?, folder.to_path_buf())
            }
            _ => {
                let file = folder.join(path_of(named).unwrap_or_else(|| decoded(named)));
                (fs::read_to_string(&file).ok()?, file.parent()?.to_path_buf())
            }
        };
        Self::read(&text, &folder)
    }

    fn read(text: &str, folder: &Path) -> Option<Self> {
        let map = SourceMap::from_json_string(text).ok()?;
        let root = map.get_source_root().unwrap_or_default().trim_end_matches('/').to_owned();
        let sources = map.get_sources().map(|source| {
            let source = if root.is_empty() { source.to_owned() } else { format!("{root}/{source}") };
            // `webpack://shop/./src/cart.ts`: of the app's folder, wherever that is.
            match source.split_once("://") {
                Some(("file", _)) => path_of(&source).unwrap_or_default(),
                Some((_, path)) => {
                    decoded(path.split_once('/').map_or(path, |(_, path)| path.trim_start_matches("./")))
                }
                None => folder.join(decoded(&source)),
            }
        });
        let sources: Vec<PathBuf> = sources.collect();
        let mut places: Vec<Place> = map
            .get_tokens()
            .filter_map(|token| {
                let source = token.get_source_id()? as usize;
                let (line, column) = (token.get_dst_line(), token.get_dst_col());
                Some(Place { line, column, source, source_line: token.get_src_line() })
            })
            .collect();
        places.sort_unstable();
        Some(Self { sources, places })
    }

    /// The first place of the line at or after the column, else the last one before it.
    fn source_of(&self, line: u32, column: u32) -> Option<(&Path, u32)> {
        let next = self.places.partition_point(|place| (place.line, place.column) < (line, column));
        let nearby =
            [Some(next), next.checked_sub(1)].into_iter().flatten().filter_map(|i| self.places.get(i));
        let place = nearby.into_iter().find(|place| place.line == line)?;
        Some((self.sources.get(place.source)?, place.source_line))
    }
}

/// The file that a URL names. Node's own modules (`node:fs`) and code from strings have none.
fn path_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://").or_else(|| url.starts_with('/').then_some(url))?;
    Some(if url.starts_with("file:") { decoded(path) } else { PathBuf::from(path) })
}

/// `%20` and the like as what they stand for.
fn decoded(path: &str) -> PathBuf {
    let bytes = path.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = path.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by `esbuild --sourcemap` of a type, a function and a call: line 2 of the script is line 4 of the source.
    const MAP: &str =
        r#"{"version":3,"sources":["../src/shop.ts"],"names":[],"mappings":"AAEA,SAAS;AACP;AACF"}"#;

    fn call(url: &str, line: i64, column: i64) -> CallFrame {
        CallFrame {
            function_name: "total".to_owned(),
            url: url.to_owned(),
            line_number: line,
            column_number: column,
        }
    }

    #[test]
    fn a_line_of_typescript_is_named_by_its_source() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["dist", "src"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let inline =
            format!("data:application/json;base64,{}", base64::engine::general_purpose::STANDARD.encode(MAP));
        fs::write(root.path().join("dist/shop.js.map"), MAP).unwrap();
        for named in ["shop.js.map", &inline] {
            let mut scripts = Scripts::new(&[root.path().to_path_buf()]);
            let url = format!("file://{}/dist/shop.js", root.path().display());
            scripts.learn([(url.clone(), named.to_owned())].into());
            let frame = scripts.frame(&call(&url, 0, 9), Some(2));
            assert_eq!(frame.file.as_deref(), Some("src/shop.ts"), "{named}");
            assert_eq!((frame.line, frame.in_app), (Some(4), true), "{named}");
        }
    }

    #[test]
    fn functions_of_a_minified_line_are_told_apart_by_their_column() {
        let places = [(0, 0, 10), (0, 50, 20), (0, 90, 30)];
        let places = places.map(|(line, column, source_line)| Place { line, column, source: 0, source_line });
        let map = Map { sources: vec!["a.ts".into()], places: places.to_vec() };
        let line = |column| map.source_of(0, column).map(|(_, line)| line);
        assert_eq!([line(0), line(49), line(50), line(91)], [Some(10), Some(20), Some(20), Some(30)]);
        assert_eq!(map.source_of(1, 0), None);
    }

    #[test]
    fn own_files_are_told_from_packages_and_nodes_own() {
        let mut scripts = Scripts::new(&["/my app".into()]);
        let mut frame = |url: &str| {
            let frame = scripts.frame(&call(url, 4, 0), None);
            (frame.file.unwrap_or_default(), frame.line, frame.in_app)
        };
        assert_eq!(frame("file:///my%20app/app.js"), ("app.js".to_owned(), Some(5), true));
        assert_eq!(frame("/my app/app.js"), ("app.js".to_owned(), Some(5), true));
        assert_eq!(frame("node:internal/fs"), ("node:internal/fs".to_owned(), Some(5), false));
        assert_eq!(frame("file:///my%20app/node_modules/x/i.js").0, "node_modules/x/i.js");
        assert_eq!(frame(""), (String::new(), None, false), "the collector has no file");
    }

    proptest! {
        #[test]
        fn any_map_is_read_or_refused(text in "\\PC{0,80}", mappings in "[A-Za-z0-9+/,;]{0,60}", line in 0u32..9, column in 0u32..99) {
            let _ = Map::read(&text, Path::new("/"));
            let with = format!(r#"{{"version":3,"sources":["a","b"],"names":[],"mappings":"{mappings}"}}"#);
            if let Some(map) = Map::read(&with, Path::new("/")) {
                let _ = map.source_of(line, column);
            }
        }

        #[test]
        fn any_name_is_decoded(path in "[a%0-9é]{0,20}") {
            let _ = decoded(&path);
        }
    }
}
