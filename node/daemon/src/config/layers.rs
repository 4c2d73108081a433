//! Who said what: the defaults, a file, the environment and flags, laid over each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use warren_payments::chain::shown_url;

use super::error::{ConfigError, Place};
use super::keys::{KEYS, Key, Kind, find, nearest};

/// The largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where values may come from; later ones win.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file. `None`: no file is read.
    pub file: Option<PathBuf>,
    /// The environment; only `WARREN_SECTION__KEY` counts.
    pub env: Vec<(String, String)>,
    /// Flags that set a key: key and value.
    pub flags: Vec<(String, String)>,
}

/// Who set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// The file.
    File,
    /// An environment variable.
    Env,
    /// A flag.
    Flag,
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static Key,
    /// The value as one would write it in a variable; lists with commas.
    pub value: String,
    /// Who set it.
    pub origin: Origin,
    /// Where exactly.
    pub place: Place,
}

impl Setting {
    /// The value as it may be shown: addresses of chain endpoints often hold a key.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.key.name != "chain.rpc_url" {
            return self.value.trim().to_owned();
        }
        let urls = self.value.split(',').map(str::trim);
        let urls = urls.filter(|it| !it.is_empty()).map(shown_url);
        urls.collect::<Vec<_>>().join(",")
    }
}

/// The answer to `config explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The key as set.
    pub setting: Setting,
    /// The variable that would set it.
    pub variable: String,
}

/// Lays the sources over each other: one setting for each key, in the order of [`KEYS`]; and each thing that was said
/// and is none, or cannot be read.
pub(super) fn settings(sources: &Sources) -> (Vec<Setting>, Vec<ConfigError>) {
    let (mut said, mut faults) = (BTreeMap::new(), Vec::new());
    let of_file = sources.file.as_ref().map(|it| from_file(it));
    let of_file = of_file.unwrap_or_else(|| Ok(Vec::new()));
    let of_file = of_file.unwrap_or_else(|fault| vec![Err(fault)]);
    let all = of_file.into_iter().chain(from_env(&sources.env));
    for it in all.chain(from_flags(&sources.flags)) {
        match it {
            Ok(found) => drop(said.insert(found.key.name, found)),
            Err(fault) => faults.push(fault),
        }
    }
    let setting = |key: &'static Key| match said.remove(key.name) {
        Some(Found {
            value,
            origin,
            place,
            ..
        }) => Setting {
            key,
            value,
            origin,
            place,
        },
        None => Setting {
            key,
            value: key.default.to_owned(),
            origin: Origin::Default,
            place: Place::Nowhere,
        },
    };
    (KEYS.iter().map(setting).collect(), faults)
}

pub(super) fn explain(settings: &[Setting], key: &str) -> Result<Explained, ConfigError> {
    let setting = settings.iter().find(|it| it.key.name == key);
    let setting = setting.ok_or_else(|| unknown(key, Place::Nowhere))?.clone();
    Ok(Explained {
        variable: variable(setting.key),
        setting,
    })
}

struct Found {
    key: &'static Key,
    value: String,
    origin: Origin,
    place: Place,
}

fn variable(key: &Key) -> String {
    format!("WARREN_{}", key.name.replacen('.', "__", 1).to_uppercase())
}

fn unknown(key: &str, place: Place) -> ConfigError {
    let key: String = key.chars().take(80).collect();
    ConfigError::UnknownKey {
        place,
        nearest: nearest(&key),
        key,
    }
}

fn from_env(env: &[(String, String)]) -> Vec<Result<Found, ConfigError>> {
    let found = env.iter().filter_map(|(variable, value)| {
        let rest = variable.strip_prefix("WARREN_")?;
        let (section, name) = rest.split_once("__")?;
        let place = Place::Env {
            variable: variable.clone(),
        };
        let name = format!("{}.{}", section.to_lowercase(), name.to_lowercase());
        let key = find(&name).ok_or_else(|| unknown(&name, place.clone()));
        Some(key.map(|key| Found {
            key,
            value: value.clone(),
            origin: Origin::Env,
            place,
        }))
    });
    found.collect()
}

fn from_flags(flags: &[(String, String)]) -> Vec<Result<Found, ConfigError>> {
    let found = flags.iter().map(|(name, value)| {
        let place = Place::Flag { flag: name.clone() };
        let key = find(name).ok_or_else(|| unknown(name, place.clone()))?;
        Ok(Found {
            key,
            value: value.clone(),
            origin: Origin::Flag,
            place,
        })
    });
    found.collect()
}

/// # Errors
/// [`ConfigError::Unreadable`] or [`ConfigError::Syntax`]: then nobody knows what it says.
fn from_file(path: &Path) -> Result<Vec<Result<Found, ConfigError>>, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let size = fs::metadata(path)
        .map_err(|it| unreadable(it.to_string()))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(unreadable(format!(
            "{size} bytes; the limit is {MAX_FILE_BYTES}"
        )));
    }
    let text = fs::read_to_string(path).map_err(|it| unreadable(it.to_string()))?;
    let place = |at: usize| Place::File {
        path: path.to_owned(),
        line: line_of(&text, at),
    };
    let table = DeTable::parse(&text).map_err(|error| ConfigError::Syntax {
        place: place(error.span().map_or(0, |it| it.start)),
        reason: error.message().to_owned(),
    })?;
    let mut found = Vec::new();
    for (section, content) in table.get_ref() {
        let DeValue::Table(keys) = content.get_ref() else {
            let place = place(section.span().start);
            found.push(Err(unknown(section.get_ref(), place)));
            continue;
        };
        for (name, value) in keys {
            let full = format!("{}.{}", section.get_ref(), name.get_ref());
            let place = place(name.span().start);
            let key = find(&full).ok_or_else(|| unknown(&full, place.clone()));
            found.push(key.and_then(|key| {
                Ok(Found {
                    key,
                    value: as_text(key, value.get_ref(), &place)?,
                    origin: Origin::File,
                    place,
                })
            }));
        }
    }
    Ok(found)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// Writes a TOML value as one would write it in a variable, if its type is the key's.
fn as_text(key: &'static Key, value: &DeValue<'_>, place: &Place) -> Result<String, ConfigError> {
    let wrong = |wanted: &str| ConfigError::BadValue {
        place: place.clone(),
        key: key.name,
        // Addresses of chain endpoints often hold a key.
        value: if key.name == "chain.rpc_url" {
            "…".to_owned()
        } else {
            shown(value)
        },
        wanted: wanted.to_owned(),
    };
    match (key.kind, value) {
        (Kind::Text | Kind::Money | Kind::OneOf(_) | Kind::Address, DeValue::String(it)) => {
            Ok(it.to_string())
        }
        (Kind::Texts, DeValue::String(it)) if !it.contains(',') => Ok(it.to_string()),
        (Kind::Switch, DeValue::Boolean(it)) => Ok(it.to_string()),
        (Kind::Count { .. }, DeValue::Integer(it)) if it.radix() == 10 => {
            Ok(it.as_str().to_owned())
        }
        (Kind::Texts, DeValue::Array(items)) => {
            let mut texts = Vec::new();
            for item in items {
                let text = item.get_ref().as_str().filter(|it| !it.contains(','));
                let text = text.ok_or_else(|| wrong("a list of texts without commas is needed"))?;
                texts.push(text.to_owned());
            }
            Ok(texts.join(","))
        }
        (Kind::Text | Kind::OneOf(_) | Kind::Address, _) => {
            Err(wrong("a text in quotes is needed"))
        }
        (Kind::Money, _) => Err(wrong(
            "a sum is written as text, so that no digit is lost: \"0.002\"",
        )),
        (Kind::Switch, _) => Err(wrong("true or false is needed, without quotes")),
        (Kind::Count { .. }, _) => Err(wrong("a whole number is needed, without quotes")),
        (Kind::Texts, _) => Err(wrong("a list is needed: [\"…\", \"…\"]")),
    }
}

fn shown(value: &DeValue<'_>) -> String {
    let text = match value {
        DeValue::String(it) => format!("\"{it}\""),
        DeValue::Integer(it) => it.to_string(),
        DeValue::Float(it) => it.to_string(),
        DeValue::Boolean(it) => it.to_string(),
        DeValue::Datetime(it) => it.to_string(),
        DeValue::Array(_) => "[…]".to_owned(),
        DeValue::Table(_) => "{…}".to_owned(),
    };
    text.chars().take(80).collect()
}
