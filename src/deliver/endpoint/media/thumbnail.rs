//! Smaller pictures: which sizes there are, and how one is made. A file is decoded only within fixed bounds of its width,
//! its height and the memory it takes.
//!
//! Source: `facts` of the endpoint, 9.

use std::io::Cursor;

use image::DynamicImage;
use image::ImageDecoder;
use image::ImageEncoder;
use image::ImageError;
use image::ImageReader;
use image::Limits;
use image::Rgba;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;

use crate::base::limits::COLOR_PROFILE_BYTES;
use crate::base::limits::IMAGE_DECODED_BYTES;
use crate::base::limits::IMAGE_SIDE;
use crate::net::Bytes;

/// Of JPEG thumbnails (AT-21).
const QUALITY: u8 = 75;

/// One of the sizes that thumbnails have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Size {
    width: u32,
    height: u32,
    /// Whether it is filled and what lies beyond it cut off; else the whole picture fits into it.
    is_cropped: bool,
}

/// All sizes, smallest first.
const SIZES: [Size; 5] = [
    Size::new(32, 32, true),
    Size::new(96, 96, true),
    Size::new(320, 240, false),
    Size::new(640, 480, false),
    Size::new(800, 600, false),
];

impl Size {
    const fn new(width: u32, height: u32, is_cropped: bool) -> Self {
        Self {
            width,
            height,
            is_cropped,
        }
    }

    /// The smallest that is as large as a client asks for; the largest if none is.
    pub(super) fn snapped(width: u64, height: u64, is_cropped: bool) -> Self {
        let [.., largest] = SIZES;
        let mut sizes = SIZES.into_iter();
        let fits = |size: &Self| {
            u64::from(size.width) >= width
                && u64::from(size.height) >= height
                && (is_cropped || !size.is_cropped)
        };
        sizes.find(fits).unwrap_or(largest)
    }
}

/// What stands for a file where there is little room.
#[derive(Clone, Debug)]
pub(super) enum Thumbnail {
    /// A smaller picture.
    Picture {
        /// A file of that type.
        bytes: Bytes,
        mime: &'static str,
    },
    /// The file itself: a small picture of a kind that is not decoded here.
    Original,
    /// Nothing.
    None,
}

impl Thumbnail {
    /// Its size in memory, bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Picture { bytes, .. } => bytes.len(),
            Self::Original | Self::None => 0,
        }
    }
}

/// Makes a thumbnail of a JPEG, PNG, GIF (its first picture) or WebP file: upright, never larger than the picture, PNG
/// where something shines through and JPEG otherwise, in the picture's colours.
///
/// # Errors
///
/// Whatever is wrong with the file; that it is larger than the bounds.
pub(super) fn make(file: &[u8], size: Size) -> Result<Thumbnail, ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(IMAGE_SIDE);
    limits.max_image_height = Some(IMAGE_SIDE);
    limits.max_alloc = Some(IMAGE_DECODED_BYTES);
    // What the file is, its bytes decide.
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let mut image = scaled(&DynamicImage::from_decoder(decoder)?, size, orientation);
    image.apply_orientation(orientation);
    let profile = profile.filter(|profile| profile.len() <= COLOR_PROFILE_BYTES);
    encoded(&image, profile)
}

/// The picture, not turned yet, in a size.
fn scaled(image: &DynamicImage, size: Size, orientation: Orientation) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    if size.is_cropped {
        // These are square: turning changes nothing.
        let shorter = width.min(height).max(1);
        let goal = size.width.min(shorter);
        let along = |length: u32| {
            let length = u64::from(length) * u64::from(goal) / u64::from(shorter);
            u32::try_from(length).unwrap_or(u32::MAX).max(1)
        };
        let image = image.thumbnail_exact(along(width), along(height));
        let beside = |length: u32| length.saturating_sub(goal) / 2;
        return image.crop_imm(beside(image.width()), beside(image.height()), goal, goal);
    }
    let (most_wide, most_high) = if is_turned(orientation) {
        (size.height, size.width)
    } else {
        (size.width, size.height)
    };
    if width <= most_wide && height <= most_high {
        return image.clone();
    }
    image.thumbnail(most_wide, most_high)
}

/// Whether width and height change places.
fn is_turned(orientation: Orientation) -> bool {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => true,
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => false,
    }
}

fn encoded(image: &DynamicImage, profile: Option<Vec<u8>>) -> Result<Thumbnail, ImageError> {
    let is_clear = |Rgba([.., alpha]): &Rgba<u8>| *alpha < u8::MAX;
    let mut bytes = Vec::new();
    let mime = if image.color().has_alpha() && image.to_rgba8().pixels().any(is_clear) {
        let mut encoder = PngEncoder::new(&mut bytes);
        if let Some(profile) = profile {
            encoder
                .set_icc_profile(profile)
                .map_err(ImageError::Unsupported)?;
        }
        DynamicImage::from(image.to_rgba8()).write_with_encoder(encoder)?;
        "image/png"
    } else {
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        if let Some(profile) = profile {
            encoder
                .set_icc_profile(profile)
                .map_err(ImageError::Unsupported)?;
        }
        DynamicImage::from(image.to_rgb8()).write_with_encoder(encoder)?;
        "image/jpeg"
    };
    Ok(Thumbnail::Picture {
        bytes: bytes.into(),
        mime,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use image::DynamicImage;
    use image::ImageEncoder;
    use image::ImageError;
    use image::RgbImage;
    use image::Rgba;
    use image::RgbaImage;
    use image::codecs::jpeg::JpegEncoder;

    use super::Size;
    use super::Thumbnail;
    use super::make;

    /// A PNG file that is red above and blue below.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let color = |_, y| {
            if y < height / 2 {
                image::Rgb([255, 0, 0])
            } else {
                image::Rgb([0, 0, 255])
            }
        };
        file(&RgbImage::from_fn(width, height, color).into())
    }

    fn file(image: &DynamicImage) -> Vec<u8> {
        let mut file = std::io::Cursor::new(Vec::new());
        image.write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    }

    /// The type of a thumbnail, and the picture in it.
    fn made(file: &[u8], size: Size) -> (&'static str, DynamicImage) {
        let Thumbnail::Picture { bytes, mime } = make(file, size).unwrap() else {
            panic!("not a picture");
        };
        (mime, image::load_from_memory(&bytes).unwrap())
    }

    fn sides(file: &[u8], size: Size) -> (u32, u32) {
        let (_, image) = made(file, size);
        (image.width(), image.height())
    }

    #[test]
    fn sizes_are_snapped_to_the_next_larger() {
        let snapped = |width, height, is_cropped| {
            let size = Size::snapped(width, height, is_cropped);
            (size.width, size.height)
        };

        assert_eq!(snapped(30, 32, true), (32, 32));
        assert_eq!(snapped(33, 1, true), (96, 96));
        assert_eq!(snapped(97, 97, true), (320, 240));
        assert_eq!(snapped(1, 1, false), (320, 240));
        assert_eq!(snapped(320, 241, false), (640, 480));
        assert_eq!(snapped(u64::MAX, 1, false), (800, 600));
    }

    #[test]
    fn a_picture_fits_or_is_cut_and_never_grows() {
        let (scaled, cropped) = (Size::snapped(320, 240, false), Size::snapped(32, 32, true));

        assert_eq!(sides(&png(1000, 250), scaled), (320, 80));
        assert_eq!(sides(&png(250, 1000), scaled), (60, 240));
        assert_eq!(sides(&png(1000, 250), cropped), (32, 32));
        assert_eq!(sides(&png(20, 10), scaled), (20, 10));
        assert_eq!(sides(&png(20, 10), cropped), (10, 10));
        assert_eq!(sides(&png(5000, 1), cropped), (1, 1));
    }

    #[test]
    fn a_picture_stands_upright() {
        // TIFF: one entry, orientation 6: to be turned clockwise.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new(&mut jpeg);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        let image = image::load_from_memory(&png(1000, 500)).unwrap();
        image.write_with_encoder(encoder).unwrap();

        let (mime, image) = made(&jpeg, Size::snapped(320, 240, false));

        assert_eq!((image.width(), image.height()), (120, 240));
        // What was above is on the right.
        let right = image.to_rgb8().get_pixel(110, 120).0;
        assert!(right[0] > 200 && right[2] < 50, "{right:?}");
        assert_eq!(mime, "image/jpeg");
    }

    #[test]
    fn what_shines_through_still_does() {
        let clear = RgbaImage::from_pixel(1000, 1000, Rgba([1, 2, 3, 0]));
        let opaque = RgbaImage::from_pixel(1000, 1000, Rgba([1, 2, 3, 255]));
        let size = Size::snapped(96, 96, true);

        let (mime, image) = made(&file(&clear.into()), size);

        assert_eq!(mime, "image/png");
        assert_eq!(image.to_rgba8().get_pixel(5, 5).0[3], 0);
        assert_eq!(made(&file(&opaque.into()), size).0, "image/jpeg");
    }

    #[test]
    fn a_picture_of_huge_dimensions_is_not_decoded() {
        let size = Size::snapped(96, 96, true);
        for (width, height) in [(20_001, 1), (1, 20_001), (20_000, 20_000)] {
            let error = make(&bomb(width, height), size).unwrap_err();

            assert!(matches!(error, ImageError::Limits(_)), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_picture_has_no_thumbnail() {
        let size = Size::snapped(96, 96, true);
        let cut = png(100, 100);

        for file in [&b""[..], b"GIF89a", b"<svg/>", &cut[..60]] {
            assert!(make(file, size).is_err());
        }
    }

    /// A PNG file that says it is of that size, and has no more than the beginning of it.
    pub(in crate::deliver::endpoint::media) fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut header = b"IHDR".to_vec();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        png.extend(&header);
        png.extend(crc(&header).to_be_bytes());
        let data = b"IDAT\x78\x01\x03\0\0\0\0\x01";
        png.extend(8_u32.to_be_bytes());
        png.extend(data);
        png.extend(crc(data).to_be_bytes());
        png
    }

    /// CRC-32 of PNG chunks.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
        !bytes.iter().fold(u32::MAX, byte)
    }
}
