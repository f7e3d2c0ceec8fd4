//! Names of what can be chosen, said once: settings, help, errors, `inspect` and the pages of `docs/` all print these.
//!
//! `named!` writes an enum whose variants have names, with `ALL` and `name()`:
//! ```text
//! named! {
//!     /// Which shape.
//!     #[derive(Default)]
//!     pub enum Shape {
//!         /// Nothing special.
//!         #[default]
//!         Free = "free",
//!     }
//! }
//! ```

use crate::error::{Error, Result};

/// A choice that goes by a name.
pub trait Named: Copy + PartialEq + 'static {
    /// All choices, in the order in which lists print them.
    const ALL: &'static [Self];

    /// The name in settings, help and messages.
    fn name(self) -> &'static str;
}

/// An enum of named choices; see the top of the file.
macro_rules! named {
    ($(#[$attribute:meta])* pub enum $kind:ident { $($(#[$of:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $kind {
            $($(#[$of])* #[serde(rename = $name)] $variant,)+
        }

        impl $kind {
            /// All of them, in the order in which lists print them.
            pub const ALL: [$kind; [$($name),+].len()] = [$($kind::$variant),+];

            /// The name in settings, help and messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $($kind::$variant => $name,)+
                }
            }

            /// Refuses a setting of `section` that this method would ignore: see `names::refuse_ignored`.
            #[allow(dead_code)]
            fn refuse_ignored(self, section: &str, rows: &[(&str, bool, &[$kind])]) -> $crate::Result<()> {
                $crate::names::refuse_ignored(&format!("{section}.method"), self, rows)
            }
        }

        impl $crate::names::Named for $kind {
            const ALL: &'static [$kind] = &$kind::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.pad(self.name())
            }
        }
    };
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub fn one_of<K: Named>(kinds: impl IntoIterator<Item = K>) -> String {
    let names: Vec<String> = kinds.into_iter().map(|kind| format!("\"{}\"", kind.name())).collect();
    match &names[..] {
        [] => "nothing".into(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// A word of a command as a shell takes it: in quotes where it holds more than plain characters.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The name that somebody may have meant; `None` if none is near. A name of which no character would stay is not near, and
/// digits are a place or a class of its own.
pub(crate) fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &wanted.to_lowercase());
    let nearest = names.iter().min_by_key(|name| distance(name))?;
    let length = wanted.chars().count();
    let is_near = distance(nearest) < length && distance(nearest) <= (length / 3).max(1);
    let is_number = wanted.chars().all(|c| c.is_ascii_digit());
    (is_near && !is_number).then_some(nearest)
}

/// Refuses a setting that what is chosen at `chooser` would ignore. A row is a key of the same section, whether it is given, and the
/// choices that use it.
///
/// # Errors
/// [`Error::Setting`] for the first such key, with the choices that use it.
pub(crate) fn refuse_ignored<K: Named>(chooser: &str, choice: K, rows: &[(&str, bool, &[K])]) -> Result<()> {
    let Some((key, _, users)) =
        rows.iter().find(|(_, is_given, users)| *is_given && !users.contains(&choice))
    else {
        return Ok(());
    };
    let section = chooser.split('.').next().unwrap_or(chooser);
    let (name, users) = (choice.name(), one_of(users.iter().copied()));
    let problem = format!("{chooser} = \"{name}\" does not use it; remove it, or choose {users}");
    Err(Error::setting(format!("{section}.{key}"), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    named! {
        /// For the test.
        pub enum Fruit {
            /// Red.
            Apple = "apple",
            /// Yellow.
            Pear = "pear-of-summer",
        }
    }

    #[test]
    fn a_name_is_the_one_that_files_have() {
        for fruit in Fruit::ALL {
            assert_eq!(serde_json::to_value(fruit).unwrap(), fruit.name());
            assert_eq!(serde_json::from_value::<Fruit>(fruit.name().into()).unwrap(), fruit);
            assert_eq!(fruit.to_string(), fruit.name());
        }
        assert_eq!(one_of(Fruit::ALL), "\"apple\" or \"pear-of-summer\"");
        assert_eq!(one_of([Fruit::Apple]), "\"apple\"");
    }

    #[test]
    fn words_of_a_command_are_quoted_where_a_shell_would_read_more() {
        for (word, expected) in [
            ("runs/a-1,b=2%", "runs/a-1,b=2%"),
            ("größe", "größe"),
            ("my table.csv", "'my table.csv'"),
            ("it's $5", "'it'\\''s $5'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), expected);
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["u", "id", "income", "12"].map(String::from);
        for (wanted, expected) in [
            ("Incme", Some("income")),
            ("ib", Some("id")),
            ("U", Some("u")),
            ("v", None),
            ("9", None),
            ("13", None),
            ("wealth", None),
        ] {
            assert_eq!(nearest(wanted, &names), expected, "{wanted}");
        }
    }

    #[test]
    fn what_is_ignored_is_refused_with_who_uses_it() {
        let rows: [(&str, bool, &[Fruit]); 2] = [("stone", false, &[]), ("core", true, &[Fruit::Apple])];
        assert!(refuse_ignored("fruit.method", Fruit::Apple, &rows).is_ok());
        let error = refuse_ignored("fruit.method", Fruit::Pear, &rows).unwrap_err().to_string();
        let words =
            "fruit.core: fruit.method = \"pear-of-summer\" does not use it; remove it, or choose \"apple\"";
        assert_eq!(error, words);
    }
}
