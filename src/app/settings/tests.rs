//! A configuration from every origin, and what is wrong with a bad one.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::app::config::Environment;
use crate::app::config::Platform;
use crate::app::settings::Flags;
use crate::app::settings::Key;
use crate::app::settings::Settings;
use crate::app::settings::SettingsError;
use crate::app::settings::Tls;
use crate::base::error::Explain;
use crate::ingest::assets::Keep;

/// A home with a configuration file, and the environment that goes with it.
struct Home {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Home {
    fn new(config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment {
            home: Some(folder.path().to_owned()),
            config: Some(folder.path().join("footbridge.toml")),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Environment::default()
        };
        fs::write(folder.path().join("footbridge.toml"), config).unwrap();
        Self {
            folder,
            environment,
        }
    }

    fn load(&self, flags: &Flags) -> Result<Settings, SettingsError> {
        Settings::load(flags, &self.environment, Platform::Other)
    }

    /// Every key, its value and its origin, a line each.
    fn listed(&self, flags: &Flags) -> String {
        let mut text = String::new();
        for listed in self.load(flags).unwrap().list() {
            let value = listed.value.as_deref().unwrap_or("-");
            writeln!(text, "{} = {value}  ({})", listed.key, listed.origin).unwrap();
        }
        self.cleaned(&text)
    }

    /// What is wrong with the configuration, as it is printed.
    fn refusal(&self) -> String {
        let error = self.load(&Flags::default()).unwrap_err();
        let mut text = format!("{error}\n");
        if let Some(source) = error.source() {
            writeln!(text, "caused by: {source}").unwrap();
        }
        for line in error.hint().iter().flat_map(|hint| hint.lines()) {
            writeln!(text, "hint: {line}").unwrap();
        }
        self.cleaned(&text)
    }

    fn cleaned(&self, text: &str) -> String {
        text.replace(self.folder.path().to_str().unwrap(), "[home]")
    }
}

/// What is wrong with a file of this one line.
fn refusal(line: &str) -> String {
    Home::new(line, &[]).refusal()
}

#[test]
fn without_a_word_everything_has_a_value() {
    insta::assert_snapshot!(Home::new("", &[]).listed(&Flags::default()));
}

#[test]
fn every_value_remembers_where_it_was_said() {
    let config = "\
        data = \"store/a.redb\"\n\
        log = \"info\"\n\
        [source]\n\
        chat_db = \"~/copy/chat.db\"\n\
        attachments = \"/files\"\n\
        region = \"de\"\n\
        [endpoint]\n\
        listen = \"127.0.0.1:1\"\n\
        server_name = \"file.example.org\"\n\
        user = \"me\"\n\
        public_url = \"https://Messages.example.org/\"\n\
        tls = { certificate = \"chain.pem\", key = \"~/key.pem\" }\n\
        allowed_origins = [\"https://app.element.io\"]\n\
        [media]\n\
        legacy = \"off\"\n";
    let home = Home::new(
        config,
        &[
            ("FOOTBRIDGE_ENDPOINT_LISTEN", "127.0.0.1:2"),
            ("FOOTBRIDGE_ENDPOINT_INSECURE", "true"),
            (
                "FOOTBRIDGE_ENDPOINT_ALLOWED_ORIGINS",
                "https://a.example, https://b.example:1",
            ),
            ("FOOTBRIDGE_MEDIA_LEGACY", "loopback"),
        ],
    );
    let flags = Flags {
        listen: Some("127.0.0.1:3".to_owned()),
        server_name: Some("flag.example.org".to_owned()),
        ..Flags::default()
    };

    insta::assert_snapshot!(home.listed(&flags));
}

#[test]
fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let home = Home::new("data = \"/file\"", &[("FOOTBRIDGE_DATA", "/variable")]);
    let flags = Flags {
        data: Some("/flag".into()),
        ..Flags::default()
    };

    assert_eq!(home.load(&flags).unwrap().data, Path::new("/flag"));
    let unasked = home.load(&Flags::default()).unwrap();
    assert_eq!(unasked.data, Path::new("/variable"));
    assert_eq!(unasked.origin(Key::Data).to_string(), "FOOTBRIDGE_DATA");
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_what_to_write() {
    let mut refusals = String::new();
    for line in [
        "[endpoint]\n\nlisten = \"8008\"",
        "[endpoint]\nlisten = 8008",
        "[endpoint]\nlisten = \"localhost:8008\"",
        "[endpoint]\nlisen = \"127.0.0.1:8008\"",
        "[endpoints]\nlisten = \"127.0.0.1:8008\"",
        "[endpoint]\nbanana = 1",
        "[endpoint.tls]\ncertificate = \"a.pem\"",
        "[endpoint.tls]\nkey = \"a.pem\"",
        "endpoint = \"x\"",
        "endpoint.tls = \"yes\"",
        "endpoint.insecure = \"maybe\"",
        "endpoint.user = \"Owner\"",
        "endpoint.public_url = \"messages.example.org\"",
        "endpoint.allowed_origins = [\"*\"]",
        "source.region = \"Germany\"",
        "media.legacy = true",
        "log = \"loud\"",
        "log = warn",
        "log = \"warn\"\nlog = \"info\"",
    ] {
        let shown = line.replace('\n', " | ");
        writeln!(refusals, "# {shown}\n{}", refusal(line)).unwrap();
    }

    insta::assert_snapshot!(refusals);
}

#[test]
fn a_variable_that_sets_nothing_is_refused() {
    let slip = Home::new("", &[("FOOTBRIDGE_ENDPOINT_LISEN", "127.0.0.1:1")]);
    let wrong = Home::new("", &[("FOOTBRIDGE_LOG", "loud")]);
    let foreign = Home::new("", &[("FOOTBRIDGE_BENCH_ROUNDS", "3")]);

    insta::assert_snapshot!(format!("{}\n{}", slip.refusal(), wrong.refusal()));
    assert!(foreign.load(&Flags::default()).is_ok());
}

#[test]
fn a_configuration_that_is_named_must_be_there() {
    let home = Home::new("", &[]);
    fs::remove_file(home.folder.path().join("footbridge.toml")).unwrap();

    insta::assert_snapshot!(home.refusal());
}

#[test]
fn others_may_connect_only_with_tls_or_by_the_owners_word() {
    let open = "[endpoint]\nlisten = \"0.0.0.0:8008\"\n";

    let load = |more: &str| Home::new(&format!("{open}{more}"), &[]).load(&Flags::default());

    insta::assert_snapshot!(refusal(open));
    assert!(load("insecure = true").unwrap().endpoint.insecure);
    assert_eq!(
        load("tls = \"self-signed\"").unwrap().endpoint.tls,
        Tls::SelfSigned
    );
}

#[test]
fn without_a_home_the_archive_must_be_named() {
    let environment = Environment::default();
    let named = Flags {
        data: Some("/a.redb".into()),
        ..Flags::default()
    };

    let unnamed = Settings::load(&Flags::default(), &environment, Platform::Mac);

    assert!(matches!(unnamed, Err(SettingsError::NoHome)));
    assert!(Settings::load(&named, &environment, Platform::Mac).is_ok());
}

#[test]
fn the_owner_says_how_much_stays_free() {
    let home = Home::new("[storage]\nfree_floor = \"2 GB\"\n", &[]);

    let settings = home.load(&Flags::default()).unwrap();

    assert_eq!(settings.free_floor, Some(2_000_000_000));
}

#[test]
fn the_owner_says_which_files_are_kept() {
    let home = Home::new(
        "[media]\nkeep = \"all\"\nlimit = \"1 GiB\"\nfree_floor = \"3 GB\"\n",
        &[],
    );

    let settings = home.load(&Flags::default()).unwrap();

    assert_eq!(settings.fetch.keep, Keep::All);
    assert_eq!(settings.fetch.limit_bytes, 1 << 30);
    assert_eq!(settings.fetch.free_floor, 3_000_000_000);
}

/// The documented file sets every key, each to its default, in comments or not.
#[test]
fn the_documented_file_has_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/footbridge.toml");
    let text = fs::read_to_string(path).unwrap();
    // A key that is commented out has no space after the sign; prose has one.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let documented = Home::new(&uncommented, &[])
        .load(&Flags::default())
        .unwrap();
    let unset = Home::new(&text, &[]);
    let defaults = unset.load(&Flags::default()).unwrap();

    assert_eq!(defaults.list().len(), Key::ALL.len());
    for (listed, default) in documented.list().iter().zip(defaults.list()) {
        let key = Key::named(listed.key).unwrap();
        let is_alternative = matches!(key, Key::Certificate | Key::CertificateKey);
        assert!(
            listed.origin.contains("footbridge.toml:") || is_alternative,
            "{key} is not in the file"
        );
        assert_eq!(default.origin, "default", "{key} is set in the file");
        let has_default = !matches!(
            key,
            Key::ChatDb
                | Key::Attachments
                | Key::Region
                | Key::CloudGateway
                | Key::CloudHurry
                | Key::ServerName
                | Key::PublicUrl
                | Key::AllowedOrigins
                | Key::FreeFloor
                | Key::Data
        );
        if has_default {
            assert_eq!(listed.value, default.value, "{key}");
        }
    }
}
