//! The visual effect of a sticker, which its HEIC image names in an XMP packet. The image itself is not read.
//!
//! Source: `[obs]` three stickers of iOS 17; `tests/vectors.rs`.

use crate::base::limits;

const PACKET_START: &[u8] = b"<x:xmpmeta";

const PACKET_END: &[u8] = b"</x:xmpmeta>";

const ATTRIBUTE: &str = "stickerEffect:type=\"";

/// The name of the effect of a sticker, as people know it: `comic`, `outline`, `shiny`; others as Apple calls them.
///
/// `None` for an image without an effect and for bytes that are not an image of this kind.
pub fn effect(image: &[u8]) -> Option<String> {
    let image = image.get(..limits::BLOB_BYTES).unwrap_or(image);
    if image.get(4..8) != Some(b"ftyp") {
        return None;
    }
    let packet = image.get(find(image, PACKET_START)?..)?;
    let packet = packet.get(..find(packet, PACKET_END)?)?;
    let packet = str::from_utf8(packet).ok()?;
    let (_, value) = packet.split_once(ATTRIBUTE)?;
    let (value, _) = value.split_once('"')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.is_empty() || !value.chars().all(is_name) {
        return None;
    }
    Some(match value {
        "stroke" => "outline".to_owned(),
        "iridescent" => "shiny".to_owned(),
        other => other.to_owned(),
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
pub(crate) fn encode(effect: &str) -> Vec<u8> {
    let packet = format!(
        "<?xpacket?> <x:xmpmeta> <rdf:RDF> <rdf:Description stickerEffect:type=\"{effect}\"/> </rdf:RDF> </x:xmpmeta>"
    );
    [b"\0\0\0\x18ftypheic", packet.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::effect;
    use super::encode;

    #[test]
    fn effects_have_the_names_people_know() {
        assert_eq!(effect(&encode("comic")).as_deref(), Some("comic"));
        assert_eq!(effect(&encode("stroke")).as_deref(), Some("outline"));
        assert_eq!(effect(&encode("iridescent")).as_deref(), Some("shiny"));
        assert_eq!(effect(&encode("puffy")).as_deref(), Some("puffy"));
    }

    #[test]
    fn an_image_without_effect_has_none() {
        assert_eq!(effect(b"\0\0\0\x18ftypheic"), None);
        assert_eq!(effect(&encode("<b>")), None);
        assert_eq!(effect(&encode("")), None);
        assert_eq!(effect(b"PNG"), None);
    }
}
