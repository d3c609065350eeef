//! The shop as files, so that the demo can lay it out in a folder: what fissure needs to know of it, and its sources.

/// Path below the folder, and content.
pub const FILES: &[(&str, &[u8])] = &[
    ("fissure.toml", include_bytes!("../fissure.toml")),
    ("journeys/browse.hurl", include_bytes!("../journeys/browse.hurl")),
    ("journeys/buy.hurl", include_bytes!("../journeys/buy.hurl")),
    ("journeys/upload.hurl", include_bytes!("../journeys/upload.hurl")),
    ("journeys/sample.jpg", include_bytes!("../journeys/sample.jpg")),
    // So that a line that is named can be read.
    ("src/database.rs", include_bytes!("database.rs")),
    ("src/files.rs", include_bytes!("files.rs")),
    ("src/home.rs", include_bytes!("home.rs")),
    ("src/lib.rs", include_bytes!("lib.rs")),
    ("src/main.rs", include_bytes!("main.rs")),
    ("src/orders.rs", include_bytes!("orders.rs")),
    ("src/page.rs", include_bytes!("page.rs")),
    ("src/photos.rs", include_bytes!("photos.rs")),
    ("src/refusal.rs", include_bytes!("refusal.rs")),
    ("src/search.rs", include_bytes!("search.rs")),
    ("src/seed.rs", include_bytes!("seed.rs")),
    ("src/session.rs", include_bytes!("session.rs")),
    ("src/shop.rs", include_bytes!("shop.rs")),
    ("src/thumbnail.rs", include_bytes!("thumbnail.rs")),
];
