//! Sample photos and customers, so that a new shop is not empty.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use rusqlite::Connection;

use crate::shop::{secret_name, upload_path};
use crate::{ShopError, database};

/// Prints that can be made of one photo.
pub const STOCK: i64 = 1_000_000;

const CUSTOMERS: [&str; 4] = ["ada", "ben", "cleo", "dan"];
const PLACES: [&str; 6] = ["sea", "forest", "mountain", "harbour", "desert", "village"];
const TIMES: [&str; 5] = ["morning", "noon", "evening", "night", "winter"];

/// Does nothing when the shop has photos already.
pub fn fill_when_empty(database: &mut Connection, folder: &Path) -> Result<(), ShopError> {
    let sale = database.transaction()?;
    if sale.query_row("SELECT EXISTS (SELECT 1 FROM photos)", (), |row| row.get(0))? {
        return Ok(());
    }
    for name in CUSTOMERS {
        // The sample customers' password is their name. Kept as it is typed, because hashing as it should be done
        // (argon2) costs tens of milliseconds of CPU: a second crack, and a lesson of its own.
        sale.execute("INSERT INTO users (name, password) VALUES (?1, ?1)", [name])?;
    }
    let titles = TIMES.iter().flat_map(|time| PLACES.iter().map(move |place| format!("The {place}, {time}")));
    for (number, title) in titles.enumerate() {
        let file = secret_name();
        let (large, small) = (landscape(number as u32, 480)?, landscape(number as u32, 240)?);
        for (kind, jpeg) in [("original", &large), ("large", &large), ("small", &small)] {
            std::fs::write(upload_path(folder, &file, kind), jpeg)?;
        }
        let by = 1 + number as i64 % CUSTOMERS.len() as i64;
        database::add_photo(&sale, &title, &file, by, STOCK)?;
    }
    sale.commit()?;
    Ok(())
}

/// A sky, a sun and three rows of hills, as a JPEG: enough to tell one sample from another.
fn landscape(number: u32, width: u32) -> image::ImageResult<Vec<u8>> {
    let height = width * 2 / 3;
    let shift = number as f32 * 0.7;
    let hills: Vec<[f32; 3]> = (0..width)
        .map(|x| {
            let x = x as f32 / width as f32;
            [0.0, 1.0, 2.0].map(|row| {
                let wave = (x * (5.0 + 3.0 * row) + shift + 2.0 * row).sin();
                (0.45 + 0.17 * row + 0.08 * wave) * height as f32
            })
        })
        .collect();
    let sun = (width * (4 + number) / 40, height / 5, width / 16);
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let row = hills[x as usize].iter().filter(|&&hill| y as f32 > hill).count() as u32;
        match row {
            0 if x.abs_diff(sun.0).pow(2) + y.abs_diff(sun.1).pow(2) < sun.2.pow(2) => Rgb([255, 240, 190]),
            0 => Rgb([120 + (number * 4) as u8, 150, 255 - (y * 160 / height) as u8]),
            _ => Rgb([(30 + number * 3) as u8, (150 - 35 * row) as u8, 60]),
        }
    });
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 80).encode_image(&picture)?;
    Ok(jpeg)
}
