//! The shape of the code: which module may name which, who owns a crate, how long a file may be.
//!
//! A line scan, not a parser: it stays honest because `use crate::{..}` and `super::super::` are refused, so that every
//! path to another module of ours is written out after `crate::`. A line is code unless it starts with `//`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Which modules each module may import, lowest first: the table in the documentation of `src/lib.rs`.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("net", &["base"]),
    ("codec", &["base"]),
    ("apple", &["base", "codec"]),
    ("model", &["base"]),
    ("decode", &["base", "codec", "model"]),
    ("store", &["base", "model"]),
    ("source", &["base", "net", "codec", "apple", "model"]),
    ("matrix", &["base", "model"]),
    (
        "ingest",
        &[
            "base", "codec", "apple", "model", "decode", "store", "source",
        ],
    ),
    ("deliver", &["base", "net", "model", "store", "matrix"]),
    ("demo", &["base", "net", "codec", "apple", "model"]),
    (
        "app",
        &[
            "base", "net", "apple", "model", "decode", "store", "source", "ingest", "deliver",
            "demo",
        ],
    ),
    ("cli", &["base", "app"]),
];

/// Which modules may name a crate. Crates that are not here belong to everybody.
const OWNERS: &[(&str, &[&str])] = &[
    ("argon2", &["base"]),
    ("aes", &["apple", "base"]),
    ("aes_gcm", &["apple", "base"]),
    ("aes_kw", &["apple", "base"]),
    ("aes_siv", &["apple", "base"]),
    ("bincode", &["store"]),
    ("cfb_mode", &["apple", "base"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("hickory_resolver", &["net"]),
    ("http_body_util", &["net"]),
    ("hyper", &["net"]),
    ("hyper_rustls", &["net"]),
    ("hyper_util", &["net"]),
    ("image", &["deliver"]),
    ("ctr", &["apple", "base"]),
    ("flate2", &["net", "codec"]),
    ("hkdf", &["apple", "base"]),
    ("indicatif", &["cli"]),
    ("p256", &["apple", "base"]),
    ("pbkdf2", &["apple", "base"]),
    ("plist", &["codec"]),
    ("prost", &["codec"]),
    ("rcgen", &["net"]),
    ("redb", &["store"]),
    ("ruma", &["matrix", "deliver"]),
    ("rusqlite", &["source::chatdb"]),
    ("rustls", &["net"]),
    ("rustls_native_certs", &["net"]),
    ("rustls_pki_types", &["net"]),
    ("tokio_rustls", &["net"]),
    ("toml", &["app"]),
    ("tower_service", &["net"]),
    ("sha1", &["apple", "base"]),
    ("tracing_subscriber", &["cli"]),
    ("unicode_normalization", &["store"]),
    ("unicode_segmentation", &["store", "cli"]),
    ("unicode_width", &["cli"]),
    ("webpki_roots", &["net"]),
    ("zeroize", &["net", "apple", "base"]),
];

/// Lines of one file above its tests.
const FILE_LINES: usize = 900;

/// One source file: its path below `src/` with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// `store::page` for `store/page.rs`; empty for `lib.rs` and `main.rs`.
    fn module(&self) -> String {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        match path {
            "lib" | "main" => String::new(),
            path => path.replace('/', "::"),
        }
    }

    /// Every offence against the rules, as `file:line: rule`.
    fn offences(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in (1..).zip(self.text.lines()) {
            let mut report = |rule: String| found.push(format!("{}:{number}: {rule}", self.path));
            if !line.is_ascii() {
                report("source files are ASCII".to_owned());
            }
            if !line.trim_start().starts_with("//") {
                self.check_imports(line, &mut report);
                self.check_owners(line, &mut report);
            }
        }
        let lines = self
            .text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        if lines > FILE_LINES {
            found.push(format!(
                "{}:{lines}: a file has at most {FILE_LINES} lines above its tests",
                self.path
            ));
        }
        found
    }

    fn check_imports(&self, line: &str, report: &mut impl FnMut(String)) {
        let module = self.module();
        let top = module.split("::").next().unwrap_or_default();
        if line.contains("use crate::{") {
            report("write one `use crate::module::Name;` for each name".to_owned());
        }
        if line.contains("super::super::") {
            report("write `crate::`, not `super::super::`".to_owned());
        }
        let row = LAYERS.iter().find(|(name, _)| *name == top);
        for import in names_after(line, "crate::") {
            let allowed = match row {
                Some((_, may)) => import == top || may.contains(&import),
                None => true,
            };
            if !allowed && LAYERS.iter().any(|(name, _)| *name == import) {
                report(format!("{top} must not import {import}"));
            }
        }
        if self.path == "main.rs" {
            for import in names_after(line, "footbridge::") {
                if import != "cli" {
                    report(format!("main.rs must not import {import}"));
                }
            }
        }
    }

    fn check_owners(&self, line: &str, report: &mut impl FnMut(String)) {
        let module = self.module();
        for (name, owners) in OWNERS {
            let owned = owners
                .iter()
                .any(|owner| module == *owner || module.starts_with(&format!("{owner}::")));
            if !owned && names_crate(line, name) && !self.has_own(name) {
                report(format!("{name} belongs to {}", owners.join(", ")));
            }
        }
    }

    /// Whether the file brings a module of ours with a crate's name into scope (`use crate::codec::plist;`).
    fn has_own(&self, name: &str) -> bool {
        let import = format!("::{name};");
        self.text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("use crate::") && line.ends_with(&import)
        })
    }
}

/// The lower-case names that follow `prefix` where that stands for itself, not as the end of a longer path.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    line.match_indices(prefix)
        .filter(|(at, _)| !line[..*at].ends_with(is_word) && !line[..*at].ends_with('$'))
        .map(|(at, _)| {
            let rest = &line[at + prefix.len()..];
            &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
        })
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

/// Whether a path on this line starts with the crate's name, or the line imports the crate whole.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let starts_a_path = !before.ends_with(is_word)
            && (!before.ends_with("::")
                || before.trim_end_matches("::").ends_with([' ', '(', '<']));
        let imported =
            before.trim_start().trim_start_matches("pub ") == "use " && !after.starts_with(is_word);
        starts_a_path && (after.starts_with("::") || imported)
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Modules without a row, and files beside the folder of the same name.
fn misplaced(paths: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        let stem = path.trim_end_matches(".rs");
        let top = stem.split('/').next().unwrap_or_default();
        let known = LAYERS.iter().any(|(name, _)| *name == top);
        if !known && !matches!(*path, "lib.rs" | "main.rs") {
            found.push(format!("{path}: {top} has no row in the layer table"));
        }
        let folder = format!("{stem}/");
        if paths.iter().any(|other| other.starts_with(&folder)) {
            found.push(format!("{path}: write {stem}/mod.rs"));
        }
    }
    found
}

/// The rows of the table in the documentation of `src/lib.rs`: module, and what it may import.
fn documented_layers(lib: &str) -> Vec<(String, Vec<String>)> {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for line in lib.lines().filter(|line| line.starts_with("//! | [`")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let module = cells[1].trim_matches(['[', '`', ']']).to_owned();
        let may = cells[3];
        let list = |names: &str| names.split(", ").map(str::to_owned).collect::<Vec<_>>();
        let may = if may == "(nothing of ours)" {
            Vec::new()
        } else if let Some(except) = may.strip_prefix("all of the above except ") {
            let except = list(except);
            rows.iter()
                .map(|(name, _)| name.clone())
                .filter(|name| !except.contains(name))
                .collect()
        } else {
            list(may)
        };
        rows.push((module, may));
    }
    rows
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its path relative to that folder.
fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.push(Source::new(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn assert_none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

#[test]
fn every_file_obeys_the_layers() {
    let sources = sources(&root().join("src"));

    assert!(sources.len() > LAYERS.len());
    let offences: Vec<String> = sources.iter().flat_map(Source::offences).collect();
    assert_none(&offences);
}

#[test]
fn every_file_is_where_its_module_is() {
    let sources = sources(&root().join("src"));

    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    assert_none(&misplaced(&paths));
}

#[test]
fn tests_benches_and_fuzz_targets_are_ascii() {
    let mut offences = Vec::new();
    for folder in ["tests", "benches", "fuzz/fuzz_targets"] {
        let folder = root().join(folder);
        if !folder.is_dir() {
            continue;
        }
        for source in sources(&folder) {
            if !source.text.is_ascii() {
                offences.push(format!("{}: source files are ASCII", source.path));
            }
        }
    }

    assert_none(&offences);
}

#[test]
fn the_table_is_the_documented_one() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let ours: Vec<(String, Vec<String>)> = LAYERS
        .iter()
        .map(|(name, may)| {
            (
                (*name).to_owned(),
                may.iter().map(|m| (*m).to_owned()).collect(),
            )
        })
        .collect();

    assert_eq!(ours, documented_layers(&lib));
}

#[test]
fn no_row_lists_a_later_one() {
    for (at, (name, may)) in LAYERS.iter().enumerate() {
        let before: Vec<&str> = LAYERS[..at].iter().map(|(name, _)| *name).collect();

        assert!(
            may.iter().all(|import| before.contains(import)),
            "{name} lists a row that is not above it"
        );
    }
}

mod scanner {
    use super::FILE_LINES;
    use super::Source;
    use super::documented_layers;
    use super::misplaced;

    fn offences(path: &str, text: &str) -> Vec<String> {
        Source::new(path, text).offences()
    }

    #[test]
    fn an_import_that_points_up_is_found() {
        let text =
            "//! Codec.\n\nuse crate::base::ids::Guid;\nfn f(m: &crate::model::Message) {}\n";

        assert_eq!(
            offences("codec/mod.rs", text),
            ["codec/mod.rs:4: codec must not import model"]
        );
    }

    #[test]
    fn a_comment_a_macro_and_an_own_path_are_no_imports() {
        let text = "// crate::store\n    /// [`crate::store`]\n$crate::store::x!();\nuse crate::codec::a::B;\n\
                    use mycrate::store;\n";

        assert_eq!(offences("codec/a.rs", text), [""; 0]);
    }

    #[test]
    fn ways_around_the_scan_are_refused() {
        assert_eq!(
            offences("app/mod.rs", "use crate::{store, cli};\n"),
            ["app/mod.rs:1: write one `use crate::module::Name;` for each name"]
        );
        assert_eq!(
            offences("app/x/y.rs", "use super::super::cli;\n"),
            ["app/x/y.rs:1: write `crate::`, not `super::super::`"]
        );
    }

    #[test]
    fn a_crate_is_named_by_its_owner_only() {
        let text = "use redb::Database;\n";

        assert_eq!(offences("store/db.rs", text), [""; 0]);
        assert_eq!(
            offences("app/mod.rs", text),
            ["app/mod.rs:1: redb belongs to store"]
        );
        assert_eq!(
            offences("source/mod.rs", "fn f(c: rusqlite::Connection) {}\n"),
            ["source/mod.rs:1: rusqlite belongs to source::chatdb"]
        );
        assert_eq!(
            offences("source/chatdb/rows.rs", "use rusqlite::Row;\n"),
            [""; 0]
        );
    }

    #[test]
    fn a_crate_is_found_however_it_is_named() {
        for line in [
            "use plist;",
            "pub use plist as p;",
            "    let x = ::plist::Value::from(1);",
            "#[derive(plist::X)]",
            "fn f() -> Vec<plist::Value> {}",
        ] {
            assert_eq!(
                offences("app/mod.rs", line),
                ["app/mod.rs:1: plist belongs to codec"],
                "{line}"
            );
        }
    }

    #[test]
    fn a_name_that_only_looks_like_a_crate_is_none() {
        for line in [
            "use crate::decode::plist::X;",
            "crate::decode::plist::decode(bytes);",
            "my_plist::decode(bytes);",
            "let plist = bytes;",
            "use crate::codec::plist;\nfn f() { plist::decode(b\"\") }",
        ] {
            assert_eq!(offences("decode/mod.rs", line), [""; 0], "{line}");
        }
    }

    #[test]
    fn the_binary_names_the_command_line_only() {
        assert_eq!(offences("main.rs", "use footbridge::cli;\n"), [""; 0]);
        assert_eq!(
            offences("main.rs", "fn main() { footbridge::store::open() }\n"),
            ["main.rs:1: main.rs must not import store"]
        );
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "fn f() {}\n".repeat(FILE_LINES);
        let tests = "#[cfg(test)]\nmod tests {}\n".repeat(2);

        assert_eq!(offences("base/a.rs", &format!("{code}{tests}")), [""; 0]);
        assert_eq!(
            offences("base/a.rs", &format!("{code}fn g() {{}}\n{tests}")),
            ["base/a.rs:901: a file has at most 900 lines above its tests"]
        );
    }

    #[test]
    fn a_letter_outside_ascii_is_found() {
        assert_eq!(
            offences("base/a.rs", "// na\u{ef}ve\n"),
            ["base/a.rs:1: source files are ASCII"]
        );
    }

    #[test]
    fn an_unknown_module_and_a_file_beside_its_folder_are_found() {
        let paths = [
            "lib.rs",
            "main.rs",
            "base/ids.rs",
            "base/ids/guid.rs",
            "helpers.rs",
        ];

        assert_eq!(
            misplaced(&paths),
            [
                "base/ids.rs: write base/ids/mod.rs",
                "helpers.rs: helpers has no row in the layer table"
            ]
        );
    }

    #[test]
    fn a_documented_row_is_read_as_it_is_written() {
        let lib = "//! | module | what | may import |\n//! |---|---|---|\n\
                   //! | [`a`] | x | (nothing of ours) |\n//! | [`b`] | y | a |\n\
                   //! | [`c`] | z | all of the above except b |\n";
        let row = |name: &str, may: &[&str]| {
            (
                name.to_owned(),
                may.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>(),
            )
        };

        assert_eq!(
            documented_layers(lib),
            [row("a", &[]), row("b", &["a"]), row("c", &["a"])]
        );
    }
}
