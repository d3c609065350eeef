//! What is embedded in fissure is what lies in the folder.

#![allow(clippy::unwrap_used, reason = "in a test, a failure is the answer")]

use std::path::Path;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_file_of_the_demo_is_the_file_in_the_folder() {
    for (path, content) in photo_shop::FILES {
        assert_eq!(std::fs::read(Path::new(FOLDER).join(path)).unwrap(), *content, "{path}");
    }
    for journey in std::fs::read_dir(Path::new(FOLDER).join("journeys")).unwrap() {
        let name = format!("journeys/{}", journey.unwrap().file_name().display());
        assert!(photo_shop::FILES.iter().any(|(path, _)| *path == name), "{name} is not embedded");
    }
}
