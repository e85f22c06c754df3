//! The libraries that ship with the judge (`core/data/*.toml`): entries under one key, each with a name.

use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::{Table, Value};

/// Why a library cannot be read: file, entry and field.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum LibraryError {
    #[error("{file}: {problem}")]
    Syntax { file: &'static str, problem: String },
    #[error("{file}: no [[{key}]] in it")]
    Empty {
        file: &'static str,
        key: &'static str,
    },
    #[error("{file}, {entry}: {problem}")]
    Entry {
        file: &'static str,
        entry: String,
        problem: String,
    },
    #[error("{file}, {entry}, {field}: {problem}")]
    Field {
        file: &'static str,
        entry: String,
        field: &'static str,
        problem: String,
    },
}

/// Reads `[[key]]` tables; `name` is the field by which errors call an entry.
pub(crate) fn entries<T: DeserializeOwned>(
    file: &'static str,
    (key, name): (&'static str, &str),
    text: &str,
) -> Result<Vec<T>, LibraryError> {
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| LibraryError::Syntax {
            file,
            problem: on_one_line(&error.to_string()),
        })?;
    let Some(Value::Array(list)) = table.remove(key) else {
        return Err(LibraryError::Empty { file, key });
    };
    list.into_iter()
        .enumerate()
        .map(|(index, value)| {
            let entry = called(&value, name, key, index);
            value
                .try_into()
                .map_err(|error: toml::de::Error| LibraryError::Entry {
                    file,
                    entry,
                    problem: on_one_line(&error.to_string()),
                })
        })
        .collect()
}

fn called(value: &Value, name: &str, key: &str, index: usize) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .map_or_else(|| format!("{key} {}", index + 1), str::to_owned)
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct One {
        name: String,
        size: u8,
    }

    fn read(text: &str) -> Result<Vec<One>, String> {
        entries("things.toml", ("thing", "name"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn entries_are_read_in_order() {
        let text = "[[thing]]\nname = 'a'\nsize = 1\n[[thing]]\nname = 'b'\nsize = 2";
        let names: Vec<String> = read(text)
            .unwrap()
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn an_error_names_file_entry_and_field() {
        let wrong = read("[[thing]]\nname = 'a'\nsize = 'big'").unwrap_err();
        assert!(wrong.starts_with("things.toml, a: "), "{wrong}");
        assert!(wrong.contains("size"), "{wrong}");
        let missing = read("[[thing]]\nsize = 1").unwrap_err();
        assert!(missing.starts_with("things.toml, thing 1: "), "{missing}");
        assert!(missing.contains("name"), "{missing}");
        let unknown = read("[[thing]]\nname = 'a'\nsize = 1\ncolour = 3").unwrap_err();
        assert!(unknown.contains("colour"), "{unknown}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        assert!(read("thing =").unwrap_err().starts_with("things.toml: "));
        assert_eq!(read("").unwrap_err(), "things.toml: no [[thing]] in it");
    }
}
