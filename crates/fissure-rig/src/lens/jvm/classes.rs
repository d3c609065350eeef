//! From classes to the app's files. A JVM knows a class by its package and its name, and seldom where its source lies.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use fissure_facts::profile::Frame;

/// Languages that are compiled for the JVM.
const SOURCES: [&str; 5] = ["java", "kt", "scala", "groovy", "clj"];
/// Folders in which nobody's sources lie, or other people's.
const SKIPPED: [&str; 3] = ["node_modules", ".git", ".fissure"];
const FILES_MAX: usize = 50_000;
const DEPTH_MAX: usize = 24;

/// A method, as the JVM names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Method {
    /// `com/shop/Cart$Item`.
    pub class: String,
    pub method: String,
    /// `java.base`; empty for what the class path brought.
    pub module: String,
    /// The name of the source, where the JVM told it.
    pub file: Option<String>,
    pub line: Option<u32>,
}

/// The app's sources and compiled classes.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// By the file's name: its path in the folder of the app, and its package.
    sources: HashMap<String, Vec<Source>>,
    /// Classes that lie in the folder as such and not in an archive: what a build has just made.
    compiled: HashSet<String>,
    known: HashMap<Method, Frame>,
}

#[derive(Debug, Clone)]
struct Source {
    path: String,
    package: String,
    text_path: PathBuf,
}

impl Classes {
    /// Of the folder in which the app runs.
    pub fn of(folders: &[PathBuf]) -> Self {
        let mut classes = Self::default();
        if let Some(folder) = folders.first() {
            let mut files = FILES_MAX;
            classes.walk(folder, folder, DEPTH_MAX, &mut files);
        }
        classes
    }

    fn walk(&mut self, folder: &Path, root: &Path, depth: usize, files: &mut usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Some(left) = files.checked_sub(1) else { return };
            *files = left;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // A scratch copy links to build folders instead of copying them.
            let is_folder = fs::metadata(&path).is_ok_and(|m| m.is_dir());
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if is_folder {
                if !SKIPPED.contains(&name.as_str()) {
                    self.walk(&path, root, depth, files);
                }
            } else if ending == "class" {
                let relative = path.strip_prefix(root).unwrap_or(&path).with_extension("");
                self.compiled.insert(relative.to_string_lossy().into_owned());
            } else if SOURCES.contains(&ending) {
                let package = package_of(&fs::read_to_string(&path).unwrap_or_default());
                let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                self.sources.entry(name).or_default().push(Source {
                    path: relative,
                    package,
                    text_path: path,
                });
            }
        }
    }

    pub fn frame(&mut self, method: &Method) -> Frame {
        if let Some(frame) = self.known.get(method) {
            return frame.clone();
        }
        let frame = self.find(method);
        self.known.insert(method.clone(), frame.clone());
        frame
    }

    fn find(&self, method: &Method) -> Frame {
        // What the JVM makes of a class while it runs has the class's name in front of two of these.
        let made_of = method.class.split("$$").next().unwrap_or_default();
        let (package, class) = made_of.rsplit_once('/').unwrap_or(("", made_of));
        let own =
            method.module.is_empty().then(|| self.source(package, class, method.file.as_deref())).flatten();
        let in_app = own.is_some();
        let by_convention = || {
            let name = method.file.clone().unwrap_or_else(|| format!("{}.java", outermost(class)));
            if package.is_empty() { name } else { format!("{package}/{name}") }
        };
        let module = if method.module.is_empty() { "class path" } else { &method.module };
        Frame {
            function: function(class, &method.method),
            file: Some(own.unwrap_or_else(by_convention)),
            line: method.line,
            module: (!in_app).then(|| module.to_owned()),
            in_app,
            ..Frame::default()
        }
    }

    /// The file in the app's folder that a class was made of.
    fn source(&self, package: &str, class: &str, file: Option<&str>) -> Option<String> {
        let package_dotted = package.replace('/', ".");
        let of_name = |name: &str| {
            let found = self.sources.get(name)?.iter().find(|source| source.package == package_dotted)?;
            Some(found.path.clone())
        };
        let outermost = outermost(class);
        if let Some(file) = file {
            return of_name(file);
        }
        // Kotlin calls what belongs to no class after the file.
        let stems = [Some(outermost), outermost.strip_suffix("Kt")];
        let mut names =
            stems.into_iter().flatten().flat_map(|stem| SOURCES.map(|ending| format!("{stem}.{ending}")));
        names.find_map(|name| of_name(&name)).or_else(|| self.declared(&package_dotted, outermost)).or_else(
            || {
                let path =
                    if package.is_empty() { outermost.to_owned() } else { format!("{package}/{outermost}") };
                let is_built =
                    self.compiled.iter().any(|built| built == &path || built.ends_with(&format!("/{path}")));
                is_built.then(|| format!("{path}.java"))
            },
        )
    }

    /// Several classes may stand in one file.
    fn declared(&self, package: &str, class: &str) -> Option<String> {
        let of_package = self.sources.values().flatten().filter(|source| source.package == package);
        let mut declares = of_package
            .filter(|source| fs::read_to_string(&source.text_path).is_ok_and(|text| declares(&text, class)));
        declares.next().map(|source| source.path.clone())
    }
}

/// `package com.shop;`, in Scala and Kotlin without the semicolon.
fn package_of(text: &str) -> String {
    let line = text.lines().map(str::trim_start).find_map(|line| line.strip_prefix("package "));
    line.map_or(String::new(), |line| line.split(';').next().unwrap_or_default().trim().to_owned())
}

fn declares(text: &str, class: &str) -> bool {
    let mut words =
        text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|w| !w.is_empty());
    let mut before = words.next().unwrap_or_default();
    words.any(|word| {
        let declares =
            word == class && ["class", "interface", "enum", "record", "object", "trait"].contains(&before);
        before = word;
        declares
    })
}

/// `Cart` of `Cart$Item$1`.
fn outermost(class: &str) -> &str {
    class.find('$').filter(|at| *at > 0).map_or(class, |at| &class[..at])
}

/// As people call it: `Cart.Item.price`, `new Cart`, `Cart.total`.
fn function(class: &str, method: &str) -> String {
    let class = class.replace('$', ".");
    if method == "<init>" {
        return format!("new {class}");
    }
    // `lambda$total$3` is the third lambda in `total`.
    let lambda = method.strip_prefix("lambda$").and_then(|rest| rest.rsplit_once('$'));
    match (method, lambda) {
        ("<clinit>", _) => format!("{class}.static"),
        (_, Some((of, _))) => format!("{class}.{of}::{{lambda}}"),
        _ => format!("{class}.{method}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shop() -> (tempfile::TempDir, Classes) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "src/main/java/com/shop/Cart.java",
                "// prices\npackage com.shop;\npublic class Cart {}\nclass Discount {}",
            ),
            ("src/main/kotlin/com/shop/Tax.kt", "package com.shop\nfun tax() = 1"),
            ("Main.java", "public class Main {}"),
            ("build/classes/com/made/Generated.class", ""),
            (".git/Old.java", "class Old {}"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let classes = Classes::of(&[folder.path().to_path_buf()]);
        (folder, classes)
    }

    #[test]
    fn a_class_is_the_apps_where_its_source_or_what_was_built_lies_in_the_folder() {
        let (_folder, mut classes) = shop();
        let cart = "src/main/java/com/shop/Cart.java";
        for (class, module, file, in_app) in [
            ("com/shop/Cart", "", cart, true),
            ("com/shop/Cart$Item$1", "", cart, true),
            ("com/shop/Cart$$Lambda$14/0x0800", "", cart, true),
            ("com/shop/Discount", "", cart, true),
            ("com/shop/TaxKt", "", "src/main/kotlin/com/shop/Tax.kt", true),
            ("Main", "", "Main.java", true),
            ("com/made/Generated", "", "com/made/Generated.java", true),
            ("com/other/Cart", "", "com/other/Cart.java", false),
            ("java/util/zip/Deflater", "java.base", "java/util/zip/Deflater.java", false),
            ("Old", "", "Old.java", false),
        ] {
            let method = Method { class: class.to_owned(), module: module.to_owned(), ..Method::default() };
            let frame = classes.frame(&method);
            assert_eq!((frame.file.as_deref(), frame.in_app), (Some(file), in_app), "{class}");
            assert_eq!(frame.module.is_none(), in_app);
        }
    }

    #[test]
    fn methods_are_called_as_people_call_them() {
        for (class, method, name) in [
            ("Cart", "total", "Cart.total"),
            ("Cart$Item", "<init>", "new Cart.Item"),
            ("Cart", "<clinit>", "Cart.static"),
            ("Cart", "lambda$total$3", "Cart.total::{lambda}"),
        ] {
            assert_eq!(function(class, method), name);
        }
    }

    proptest! {
        #[test]
        fn any_name_has_a_frame(class in "\\PC{0,40}|[a-zA-Z$/]{0,20}", method in "\\PC{0,20}|[a-z$]{0,20}", text in "\\PC{0,80}") {
            let frame = Classes::default().frame(&Method { class: class.clone(), method, ..Method::default() });
            prop_assert!(!frame.in_app);
            let _ = (package_of(&text), declares(&text, &class));
        }
    }
}
