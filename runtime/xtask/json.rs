//! A reader of what `cargo metadata` prints.

/// A JSON value, of which only strings and objects are kept.
#[derive(Clone)]
pub enum Json {
    Other,
    Text(String),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &str) -> Option<Self> {
        Parser {
            bytes: text.as_bytes(),
            at: 0,
        }
        .value()
    }

    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(pairs) => pairs
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// Returns the next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// Returns whether the next byte is `expected`, and skips it then.
    fn skip(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Option<Json> {
        match self.peek()? {
            b'"' => self.string().map(Json::Text),
            b'{' => {
                self.at += 1;
                let mut pairs = Vec::new();
                while !self.skip(b'}') {
                    let key = self.string()?;
                    if !self.skip(b':') {
                        return None;
                    }
                    pairs.push((key, self.value()?));
                    self.skip(b',');
                }
                Some(Json::Object(pairs))
            }
            b'[' => {
                self.at += 1;
                while !self.skip(b']') {
                    self.value()?;
                    self.skip(b',');
                }
                Some(Json::Other)
            }
            _ => {
                let rest = self.bytes.get(self.at..)?;
                let word = rest
                    .iter()
                    .take_while(|byte| b"+-.".contains(byte) || byte.is_ascii_alphanumeric());
                let length = word.count();
                self.at += length;
                Some(Json::Other).filter(|_| length > 0)
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        if !self.skip(b'"') {
            return None;
        }
        let mut units = Vec::new();
        let mut bytes = Vec::new();
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if byte == b'\\' && self.bytes.get(self.at) == Some(&b'u') {
                // Two of them may be one character.
                let digits = self.bytes.get(self.at + 1..self.at + 5)?;
                units.push(u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                self.at += 5;
                continue;
            }
            bytes.extend(String::from_utf16_lossy(&units).into_bytes());
            units.clear();
            match byte {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    bytes.push(match *self.bytes.get(self.at)? {
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                    self.at += 1;
                }
                other => bytes.push(other),
            }
        }
    }
}
