//! The files that invented people send: small, of real formats, different for each number, made when they are asked for.

use crate::demo::plan::BUSINESS_FILE;
use crate::demo::plan::FileKind;
use crate::demo::random::Random;
use crate::demo::random::Stream;
use crate::demo::words;

/// A file and what is said of it.
pub(super) struct File {
    pub(super) name: String,
    pub(super) mime: &'static str,
    pub(super) uti: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Bytes of a small and of a large document.
const DOCUMENT_BYTES: [usize; 2] = [9_500, 300_000];

/// Makes a file.
pub(super) fn file(seed: u64, kind: FileKind, number: u64, is_large: bool) -> File {
    let mut random = Random::new(seed, Stream::File, number << 1 | 1);
    let (stem, ending, mime, uti, bytes) = match kind {
        FileKind::Png | FileKind::Forwarded => {
            ("IMG_", "png", "image/png", "public.png", png(&mut random))
        }
        FileKind::Sticker => (
            "sticker",
            "png",
            "image/png",
            "public.png",
            png(&mut random),
        ),
        FileKind::Jpeg | FileKind::LivePhoto => (
            "IMG_",
            "jpeg",
            "image/jpeg",
            "public.jpeg",
            jpeg(&mut random),
        ),
        FileKind::Voice => (
            "Audio Message ",
            "caf",
            "audio/x-caf",
            "com.apple.coreaudio-format",
            caf(&mut random),
        ),
        FileKind::Movie => (
            "IMG_",
            "MOV",
            "video/quicktime",
            "com.apple.quicktime-movie",
            movie(number),
        ),
        FileKind::Card => (
            "Contact ",
            "vcf",
            "text/vcard",
            "public.vcard",
            card(number),
        ),
        FileKind::Document => {
            let [small, large] = DOCUMENT_BYTES;
            let bytes = document(&mut random, if is_large { large } else { small });
            ("notes-", "txt", "text/plain", "public.plain-text", bytes)
        }
    };
    File {
        name: format!("{stem}{:04}.{ending}", number % BUSINESS_FILE),
        mime,
        uti,
        bytes,
    }
}

/// A picture of coloured stripes. The compressed data is stored as it is.
fn png(random: &mut Random) -> Vec<u8> {
    let side = u32::try_from(8 + random.below(40)).unwrap_or(8);
    let (red, green) = (random.below(256), random.below(256));
    let mut rows = Vec::new();
    for y in 0..u64::from(side) {
        rows.push(0);
        for x in 0..u64::from(side) {
            for value in [red + x * 5, green + y * 3, (x ^ y) * 4] {
                rows.push(u8::try_from(value % 256).unwrap_or_default());
            }
        }
    }
    let mut data = vec![0x78, 0x01];
    let mut blocks = rows.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        data.push(u8::from(blocks.peek().is_none()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(block);
    }
    data.extend(adler32(&rows).to_be_bytes());
    let mut head = [side.to_be_bytes(), side.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", &head[..]), (b"IDAT", &data), (b"IEND", b"")] {
        let checked = [&kind[..], content].concat();
        out.extend(
            u32::try_from(content.len())
                .unwrap_or_default()
                .to_be_bytes(),
        );
        out.extend(&checked);
        out.extend(crc32(&checked).to_be_bytes());
    }
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let low = sum & 1;
            sum = (sum >> 1) ^ (0xedb8_8320 & low.wrapping_neg());
        }
    }
    !sum
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// A grey picture of squares of eight points, each of one brightness: only the first coefficient of a square is not zero.
///
/// The codes are as simple as can be: four bits for the length of a number, one bit for the end of a square.
fn jpeg(random: &mut Random) -> Vec<u8> {
    let squares = 2 + random.below(6);
    let side = u16::try_from(squares * 8).unwrap_or(8);
    let mut out = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00".to_vec();
    // One table of divisors: eight for every coefficient.
    out.extend(b"\xff\xdb\x00\x43\x00");
    out.extend([8; 64]);
    out.extend(b"\xff\xc0\x00\x0b\x08");
    out.extend(side.to_be_bytes());
    out.extend(side.to_be_bytes());
    out.extend(b"\x01\x01\x11\x00");
    out.extend(b"\xff\xc4\x00\x1f\x00\x00\x00\x00\x0c");
    out.extend([0; 12]);
    out.extend(0..12);
    out.extend(b"\xff\xc4\x00\x14\x10\x01");
    out.extend([0; 16]);
    out.extend(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00");
    let mut bits = Bits::default();
    let mut before = 0_i32;
    for _ in 0..squares * squares {
        let level = i32::try_from(random.below(255)).unwrap_or_default() - 127;
        let change = level - before;
        before = level;
        let digits = 32 - change.unsigned_abs().leading_zeros();
        // Negative numbers are written one less, in as many bits as their amount has.
        let written = if change < 0 { change - 1 } else { change };
        bits.push(digits, 4);
        bits.push(written.cast_unsigned() & ((1 << digits) - 1), digits);
        bits.push(0, 1);
    }
    out.extend(bits.finish());
    out.extend(b"\xff\xd9");
    out
}

/// Bits, the first one highest; a full byte of ones is followed by a zero.
#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            self.pending = self.pending << 1 | (value >> at & 1);
            self.count += 1;
            if self.count == 8 {
                let byte = u8::try_from(self.pending).unwrap_or_default();
                self.out.push(byte);
                if byte == 0xff {
                    self.out.push(0);
                }
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count != 0 {
            self.push(1, 1);
        }
        self.out
    }
}

/// A fifth of a second of a tone.
fn caf(random: &mut Random) -> Vec<u8> {
    let step = 300 + random.below(700);
    let samples = (0..3_200_u64).flat_map(|at| {
        let level = i16::try_from(at * step % 8_000).unwrap_or_default() - 4_000;
        level.to_le_bytes()
    });
    let samples: Vec<u8> = samples.collect();
    let mut out = b"caff\x00\x01\x00\x00desc".to_vec();
    out.extend(32_u64.to_be_bytes());
    out.extend(16_000_f64.to_be_bytes());
    out.extend(b"lpcm");
    for value in [2_u32, 2, 1, 1, 16] {
        out.extend(value.to_be_bytes());
    }
    out.extend(b"data");
    out.extend((u64::try_from(samples.len()).unwrap_or_default() + 4).to_be_bytes());
    out.extend([0; 4]);
    out.extend(samples);
    out
}

/// A container without a picture in it.
fn movie(number: u64) -> Vec<u8> {
    let bx = |kind: &[u8; 4], content: &[u8]| {
        let length = u32::try_from(content.len() + 8).unwrap_or_default();
        [&length.to_be_bytes()[..], kind, content].concat()
    };
    let note = format!("footbridge {number}");
    [
        bx(b"ftyp", b"qt  \0\0\x02\0qt  "),
        bx(b"mdat", note.as_bytes()),
    ]
    .concat()
}

fn card(number: u64) -> Vec<u8> {
    let (first, last) = words::person(usize::try_from(number).unwrap_or_default());
    let phone = number % 10_000;
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:{last};{first};;;\r\nFN:{first} {last}\r\n\
         TEL;type=CELL:+1555010{phone:04}\r\nEND:VCARD\r\n"
    )
    .into_bytes()
}

fn document(random: &mut Random, bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(&words::sentence(random));
        text.push('\n');
    }
    text.into_bytes()
}
