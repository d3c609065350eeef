//! What fissure needs to know of the shop, as files, so that the demo can lay them out in a folder.

/// Path below the folder, and content.
pub const FILES: &[(&str, &[u8])] = &[
    ("fissure.toml", include_bytes!("../fissure.toml")),
    ("journeys/browse.hurl", include_bytes!("../journeys/browse.hurl")),
    ("journeys/buy.hurl", include_bytes!("../journeys/buy.hurl")),
    ("journeys/upload.hurl", include_bytes!("../journeys/upload.hurl")),
    ("journeys/sample.jpg", include_bytes!("../journeys/sample.jpg")),
];
