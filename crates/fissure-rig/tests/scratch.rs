//! The scratch copy: the original is never written, whatever links it holds, and nothing is left of the copy.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fissure_rig::scratch::{Room, Scratch, ScratchError, files_open_for_writing_outside, sweep};

/// An app with everything that makes copying dangerous, beside a folder that is not its own.
struct App {
    _root: tempfile::TempDir,
    folder: PathBuf,
    elsewhere: PathBuf,
    scratch_root: PathBuf,
}

impl App {
    /// Not below /tmp, where writing counts as harmless.
    fn new() -> Self {
        let root = tempfile::tempdir_in("/var/tmp").unwrap();
        let at = root.path().canonicalize().unwrap();
        let (folder, elsewhere) = (at.join("shop"), at.join("elsewhere"));
        for path in [
            "src/deep",
            "node_modules/left-pad",
            "node_modules/@me",
            "packages/mine",
            ".git",
            ".fissure/runs",
        ] {
            fs::create_dir_all(folder.join(path)).unwrap();
        }
        fs::create_dir_all(&elsewhere).unwrap();
        for path in [
            "server.js",
            "src/deep/a.txt",
            "node_modules/left-pad/index.js",
            "packages/mine/index.js",
            ".git/HEAD",
            ".env",
        ] {
            fs::write(folder.join(path), format!("original {path}")).unwrap();
        }
        fs::write(elsewhere.join("precious"), "original precious").unwrap();
        fs::write(folder.join("run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(folder.join("run.sh"), Permissions::from_mode(0o750)).unwrap();
        symlink("../../packages/mine", folder.join("node_modules/@me/mine")).unwrap();
        symlink("deep/a.txt", folder.join("src/inside")).unwrap();
        symlink("../elsewhere/precious", folder.join("outside")).unwrap();
        symlink(&elsewhere, folder.join("outside-absolute")).unwrap();
        symlink(folder.join("server.js"), folder.join("inside-absolute")).unwrap();
        symlink(&folder, folder.join("src/loop")).unwrap();
        symlink("no/such/file", folder.join("dangling")).unwrap();
        let scratch_root = folder.join(".fissure/scratch");
        Self { _root: root, folder, elsewhere, scratch_root }
    }

    fn copy(&self) -> Scratch {
        Scratch::copy(&self.folder, &self.scratch_root).unwrap()
    }
}

/// Every path below `folder` outside of `.fissure` with what is there: links by their text, files by content and mode.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let seen = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                if entry.file_name() != ".fissure" {
                    folders.push(path.clone());
                }
                "folder".to_owned()
            } else if kind.is_file() {
                format!("{:o} {}", entry.metadata().unwrap().mode(), fs::read_to_string(&path).unwrap())
            } else {
                "special".to_owned()
            };
            found.insert(path, seen);
        }
    }
    found
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_copy_holds_what_the_app_needs() {
    let app = App::new();
    let scratch = app.copy();
    let at = scratch.path();
    assert_eq!(at.file_name().unwrap(), "shop");
    assert_eq!(read(at.join("src/deep/a.txt")), "original src/deep/a.txt");
    assert_eq!(read(at.join(".env")), "original .env");
    assert_eq!(read(at.join("node_modules/left-pad/index.js")), "original node_modules/left-pad/index.js");
    assert!(!at.join(".git").exists() && !at.join(".fissure").exists());
    assert_eq!(fs::metadata(at.join("run.sh")).unwrap().permissions().mode() & 0o777, 0o750);
    let modified = |path: PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(modified(at.join("server.js")), modified(app.folder.join("server.js")));
    assert_eq!(scratch.files(), 5, "server.js, .env, run.sh, a.txt and packages/mine");
    assert_eq!(
        scratch.bytes(),
        ["server.js", "run.sh", "src/deep/a.txt", "packages/mine/index.js", ".env"]
            .iter()
            .map(|p| fs::metadata(app.folder.join(p)).unwrap().len())
            .sum::<u64>()
    );
    assert_eq!(scratch.linked(), [PathBuf::from("node_modules"), PathBuf::from("node_modules/@me")]);
}

#[test]
fn links_lead_to_the_same_place_in_the_copy() {
    let app = App::new();
    let scratch = app.copy();
    let leads = |path: &str| scratch.path().join(path).canonicalize().unwrap();
    assert_eq!(leads("src/inside"), scratch.path().join("src/deep/a.txt"));
    assert_eq!(leads("inside-absolute"), scratch.path().join("server.js"), "not to the original");
    assert_eq!(leads("src/loop"), scratch.path());
    assert_eq!(
        leads("node_modules/@me/mine"),
        scratch.path().join("packages/mine"),
        "a workspace's own package"
    );
    assert_eq!(leads("outside"), app.elsewhere.join("precious"));
    assert_eq!(leads("outside-absolute"), app.elsewhere);
    assert_eq!(fs::read_link(scratch.path().join("dangling")).unwrap(), Path::new("no/such/file"));
    let mut outside = scratch.outside().to_vec();
    outside.sort();
    assert_eq!(outside, [PathBuf::from("outside"), PathBuf::from("outside-absolute")]);
}

#[test]
fn an_app_that_writes_everywhere_in_its_copy_leaves_the_original_as_it_was() {
    let app = App::new();
    let before = (snapshot(&app.folder), snapshot(&app.elsewhere));
    let scratch = app.copy();
    let at = scratch.path();
    for path in
        ["server.js", "src/inside", "inside-absolute", "src/loop/.env", "node_modules/@me/mine/index.js"]
    {
        fs::write(at.join(path), "changed").unwrap();
    }
    fs::write(at.join("node_modules/new"), "new").unwrap();
    fs::remove_file(at.join("node_modules/left-pad")).unwrap(); // the link only
    fs::remove_dir_all(at.join("src")).unwrap();
    assert_eq!((snapshot(&app.folder), snapshot(&app.elsewhere)), before);
}

#[test]
fn deleting_a_copy_never_follows_a_link() {
    let app = App::new();
    let before = (snapshot(&app.folder), snapshot(&app.elsewhere));
    let scratch = app.copy();
    let at = scratch.path().to_owned();
    // What a hostile app could plant, read-only folders included.
    symlink(&app.elsewhere, at.join("src/trap")).unwrap();
    symlink("/", at.join("root")).unwrap();
    fs::set_permissions(at.join("src/deep"), Permissions::from_mode(0o500)).unwrap();
    drop(scratch);
    assert!(!at.exists());
    assert_eq!(fs::read_dir(&app.scratch_root).unwrap().count(), 0);
    assert_eq!((snapshot(&app.folder), snapshot(&app.elsewhere)), before);
}

#[test]
fn sockets_and_pipes_are_left_out_and_named() {
    let app = App::new();
    let _socket = UnixListener::bind(app.folder.join("app.sock")).unwrap();
    assert!(Command::new("mkfifo").arg(app.folder.join("pipe")).status().unwrap().success());
    let scratch = app.copy();
    let mut skipped = scratch.skipped().to_vec();
    skipped.sort();
    assert_eq!(skipped, [PathBuf::from("app.sock"), PathBuf::from("pipe")]);
}

#[test]
fn copies_of_one_app_do_not_meet() {
    let app = App::new();
    let (one, two) = (app.copy(), app.copy());
    fs::write(one.path().join("server.js"), "one").unwrap();
    assert_eq!(read(two.path().join("server.js")), "original server.js");
    drop(one);
    assert!(two.path().exists());
}

#[test]
fn a_folder_named_target_that_no_tool_made_is_data() {
    let app = App::new();
    for folder in ["target", "vendor", "rust/target"] {
        fs::create_dir_all(app.folder.join(folder)).unwrap();
        fs::write(app.folder.join(folder).join("x"), "x").unwrap();
    }
    fs::write(app.folder.join("rust/Cargo.toml"), "").unwrap();
    let scratch = app.copy();
    let is_link = |path: &str| fs::symlink_metadata(scratch.path().join(path)).unwrap().is_symlink();
    assert!(!is_link("target/x") && !is_link("vendor/x"));
    assert!(is_link("rust/target/x"));
}

#[test]
fn dependencies_are_copied_on_request() {
    let app = App::new();
    let room = Room { link_dependencies: false, ..Room::default() };
    let scratch = Scratch::copy_within(&app.folder, &app.scratch_root, room).unwrap();
    fs::write(scratch.path().join("node_modules/left-pad/index.js"), "changed").unwrap();
    assert_eq!(
        read(app.folder.join("node_modules/left-pad/index.js")),
        "original node_modules/left-pad/index.js"
    );
    assert!(scratch.linked().is_empty());
}

#[test]
fn a_folder_too_large_and_a_disk_too_small_are_refused_with_nothing_left() {
    let app = App::new();
    fs::write(app.folder.join("video.mp4"), vec![7; 100_000]).unwrap();
    let refused = |room: Room| Scratch::copy_within(&app.folder, &app.scratch_root, room).unwrap_err();
    let error = refused(Room { bytes_max: 50_000, ..Room::default() });
    assert!(matches!(&error, ScratchError::TooLarge { .. }));
    assert!(error.to_string().contains("video.mp4"), "{error}");
    let error = refused(Room { free_bytes: Some(90_000), keep_free: 0.0, ..Room::default() });
    assert!(matches!(&error, ScratchError::DiskFull { .. }), "{error}");
    let error = refused(Room { free_bytes: Some(200_000), ..Room::default() });
    assert!(matches!(&error, ScratchError::DiskFull { .. }), "five per cent of any disk is more: {error}");
    assert_eq!(fs::read_dir(&app.scratch_root).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_not_there_is_refused() {
    let app = App::new();
    let error = Scratch::copy(&app.folder.join("nowhere"), &app.scratch_root).unwrap_err();
    assert!(matches!(&error, ScratchError::Unreadable { .. }), "{error}");
}

#[test]
fn a_copy_whose_fissure_was_killed_is_swept_and_a_living_one_is_not() {
    let app = App::new();
    let living = app.copy();
    // As a killed process leaves it: a name, a lock file that nobody holds.
    let dead = app.scratch_root.join("4194399-1-0");
    fs::create_dir_all(dead.join("shop/src")).unwrap();
    File::create(dead.join("lock")).unwrap();
    symlink(&app.elsewhere, dead.join("shop/trap")).unwrap();
    // Not ours by its name, and one that may be in the making.
    fs::create_dir_all(app.scratch_root.join("notes")).unwrap();
    fs::create_dir_all(app.scratch_root.join("4194399-1-1")).unwrap();
    assert_eq!(sweep(&app.scratch_root), 1);
    assert!(!dead.exists() && living.path().exists() && app.scratch_root.join("notes").exists());
    assert!(app.scratch_root.join("4194399-1-1").exists());
    assert_eq!(read(app.elsewhere.join("precious")), "original precious");
    assert_eq!(sweep(&app.folder.join("no/such/root")), 0);
}

#[test]
fn an_app_that_writes_to_its_original_folder_is_seen() {
    let app = App::new();
    let scratch = app.copy();
    let script = format!(
        "exec 3>>{o}/data.db 4<{o}/server.js 5<>{c}/own.db 6>/tmp/fissure-scratch-test-$$ 7>{o}/gone; rm /tmp/fissure-scratch-test-$$ {o}/gone; echo; exec sleep 1000",
        o = app.folder.display(),
        c = scratch.path().display()
    );
    // Nothing inherited: where the tests themselves print into a file, that file would be found too.
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 1]).unwrap();
    let allowed = [scratch.path().to_owned()];
    // The shell may hold doubles of its descriptors until it has become `sleep`.
    std::thread::sleep(Duration::from_millis(50));
    let found = files_open_for_writing_outside(&[child.id(), 4_194_399], &allowed);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found, [app.folder.join("data.db")]);
}
