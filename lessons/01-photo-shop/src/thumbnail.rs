//! Two smaller copies of a photo: one for its page, one for lists.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ImageFormat, ImageReader, ImageResult, RgbImage};

const LARGE_WIDTH: u32 = 720;
const SMALL_WIDTH: u32 = 240;

pub struct Thumbnails {
    pub large: Vec<u8>,
    pub small: Vec<u8>,
}

pub fn shrink(jpeg: &[u8]) -> ImageResult<Thumbnails> {
    let photo = ImageReader::with_format(Cursor::new(jpeg), ImageFormat::Jpeg).decode()?.into_rgb8();
    let large = resize(&photo, LARGE_WIDTH);
    let small = resize(&large, SMALL_WIDTH);
    Ok(Thumbnails { large: encode(&large)?, small: encode(&small)? })
}

fn resize(photo: &RgbImage, width: u32) -> RgbImage {
    let width = width.min(photo.width());
    let height = (u64::from(photo.height()) * u64::from(width) / u64::from(photo.width())).max(1);
    imageops::resize(photo, width, height as u32, FilterType::Lanczos3)
}

fn encode(photo: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 85).encode_image(photo)?;
    Ok(jpeg)
}
