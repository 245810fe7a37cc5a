//! MIME types of files whose row names none.

/// Apple's type, the extensions of its files, its MIME type.
///
/// Source: `[obs]` `attachment.uti` of chat.db; Uniform Type Identifiers of macOS 14; IANA media types.
const TYPES: &[(&str, &[&str], &str)] = &[
    ("public.jpeg", &["jpg", "jpeg", "jpe"], "image/jpeg"),
    ("public.heic", &["heic"], "image/heic"),
    ("public.heif", &["heif"], "image/heif"),
    ("public.heics", &["heics"], "image/heic-sequence"),
    ("public.png", &["png"], "image/png"),
    ("com.compuserve.gif", &["gif"], "image/gif"),
    ("public.tiff", &["tiff", "tif"], "image/tiff"),
    ("org.webmproject.webp", &["webp"], "image/webp"),
    ("public.avif", &["avif"], "image/avif"),
    ("com.microsoft.bmp", &["bmp"], "image/bmp"),
    ("com.microsoft.ico", &["ico"], "image/vnd.microsoft.icon"),
    ("public.svg-image", &["svg"], "image/svg+xml"),
    ("com.adobe.raw-image", &["dng"], "image/x-adobe-dng"),
    (
        "com.adobe.photoshop-image",
        &["psd"],
        "image/vnd.adobe.photoshop",
    ),
    (
        "com.apple.quicktime-movie",
        &["mov", "qt"],
        "video/quicktime",
    ),
    ("public.mpeg-4", &["mp4"], "video/mp4"),
    ("com.apple.m4v-video", &["m4v"], "video/x-m4v"),
    ("public.mpeg", &["mpg", "mpeg"], "video/mpeg"),
    ("public.avi", &["avi"], "video/x-msvideo"),
    ("org.webmproject.webm", &["webm"], "video/webm"),
    ("org.matroska.mkv", &["mkv"], "video/x-matroska"),
    ("public.3gpp", &["3gp", "3gpp"], "video/3gpp"),
    ("public.3gpp2", &["3g2"], "video/3gpp2"),
    ("com.apple.coreaudio-format", &["caf"], "audio/x-caf"),
    ("com.apple.m4a-audio", &["m4a"], "audio/mp4"),
    ("public.mpeg-4-audio", &["mp4a"], "audio/mp4"),
    ("public.mp3", &["mp3"], "audio/mpeg"),
    ("public.aac-audio", &["aac"], "audio/aac"),
    ("org.3gpp.adaptive-multi-rate-audio", &["amr"], "audio/amr"),
    (
        "com.microsoft.waveform-audio",
        &["wav", "wave"],
        "audio/wav",
    ),
    ("public.aiff-audio", &["aiff", "aif"], "audio/aiff"),
    ("org.xiph.flac", &["flac"], "audio/flac"),
    ("org.xiph.ogg-audio", &["ogg", "oga"], "audio/ogg"),
    ("org.xiph.opus", &["opus"], "audio/opus"),
    ("public.midi-audio", &["mid", "midi"], "audio/midi"),
    ("com.adobe.pdf", &["pdf"], "application/pdf"),
    ("public.vcard", &["vcf", "vcard"], "text/vcard"),
    ("com.apple.ical.ics", &["ics"], "text/calendar"),
    ("public.plain-text", &["txt", "text"], "text/plain"),
    ("public.utf8-plain-text", &["utf8"], "text/plain"),
    ("public.rtf", &["rtf"], "text/rtf"),
    ("com.apple.rtfd", &["rtfd"], "text/rtfd"),
    ("public.html", &["html", "htm"], "text/html"),
    ("public.xml", &["xml"], "text/xml"),
    ("public.json", &["json"], "application/json"),
    ("public.comma-separated-values-text", &["csv"], "text/csv"),
    (
        "public.tab-separated-values-text",
        &["tsv"],
        "text/tab-separated-values",
    ),
    ("net.daringfireball.markdown", &["md"], "text/markdown"),
    ("com.microsoft.word.doc", &["doc"], "application/msword"),
    (
        "org.openxmlformats.wordprocessingml.document",
        &["docx"],
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        "com.microsoft.excel.xls",
        &["xls"],
        "application/vnd.ms-excel",
    ),
    (
        "org.openxmlformats.spreadsheetml.sheet",
        &["xlsx"],
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        "com.microsoft.powerpoint.ppt",
        &["ppt"],
        "application/vnd.ms-powerpoint",
    ),
    (
        "org.openxmlformats.presentationml.presentation",
        &["pptx"],
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    (
        "com.apple.iwork.pages.sffpages",
        &["pages"],
        "application/vnd.apple.pages",
    ),
    (
        "com.apple.iwork.numbers.sffnumbers",
        &["numbers"],
        "application/vnd.apple.numbers",
    ),
    (
        "com.apple.iwork.keynote.sffkey",
        &["key"],
        "application/vnd.apple.keynote",
    ),
    ("org.idpf.epub-container", &["epub"], "application/epub+zip"),
    ("public.zip-archive", &["zip"], "application/zip"),
    ("org.gnu.gnu-zip-archive", &["gz"], "application/gzip"),
    ("public.tar-archive", &["tar"], "application/x-tar"),
    (
        "org.7-zip.7-zip-archive",
        &["7z"],
        "application/x-7z-compressed",
    ),
    (
        "com.apple.pkpass",
        &["pkpass"],
        "application/vnd.apple.pkpass",
    ),
    (
        "com.pixar.universal-scene-description-mobile",
        &["usdz"],
        "model/vnd.usdz+zip",
    ),
];

/// The MIME type of Apple's type.
pub(super) fn of_uti(uti: &str) -> Option<&'static str> {
    TYPES
        .iter()
        .find(|(name, _, _)| name.eq_ignore_ascii_case(uti))
        .map(|(_, _, mime)| *mime)
}

/// The MIME type of a file by its extension.
pub(super) fn of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    TYPES
        .iter()
        .find(|(_, extensions, _)| {
            extensions
                .iter()
                .any(|known| known.eq_ignore_ascii_case(extension))
        })
        .map(|(_, _, mime)| *mime)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::TYPES;
    use super::of_name;
    use super::of_uti;

    #[test]
    fn types_are_found_by_uti_and_by_extension_in_any_case() {
        assert_eq!(of_uti("public.heic"), Some("image/heic"));
        assert_eq!(of_uti("dyn.ah62d4rv4ge80w"), None);
        assert_eq!(of_name("IMG_0001.HEIC"), Some("image/heic"));
        assert_eq!(of_name("Audio Message.caf"), Some("audio/x-caf"));
        assert_eq!(of_name("README"), None);
    }

    #[test]
    fn no_uti_and_no_extension_has_two_types() {
        let mut seen = BTreeSet::new();

        for (uti, extensions, mime) in TYPES {
            assert!(mime.contains('/'));
            assert!(seen.insert(*uti), "{uti}");
            for extension in *extensions {
                assert!(seen.insert(extension), "{extension}");
            }
        }
    }
}
