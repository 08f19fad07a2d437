//! Values that stand where a secret would, and are none.
//!
//! Documentation, templates and code are full of `password=<your password>`. Redacting those hides nothing and makes
//! the trace unreadable.

/// How the value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// In quotes, or as a whole string.
    Quoted,
    /// Bare, after `=`.
    Assigned,
    /// Bare, after `:` or "is", where prose is likely too.
    Said,
}

/// Whole values that mean "put it here" or "nothing", lower case.
const WORDS: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "redacted",
    "null",
    "none",
    "nil",
    "undefined",
    "true",
    "false",
    "string",
    "str",
    "secretstr",
    "optional",
    "hidden",
    "required",
    "optional[str]",
    "placeholder",
    "masked",
    "removed",
    "omitted",
    "unset",
    "empty",
    "default",
    "[redacted]",
    "char",
    "text",
    "varchar",
    "bytes",
    "object",
    "any",
    "secret",
    "password",
    "passwd",
    "passphrase",
];

/// Starts that mean it, lower case.
const STARTS: &[&str] = &[
    "your_",
    "your-",
    "your ",
    "<",
    "${",
    "{{",
    "{%",
    "%(",
    "$(",
    "os.environ",
    "os.getenv",
    "process.env",
    "env.",
    "env(",
    "getenv",
    "…",
    "...",
];

/// Whether the value is no secret, given how it was written.
pub(crate) fn is_placeholder(value: &str, written: Written) -> bool {
    let bytes = value.as_bytes();
    let Some(&first) = bytes.first() else { return true };
    let lower = |word: &&str| value.len() == word.len() && value.eq_ignore_ascii_case(word);
    let starts = |start: &&str| bytes.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()));
    if WORDS.iter().any(lower) || STARTS.iter().any(starts) {
        return true;
    }
    if bytes.iter().all(|&b| b == first)
        || value.contains("***")
        || value.contains("•••")
        || value.contains("xxxx")
        || value.contains("XXXX")
    {
        return true;
    }
    // `[hidden]`
    if let Some(inside) = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && WORDS.iter().any(|word| inside.eq_ignore_ascii_case(word))
    {
        return true;
    }
    // A redaction token, or any `[CAPITAL`.
    if first == b'[' && bytes.get(1).is_some_and(u8::is_ascii_uppercase) {
        return true;
    }
    if first == b'$'
        && bytes
            .get(1..)
            .is_some_and(|rest| !rest.is_empty() && rest.iter().all(|&b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'))
    {
        return true;
    }
    if bytes.iter().all(u8::is_ascii_digit) && bytes.len() <= 5 || value.ends_with("...") || value.ends_with('…') {
        return true;
    }
    match written {
        Written::Quoted => false,
        Written::Assigned => is_code(bytes),
        Written::Said => is_code(bytes) || is_prose(value),
    }
}

/// A call, an attribute or a variable: `get(`, `settings.db`, `config[`, `db_password`.
fn is_code(bytes: &[u8]) -> bool {
    let name = bytes.iter().position(|&b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(bytes.len());
    let starts = bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    if !starts {
        return false;
    }
    if name == bytes.len() {
        // A variable that is named like what it holds.
        return [&b"password"[..], b"passwd", b"secret", b"_pwd", b"_key", b"_token"].iter().any(|end| {
            bytes.len() >= end.len() && bytes.get(bytes.len() - end.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        });
    }
    match bytes.get(name) {
        Some(b'(' | b'[') => true,
        Some(b'.')
            if bytes
                .iter()
                .position(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')))
                .is_some_and(|at| bytes.get(at) == Some(&b'(')) =>
        {
            true
        }
        Some(b'.') => bytes.get(name + 1).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') && !bytes.iter().any(u8::is_ascii_digit),
        Some(b'-') => bytes.get(name + 1) == Some(&b'>'),
        _ => false,
    }
}

/// No digit, no symbol, no mixed case: a word of a sentence.
fn is_prose(value: &str) -> bool {
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let symbol =
        value.trim_end_matches(['.', '!', '?', ')', ':']).bytes().any(|b| b.is_ascii_punctuation() && !matches!(b, b'\'' | b'-' | b'/'));
    // A capital at the front is a sentence or a name; one inside is not.
    let mixed = value.bytes().skip(1).any(|b| b.is_ascii_uppercase()) && value.bytes().any(|b| b.is_ascii_lowercase());
    !(digit || symbol || mixed)
}

#[cfg(test)]
mod tests {
    use super::{Written, is_placeholder};

    #[test]
    fn templates_and_words_are_placeholders() {
        for value in [
            "<password>",
            "${DB_PASS}",
            "{{ vault }}",
            "%(pw)s",
            "$DB_PASS",
            "********",
            "xxxxxxxx",
            "YOUR_API_KEY",
            "your-key-here",
            "changeme",
            "None",
            "os.environ[\"X\"]",
            "process.env.KEY",
            "[API_KEY]",
            "12345",
            "aaaaaaaa",
            "...",
            "sk-1234…",
        ] {
            assert!(is_placeholder(value, Written::Quoted), "{value}");
        }
        for value in ["get_secret(x", "secrets.token_hex(16)", "settings.db_pass", "db_password", "cfg[0]"] {
            assert!(is_placeholder(value, Written::Assigned), "{value}");
        }
        assert!(is_placeholder("nobody", Written::Said));
    }

    #[test]
    fn secrets_are_not() {
        for value in ["hunter2!", "quiet-horse-04", "$up3rSecret", "CorrectHorse", "123456"] {
            assert!(!is_placeholder(value, Written::Said), "{value}");
        }
    }
}
