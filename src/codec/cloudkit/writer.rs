//! Writes protocol buffers field by field, in any order and with any wire type: what a schema would not let one write can
//! be written too. For the loopback iCloud and for tests; a reader has no use for it.

/// A message that is being written.
#[derive(Default)]
pub struct WireWriter(Vec<u8>);

impl WireWriter {
    /// A message without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a whole number.
    pub fn varint(&mut self, field: u32, number: u64) -> &mut Self {
        self.number(key(field, 0));
        self.number(number);
        self
    }

    /// Writes bytes, a text or a message.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.number(key(field, 2));
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    /// Writes a text, if there is one.
    pub fn text(&mut self, field: u32, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.bytes(field, text.as_bytes());
        }
        self
    }

    /// Writes bytes, if there are any.
    pub fn some_bytes(&mut self, field: u32, bytes: Option<&[u8]>) -> &mut Self {
        if let Some(bytes) = bytes {
            self.bytes(field, bytes);
        }
        self
    }

    /// Writes a number, if there is one.
    pub fn some_varint(&mut self, field: u32, number: Option<u64>) -> &mut Self {
        if let Some(number) = number {
            self.varint(field, number);
        }
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn number(&mut self, mut number: u64) {
        while let Some(low) = u8::try_from(number & 0x7f).ok().filter(|_| number > 0x7f) {
            self.0.push(low | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or_default());
    }
}

fn key(field: u32, kind: u64) -> u64 {
    (u64::from(field) << 3) | kind
}

#[cfg(test)]
mod tests {
    use super::WireWriter;
    use crate::codec::cloudkit::Wire;
    use crate::codec::cloudkit::WireFields;

    #[test]
    fn what_is_written_is_read() {
        let long = vec![7; 300];
        let mut writer = WireWriter::new();
        writer.varint(1, 0).varint(2, u64::MAX).varint(19, 0x80);
        writer.bytes(4, &long).text(5, None).text(3, Some("text"));

        let bytes = writer.finish();

        let fields: Vec<_> = WireFields::new(&bytes).map(Result::unwrap).collect();
        let expected = [
            (1, Wire::Varint(0)),
            (2, Wire::Varint(u64::MAX)),
            (19, Wire::Varint(0x80)),
            (4, Wire::Bytes(&long)),
            (3, Wire::Bytes(b"text")),
        ];
        assert_eq!(fields, expected);
    }
}
