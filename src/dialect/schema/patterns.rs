//! Patterns of strings that some validators cannot read: what ECMAScript takes and other engines do not.

/// Whether a pattern has what Rust's `regex` refuses and ECMAScript takes: `\0` (no octal escapes there), or a `[` that is not
/// escaped within a class (it opens a class of its own there).
///
/// Look-around and `\p{…}` are taken.
pub(super) fn is_foreign_to_rust(pattern: &str) -> bool {
    pieces(pattern).any(|it| match it {
        Piece::Escaped('0') => true,
        Piece::Plain { here, in_class, .. } => in_class && here == '[',
        Piece::Escaped(_) => false,
    })
}

/// Whether a pattern looks ahead or behind.
pub(super) fn looks_around(pattern: &str) -> bool {
    let signs = ["?=", "?!", "?<=", "?<!"];
    pieces(pattern).any(|it| match it {
        Piece::Plain { here, in_class: false, rest } => {
            here == '(' && signs.iter().any(|sign| rest.starts_with(sign))
        }
        _ => false,
    })
}

/// One sign of a pattern.
enum Piece<'a> {
    /// What stands behind a backslash.
    Escaped(char),
    /// A sign, whether it stands in a class, and what follows it.
    Plain { here: char, in_class: bool, rest: &'a str },
}

fn pieces(pattern: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = pattern;
    let mut in_class = false;
    std::iter::from_fn(move || {
        let mut signs = rest.chars();
        let here = signs.next()?;
        if here == '\\' {
            let escaped = signs.next()?;
            rest = signs.as_str();
            return Some(Piece::Escaped(escaped));
        }
        rest = signs.as_str();
        let piece = Piece::Plain { here, in_class, rest };
        match here {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ec_149_a_null_and_an_open_bracket_in_a_class_are_found() {
        for refused in [
            r"^[^/\\\0]+$",
            r"^[^\0]*$",
            r"\0",
            r"^[^[]$",
            r"^[a-zA-Z0-9@#%^&*()_+\-=[\]{}|;:,.<>?~`]*$",
            "[[:alpha:]]",
        ] {
            assert!(is_foreign_to_rust(refused), "{refused}");
        }
        for taken in
            [r"^[^\[]$", "[a][b]", r"\\0", r"\[[a]", r"(?!__)\p{L}+", r"\x00", r"[^\u0000]", "0", "a\\"]
        {
            assert!(!is_foreign_to_rust(taken), "{taken}");
        }
    }

    #[test]
    fn ec_149_look_around_is_found_where_it_is_one() {
        for around in ["^(?=.*@).+$", "(?!a)b", "(?<=a)b", "(?<!a)b", r"\\(?=a)"] {
            assert!(looks_around(around), "{around}");
        }
        for plain in ["(?:a)", "(?<name>a)", r"\(?=a", "[(?=]", r"[\](?!]", "a(b)?=", ""] {
            assert!(!looks_around(plain), "{plain}");
        }
    }
}
