//! Whose code a frame is: the app's own, the language's, or a library's.

use fissure_facts::profile::Frame;

use crate::judgement::Spot;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the app's own files.
    Own,
    /// The language's runtime and standard library, the C library: what any line of its language rests on.
    Runtime,
    /// Somebody else's work that the app asked for.
    Library,
}

/// Folders of other people's packages, also when they lie in the app's own folder.
const PACKAGES: [&str; 11] = [
    "node_modules/",
    "site-packages/",
    "dist-packages/",
    ".cargo/registry/",
    ".cargo/git/",
    "go/pkg/mod/",
    "/gems/",
    "vendor/",
    "third_party/",
    ".venv/",
    "phar://",
];

/// Parts of a standard library whose work cannot be made less by other lines around it: hashing, compression.
const IRREDUCIBLE: [&str; 9] = [
    "node:crypto",
    "node:internal/crypto",
    "node:zlib",
    "java/util/zip",
    "javax/crypto",
    "javax/imageio",
    "java/security",
    "sun/security",
    "com/sun/crypto",
];

/// Where a JVM says that a class came from when it is none of its own.
const CLASS_PATH: &str = "class path";

/// Where a function of PHP's belongs that is written in C: `ext/curl`.
const EXTENSION_OF_PHP: &str = "ext/";
/// Extensions of which every PHP app makes use for its own loops, texts and lists.
const RUNTIME_OF_PHP: [&str; 14] = [
    "core",
    "standard",
    "spl",
    "pcre",
    "date",
    "json",
    "mbstring",
    "ctype",
    "reflection",
    "random",
    "tokenizer",
    "filter",
    "iconv",
    "intl",
];
/// Functions of `ext/standard` that hash, and take as long as they are told to.
const PASSWORDS_OF_PHP: [&str; 3] = ["password_hash", "password_verify", "crypt"];

/// Shared libraries that every program of a language maps.
const RUNTIMES: [&str; 14] = [
    "libc.",
    "libc-",
    "libm.",
    "libm-",
    "ld-",
    "libpthread",
    "libgcc",
    "libstdc++",
    "libc++",
    "libpython",
    "libruby",
    "libnode",
    "libjvm",
    "libjava",
];

pub(super) fn origin(frame: &Frame) -> Origin {
    let file = frame.file.as_deref().unwrap_or_default();
    if PACKAGES.iter().any(|folder| file.contains(folder))
        || IRREDUCIBLE.iter().any(|part| file.starts_with(part))
    {
        return Origin::Library;
    }
    if frame.in_app {
        return Origin::Own;
    }
    let module = frame.module.as_deref().unwrap_or_default();
    if let Some(extension) = module.strip_prefix(EXTENSION_OF_PHP) {
        let is_runtime = RUNTIME_OF_PHP.iter().any(|name| extension.eq_ignore_ascii_case(name));
        let is_password = PASSWORDS_OF_PHP.contains(&&*frame.function);
        return if is_runtime && !is_password { Origin::Runtime } else { Origin::Library };
    }
    let name = module.rsplit('/').next().unwrap_or_default();
    let is_shared = name.contains(".so") || module == CLASS_PATH;
    if is_shared && !RUNTIMES.iter().any(|runtime| name.starts_with(runtime)) {
        return Origin::Library;
    }
    Origin::Runtime
}

/// The innermost frame in the app's own files, and how deep it lies.
pub(crate) fn own_frame(frames: &[&Frame]) -> Option<(usize, Spot)> {
    frames.iter().enumerate().find_map(|(depth, frame)| {
        let (file, line) = (frame.file.clone()?, frame.line?);
        (origin(frame) == Origin::Own).then_some(())?;
        Some((depth, Spot { function: short_name(&frame.function), file, line }))
    })
}

/// What Python puts behind the name of a function for what has no name inside of it (PEP 3155).
const NAMELESS: [&str; 6] =
    [".<locals>", ".<genexpr>", ".<listcomp>", ".<dictcomp>", ".<setcomp>", ".<lambda>"];

/// A function that shares its name with others of its file: what JavaScript calls anonymous, and what stands in the body of a class or of
/// a program in Ruby, such as the routes of Sinatra.
pub(super) fn is_nameless(function: &str) -> bool {
    function == "(anonymous)" || is_in_a_body(function)
}

/// Ruby's blocks that are in no method.
pub(super) fn is_in_a_body(function: &str) -> bool {
    ["<class:", "<module:", "<main>", "<top "]
        .iter()
        .any(|body| outside_of_blocks(function).starts_with(body))
}

/// What a person calls the function: without its path, its type parameters, its arguments, and the closures in it.
pub(super) fn short_name(function: &str) -> String {
    if let Some(name) = go_name(function) {
        return name;
    }
    let function = outside_of_blocks(function);
    let function = NAMELESS.iter().fold(function.to_owned(), |name, part| name.replace(part, ""));
    let mut plain = String::new();
    let mut depth = 0u32;
    for c in function.chars() {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let is_name = |part: &&str| !part.is_empty() && !part.starts_with('{') && !is_hash(part);
    let last = plain.split("::").map(str::trim).filter(is_name).last();
    last.map_or_else(|| function.clone(), str::to_owned)
}

/// Ruby calls a block after what it stands in: `block (2 levels) in total`.
fn outside_of_blocks(function: &str) -> &str {
    let is_block = |part: &str| ["block", "rescue", "ensure"].contains(&part) || part.starts_with("block (");
    let mut function = function;
    while let Some((_, outside)) = function.split_once(" in ").filter(|(part, _)| is_block(part)) {
        function = outside;
    }
    function
}

/// Go writes `example.com/shop/cart.(*Cart[...]).total.func1`: `Cart.total`. None where nothing says that it is Go's.
fn go_name(function: &str) -> Option<String> {
    let (_, method) = function.split_once(".(*")?;
    let (receiver, method) = method.split_once(").")?;
    let receiver = receiver.split('[').next().unwrap_or(receiver);
    let closure = method.find(".func").unwrap_or(method.len());
    Some(format!("{receiver}.{}", &method[..closure]))
}

/// `h` and sixteen hexadecimal digits, with which old Rust symbols end.
fn is_hash(part: &str) -> bool {
    part.len() == 17 && part.starts_with('h') && part[1..].chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn functions_are_called_as_people_call_them() {
        for (function, name) in [
            ("photo_shop::photos::upload::{{closure}}", "upload"),
            ("photo_shop::thumbnail::resize::h0123456789abcdef", "resize"),
            ("<alloc::vec::Vec<T> as Clone>::clone", "clone"),
            ("shop::Cart::total(std::vector<int> const&)", "total"),
            ("slowTotals", "slowTotals"),
            ("main.(*Server).handle", "Server.handle"),
            ("example.com/shop/cart.(*Cart[...]).total.func1", "Cart.total"),
            ("Cart.Item.price", "Cart.Item.price"),
            ("Hot.main::{lambda}", "Hot.main"),
            ("block (2 levels) in total", "total"),
            ("rescue in block in total", "total"),
            ("block in <main>", "<main>"),
            ("App\\Models\\Cart::total", "total"),
            ("{closure}", "{closure}"),
            ("{main}", "{main}"),
            ("sounds_like.<locals>.<genexpr>.<genexpr>", "sounds_like"),
            ("Handler.send.<locals>.encode", "Handler.send.encode"),
            ("<module>", "<module>"),
            ("(anonymous)", "(anonymous)"),
            ("", ""),
        ] {
            assert_eq!(short_name(function), name);
        }
    }

    #[test]
    fn own_code_is_told_from_packages_and_from_the_language() {
        let frame = |file: Option<&str>, module: &str, in_app| Frame {
            file: file.map(str::to_owned),
            module: Some(module.to_owned()),
            in_app,
            ..Frame::default()
        };
        for (file, module, in_app, wanted) in [
            (Some("src/shop.rs"), "/app/shop", true, Origin::Own),
            (Some("node_modules/left-pad/index.js"), "", true, Origin::Library),
            (
                Some("/home/me/.cargo/registry/src/x/image-0.25/src/lib.rs"),
                "/app/shop",
                false,
                Origin::Library,
            ),
            (Some("/rustc/abc/library/core/src/iter/range.rs"), "/app/shop", false, Origin::Runtime),
            (Some("node:internal/crypto/pbkdf2"), "", false, Origin::Library),
            (Some("node:events"), "", false, Origin::Runtime),
            (Some("java/util/HashMap.java"), "java.base", false, Origin::Runtime),
            (Some("java/util/zip/Deflater.java"), "java.base", false, Origin::Library),
            (Some("org/apache/commons/io/IOUtils.java"), "class path", false, Origin::Library),
            (Some("src/main/java/com/shop/Cart.java"), "", true, Origin::Own),
            (Some("vendor/laravel/framework/src/Illuminate/Support/Str.php"), "", true, Origin::Library),
            (Some("phar:///app/tool.phar/src/run.php"), "", false, Origin::Library),
            (Some("storage/framework/views/0a1b.php"), "", true, Origin::Own),
            (None, "ext/standard", false, Origin::Runtime),
            (None, "ext/SPL", false, Origin::Runtime),
            (None, "ext/gd", false, Origin::Library),
            (None, "/usr/lib/x86_64-linux-gnu/libc.so.6", false, Origin::Runtime),
            (None, "/usr/lib/x86_64-linux-gnu/libcrypto.so.3", false, Origin::Library),
        ] {
            assert_eq!(origin(&frame(file, module, in_app)), wanted, "{file:?} {module}");
        }
        let hashes = Frame { function: "password_verify".to_owned(), ..frame(None, "ext/standard", false) };
        assert_eq!(origin(&hashes), Origin::Library);
    }

    proptest! {
        #[test]
        fn any_symbol_has_a_name(function in "\\PC{0,60}") {
            prop_assert_eq!(short_name(&function).is_empty(), function.is_empty());
        }
    }
}
