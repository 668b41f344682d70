//! JSON as far as a control needs it (RFC 8259): one object of plain values in, text out.

/// More members are refused.
pub const MEMBERS_MAX: usize = 64;

/// A plain value as the settings take it: a string, a number's text, `true`, `false`.
pub type Member = (String, String);

/// Why a text is no object of plain values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: expected {expected}, as in {{\"loss\": \"10%\", \"limit\": 100}}")]
pub struct JsonError {
    /// Where, from 0.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// Parses `{"name": "text", "name": 7, "name": true}`. Of two members with one name the later
/// counts.
///
/// ```
/// let members = netem::control::json::parse_object(r#"{"loss": "10%", "limit": 100}"#)?;
/// assert_eq!(members[0], ("loss".to_owned(), "10%".to_owned()));
/// # Ok::<(), netem::control::json::JsonError>(())
/// ```
///
/// # Errors
/// [`JsonError`] with the place.
pub fn parse_object(text: &str) -> Result<Vec<Member>, JsonError> {
    let mut parser = Parser { text, at: 0 };
    let mut members: Vec<Member> = Vec::new();
    parser.expect('{', "{")?;
    if !parser.skip('}') {
        loop {
            let name = parser.string("a name in quotes")?;
            parser.expect(':', ":")?;
            let value = parser.value()?;
            members.retain(|(known, _)| *known != name);
            members.push((name, value));
            if members.len() > MEMBERS_MAX {
                return Err(parser.error("no more members"));
            }
            if parser.skip('}') {
                break;
            }
            parser.expect(',', ", or }")?;
        }
    }
    parser.space();
    if parser.rest().is_empty() { Ok(members) } else { Err(parser.error("the end")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, expected: &'static str) -> JsonError {
        JsonError { at: self.at, expected }
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn skip(&mut self, symbol: char) -> bool {
        self.space();
        let is_next = self.rest().starts_with(symbol);
        self.at += if is_next { symbol.len_utf8() } else { 0 };
        is_next
    }

    fn expect(&mut self, symbol: char, expected: &'static str) -> Result<(), JsonError> {
        if self.skip(symbol) { Ok(()) } else { Err(self.error(expected)) }
    }

    fn value(&mut self) -> Result<String, JsonError> {
        self.space();
        if self.rest().starts_with('"') {
            return self.string("a value");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let length = self.rest().find(|c| !plain(c)).unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        let is_number = word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && word.parse::<f64>().is_ok();
        if !is_number && word != "true" && word != "false" {
            return Err(self.error("a string, a number, true or false"));
        }
        self.at += length;
        Ok(word)
    }

    fn string(&mut self, expected: &'static str) -> Result<String, JsonError> {
        self.expect('"', expected)?;
        let mut value = String::new();
        loop {
            let symbol = self.rest().chars().next();
            let symbol = symbol.ok_or_else(|| self.error("the end of the string"))?;
            match symbol {
                '"' => {
                    self.at += 1;
                    return Ok(value);
                }
                '\\' => value.push(self.escape()?),
                symbol if symbol < ' ' => return Err(self.error("no control character")),
                symbol => {
                    self.at += symbol.len_utf8();
                    value.push(symbol);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        const EXPECTED: &str = "an escape such as \\n or \\u00e9";
        let symbol = self.rest().chars().nth(1).ok_or_else(|| self.error(EXPECTED))?;
        let plain = match symbol {
            '"' | '\\' | '/' => symbol,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits = self.rest().get(2..6).filter(|hex| is_hex(hex));
                let code = digits.and_then(|hex| u32::from_str_radix(hex, 16).ok());
                // Halves of a pair are refused: no setting has such letters.
                let letter = code.and_then(char::from_u32).ok_or_else(|| self.error(EXPECTED))?;
                self.at += 6;
                return Ok(letter);
            }
            _ => return Err(self.error(EXPECTED)),
        };
        self.at += 2;
        Ok(plain)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `text` in quotes.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for symbol in text.chars() {
        match symbol {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            symbol if symbol < ' ' => quoted += &format!("\\u{:04x}", u32::from(symbol)),
            symbol => quoted.push(symbol),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_plain_values_are_read() {
        let text = r#" { "a" : "x\n\"\u00e9\/" , "b":-1.5e3,"c":true, "a": "later" } "#;
        let members = parse_object(text).unwrap();
        let expected = [("b", "-1.5e3"), ("c", "true"), ("a", "later")];
        assert_eq!(members, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(parse_object("{}").unwrap(), []);
        let name = "tricky \\ \" \n é";
        let again = parse_object(&format!("{{{}: {}}}", quoted(name), quoted(name))).unwrap();
        assert_eq!(again, [(name.to_owned(), name.to_owned())]);
    }

    #[test]
    fn what_is_none_is_refused_with_its_place() {
        for (text, at, expected) in [
            ("", 0, "{"),
            ("[]", 0, "{"),
            (r#"{"a"}"#, 4, ":"),
            (r#"{"a": [1]}"#, 6, "a string, a number, true or false"),
            (r#"{"a": null}"#, 6, "a string, a number, true or false"),
            (r#"{"a": "x"} x"#, 11, "the end"),
            (r#"{"a": "x"#, 8, "the end of the string"),
            (r#"{"a": "\q"}"#, 7, "an escape such as \\n or \\u00e9"),
            (r#"{"a": "\ud800"}"#, 7, "an escape such as \\n or \\u00e9"),
            (r#"{"a": 1 "b": 2}"#, 8, ", or }"),
        ] {
            assert_eq!(parse_object(text), Err(JsonError { at, expected }), "{text}");
        }
    }
}
