//! `data-format.md` as a program reads it: its tables, and a decoder of stored values that is made of nothing else.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// The specification.
pub(crate) struct Document {
    text: String,
    types: BTreeMap<String, Shape>,
    /// Types that stand as values in tables.
    pub(crate) versions: BTreeMap<String, u8>,
}

/// A documented type.
enum Shape {
    /// Fields, each with its type.
    Struct(Vec<(String, String)>),
    /// Variants by number: name, and what each holds, named or not.
    Enum(BTreeMap<u64, (String, Vec<(String, String)>)>),
}

impl Document {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-format.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (mut types, mut versions) = (BTreeMap::new(), BTreeMap::new());
        for section in text.split("\n### ").skip(1) {
            let (heading, body) = section.split_once('\n').unwrap();
            let Some(name) = between(heading, "`", "`") else {
                continue;
            };
            if let Some((_, version)) = heading.split_once("version ") {
                versions.insert(name.to_owned(), version.parse().unwrap());
            }
            let body = body.split("\n## ").next().unwrap();
            let rows: Vec<Vec<&str>> = body.lines().filter_map(cells).collect();
            match rows.first().map(|cells| cells[0]) {
                Some("field") => types.insert(name.to_owned(), fields(&rows)),
                Some("number") => types.insert(name.to_owned(), variants(&rows)),
                _ => None,
            };
        }
        Self {
            text,
            types,
            versions,
        }
    }

    /// Sections below headings of the fourth level, by name, in order.
    pub(crate) fn tables(&self) -> Vec<(&str, &str)> {
        let sections = self.text.split("\n#### ").skip(1);
        let named = sections.map(|section| section.split_once('\n').unwrap());
        named
            .map(|(heading, body)| (heading.trim_matches('`'), body))
            .collect()
    }

    /// The numbered names of the list below a heading.
    pub(crate) fn numbered(&self, heading: &str) -> Vec<&str> {
        let from = self.text.split(&format!("\n{heading}\n")).nth(1).unwrap();
        let list = from.split("\n#").next().unwrap();
        let mut names = Vec::new();
        for piece in list.split('`').collect::<Vec<_>>().chunks_exact(2) {
            let number = piece[0].split_whitespace().last().unwrap();
            assert_eq!(number.parse(), Ok(names.len()), "at `{}`", piece[1]);
            names.push(piece[1]);
        }
        names
    }

    /// The examples of the encoding: type, value, bytes.
    pub(crate) fn examples(&self) -> Vec<(&str, &str, Vec<u8>)> {
        let from = self.text.split("\n| value | bytes |\n").nth(1).unwrap();
        let rows = from.split("\n\n").next().unwrap().lines().skip(1);
        rows.filter_map(cells)
            .map(|cells| {
                let (kind, value) = cells[0][1..].split_once("` ").unwrap();
                let bytes = cells[1].trim_matches('`').split(' ');
                let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap());
                (kind, value, bytes.collect())
            })
            .collect()
    }

    /// A decoder of bytes, which knows what this document says.
    pub(crate) fn decoder<'d>(&'d self, bytes: &'d [u8]) -> Decoder<'d> {
        Decoder {
            document: self,
            bytes,
            variants: BTreeSet::new(),
        }
    }

    /// Every documented variant.
    pub(crate) fn variants(&self) -> BTreeSet<(String, String)> {
        let mut all = BTreeSet::new();
        for (name, shape) in &self.types {
            if let Shape::Enum(variants) = shape {
                let variants = variants.values();
                all.extend(variants.map(|(variant, _)| (name.clone(), variant.clone())));
            }
        }
        all
    }
}

/// Bytes that are decoded by the document.
pub(crate) struct Decoder<'d> {
    document: &'d Document,
    /// What is left.
    pub(crate) bytes: &'d [u8],
    /// The variants that were met: enum and name.
    pub(crate) variants: BTreeSet<(String, String)>,
}

impl Decoder<'_> {
    /// The next value, of a type as the document writes it.
    pub(crate) fn value(&mut self, kind: &str) -> Value {
        if let Some(inner) = kind.strip_suffix('?') {
            return match self.byte() {
                0 => Value::Null,
                1 => self.value(inner),
                other => panic!("an option's byte is {other}"),
            };
        }
        if let Some(inner) = kind.strip_prefix('[') {
            let inner = inner.strip_suffix(']').unwrap();
            let items = self.unsigned();
            return (0..items).map(|_| self.value(inner)).collect();
        }
        if let Some(inner) = kind.strip_prefix('(') {
            let inner = inner.strip_suffix(')').unwrap().split(", ");
            return inner.map(|kind| self.value(kind)).collect();
        }
        match kind {
            "u8" => json!(self.byte()),
            "u16" => json!(u16::try_from(self.unsigned()).unwrap()),
            "u32" => json!(u32::try_from(self.unsigned()).unwrap()),
            "u64" => json!(self.unsigned()),
            "i64" => json!(self.signed()),
            "f64" => json!(f64::from_le_bytes(self.take(8).try_into().unwrap())),
            "bool" => match self.byte() {
                0 => json!(false),
                1 => json!(true),
                other => panic!("a bool's byte is {other}"),
            },
            "text" => {
                let length = self.unsigned();
                json!(String::from_utf8(self.take(length)).unwrap())
            }
            "bytes" => {
                let length = self.unsigned();
                json!(hex(&self.take(length)))
            }
            "16 bytes" => json!(hex(&self.take(16))),
            "32 bytes" => json!(hex(&self.take(32))),
            "Row" => self.row(),
            name => self.named(name),
        }
    }

    fn named(&mut self, name: &str) -> Value {
        let document = self.document;
        match document.types.get(name) {
            Some(Shape::Struct(fields)) => {
                let fields = fields.iter();
                let read = fields.map(|(field, kind)| (field.clone(), self.value(kind)));
                Value::Object(read.collect())
            }
            Some(Shape::Enum(variants)) => {
                let number = self.unsigned();
                let (variant, holds) = variants
                    .get(&number)
                    .unwrap_or_else(|| panic!("{name} has no variant {number}"));
                self.variants.insert((name.to_owned(), variant.clone()));
                let held: Map<String, Value> = holds
                    .iter()
                    .map(|(field, kind)| (field.clone(), self.value(kind)))
                    .collect();
                json!({ variant: held })
            }
            None => panic!("no type {name}"),
        }
    }

    /// The layout that the document gives in words.
    fn row(&mut self) -> Value {
        let mut columns = Map::new();
        let length = self.unsigned();
        for (a, byte) in self.take(length).into_iter().enumerate() {
            for b in (0..8).filter(|b| byte & (1 << b) != 0) {
                columns.insert((8 * a + b).to_string(), json!({"Integer": {"": 0}}));
            }
        }
        for _ in 0..self.unsigned() {
            columns.insert(self.byte().to_string(), self.value("Value"));
        }
        json!({ "columns": columns, "others": self.value("[(text, Value)]") })
    }

    fn take(&mut self, length: u64) -> Vec<u8> {
        let (taken, rest) = self.bytes.split_at(usize::try_from(length).unwrap());
        self.bytes = rest;
        taken.to_vec()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn unsigned(&mut self) -> u64 {
        let width = match self.byte() {
            0xfb => 2,
            0xfc => 4,
            0xfd => 8,
            small => return small.into(),
        };
        let mut bytes = self.take(width);
        bytes.resize(8, 0);
        u64::from_le_bytes(bytes.try_into().unwrap())
    }

    fn signed(&mut self) -> i64 {
        let number = self.unsigned();
        let half = i64::try_from(number / 2).unwrap();
        if number.is_multiple_of(2) {
            half
        } else {
            -half - 1
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").unwrap();
        digits
    })
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    text.split_once(open)?
        .1
        .split_once(close)
        .map(|(inner, _)| inner)
}

fn fields(rows: &[Vec<&str>]) -> Shape {
    let rows = rows.iter().skip(2);
    Shape::Struct(
        rows.map(|cells| {
            let (field, kind) = (cells[0].trim_matches('`'), cells[1].trim_matches('`'));
            (field.to_owned(), kind.to_owned())
        })
        .collect(),
    )
}

/// What a variant holds stands in backticks: a type, or a field's name, a colon and a type.
fn variants(rows: &[Vec<&str>]) -> Shape {
    let mut variants = BTreeMap::new();
    for cells in rows.iter().skip(2) {
        let pieces: Vec<&str> = cells[2].split('`').collect();
        let mut holds = Vec::new();
        let mut name = "";
        for (n, piece) in pieces.iter().enumerate().skip(1).step_by(2) {
            let is_name = pieces[n + 1] == ": ";
            if is_name {
                name = piece;
            } else {
                holds.push((name.to_owned(), (*piece).to_owned()));
                name = "";
            }
        }
        let variant = cells[1].trim_matches('`').to_owned();
        variants.insert(cells[0].parse().unwrap(), (variant, holds));
    }
    Shape::Enum(variants)
}
