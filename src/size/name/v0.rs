//! Names of the scheme v0 (<https://doc.rust-lang.org/rustc/symbol-mangling/v0.html>): of the path, only the
//! crates.

/// The maximum depth of paths and types. rustc-demangle stops at 500.
const DEPTH: u32 = 200;

/// The maximum number of components of a name: back references can repeat it without end.
const PARTS: u32 = 50_000;

/// The crates of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedName {
    /// The crate in which the code is written, the modules there, and last the function.
    pub(super) path: Vec<String>,
    /// The crate for which it was compiled, if the name contains it: that of a generic function.
    pub(super) instantiating: Option<String>,
}

/// Parses a name that begins with `_R`. Returns `None` if it is not of this scheme.
pub(super) fn parse(name: &str) -> Option<ParsedName> {
    let rest = name.strip_prefix("_R")?;
    // A version would come first; there is none yet.
    if rest.starts_with(|c: char| c.is_ascii_digit()) || !rest.is_ascii() {
        return None;
    }
    // What vendors append.
    let rest = rest.split(['.', '$']).next().unwrap_or_default();
    let mut reader = NameReader { bytes: rest.as_bytes(), at: 0, left: PARTS, depth: 0 };
    let path = reader.path()?;
    let mut instantiating = None;
    if reader.peek().is_some_and(|byte| byte.is_ascii_uppercase()) {
        instantiating = reader.path().and_then(|path| path.into_iter().next());
    }
    Some(ParsedName { path, instantiating })
}

struct NameReader<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
    depth: u32,
}

impl NameReader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Decrements the remaining number of components.
    fn count_component(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        self.depth += 1;
        (self.depth <= DEPTH).then_some(())
    }

    /// Reads a path, and returns its components, the crate first. For an implementation it is the path of its
    /// module.
    fn path(&mut self) -> Option<Vec<String>> {
        self.count_component()?;
        let path = match self.next()? {
            b'C' => {
                self.disambiguator()?;
                vec![self.identifier()?]
            }
            b'N' => {
                let kind = self.next()?;
                let mut path = self.path()?;
                self.disambiguator()?;
                let name = self.identifier()?;
                match kind {
                    b'C' => path.push("{closure}".to_owned()),
                    b'S' => path.push("{shim}".to_owned()),
                    _ => path.push(name),
                }
                path
            }
            b'M' => {
                self.disambiguator()?;
                let path = self.path()?;
                self.type_()?;
                path
            }
            b'X' => {
                self.disambiguator()?;
                let path = self.path()?;
                self.type_()?;
                self.path()?;
                path
            }
            // A method that the trait itself provides.
            b'Y' => {
                self.type_()?;
                self.path()?
            }
            b'I' => {
                let path = self.path()?;
                self.until_end(Self::argument)?;
                path
            }
            b'B' => self.back_reference(Self::path)?,
            _ => return None,
        };
        self.depth -= 1;
        Some(path)
    }

    fn argument(&mut self) -> Option<()> {
        match self.peek()? {
            b'L' => self.lifetime(),
            b'K' => {
                self.next()?;
                self.constant()
            }
            _ => self.type_(),
        }
    }

    fn until_end(&mut self, mut part: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        while !self.eat(b'E') {
            part(self)?;
        }
        Some(())
    }

    /// Reads a type.
    fn type_(&mut self) -> Option<()> {
        self.count_component()?;
        match self.peek()? {
            b'a'..=b'z' => {
                self.next()?;
            }
            b'A' => {
                self.next()?;
                self.type_()?;
                self.constant()?;
            }
            b'S' | b'O' | b'P' => {
                self.next()?;
                self.type_()?;
            }
            b'R' | b'Q' => {
                self.next()?;
                if self.peek() == Some(b'L') {
                    self.lifetime()?;
                }
                self.type_()?;
            }
            b'T' => {
                self.next()?;
                self.until_end(Self::type_)?;
            }
            b'F' => {
                self.next()?;
                self.function()?;
            }
            b'D' => {
                self.next()?;
                self.bounds()?;
                self.lifetime()?;
            }
            // A pattern of a type is left alone: nothing writes it outside of std.
            b'W' => return None,
            b'B' => {
                self.next()?;
                self.back_reference(Self::type_)?;
            }
            _ => {
                self.path()?;
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn function(&mut self) -> Option<()> {
        self.binder()?;
        self.eat(b'U');
        if self.eat(b'K') && !self.eat(b'C') {
            self.identifier()?;
        }
        self.until_end(Self::type_)?;
        self.type_()
    }

    fn bounds(&mut self) -> Option<()> {
        self.binder()?;
        self.until_end(|reader| {
            reader.path()?;
            while reader.eat(b'p') {
                reader.identifier()?;
                reader.type_()?;
            }
            Some(())
        })
    }

    fn binder(&mut self) -> Option<()> {
        if self.eat(b'G') {
            self.base_62()?;
        }
        Some(())
    }

    fn lifetime(&mut self) -> Option<()> {
        self.eat(b'L').then_some(())?;
        self.base_62().map(drop)
    }

    fn constant(&mut self) -> Option<()> {
        self.count_component()?;
        match self.next()? {
            b'p' => {}
            b'B' => self.back_reference(Self::constant)?,
            b'R' | b'Q' => self.constant()?,
            b'A' | b'T' => self.until_end(Self::constant)?,
            b'V' => {
                self.path()?;
                match self.next()? {
                    b'U' => {}
                    b'T' => self.until_end(Self::constant)?,
                    b'S' => self.until_end(|reader| {
                        reader.disambiguator()?;
                        reader.identifier()?;
                        reader.constant()
                    })?,
                    _ => return None,
                }
            }
            // A basic type and the value's digits.
            b'a'..=b'z' => loop {
                match self.next()? {
                    b'_' => break,
                    b'0'..=b'9' | b'a'..=b'f' | b'n' => {}
                    _ => return None,
                }
            },
            _ => return None,
        }
        self.depth -= 1;
        Some(())
    }

    /// Reads a back reference: the earlier part of the name that it refers to.
    fn back_reference<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let here = self.at.checked_sub(1)?;
        let to = usize::try_from(self.base_62()?).ok().filter(|to| *to < here)?;
        let after = std::mem::replace(&mut self.at, to);
        let found = read(self);
        self.at = after;
        found
    }

    fn disambiguator(&mut self) -> Option<()> {
        if self.eat(b's') {
            self.base_62()?;
        }
        Some(())
    }

    fn base_62(&mut self) -> Option<u64> {
        if self.eat(b'_') {
            return Some(0);
        }
        let mut value = 0_u64;
        loop {
            let digit = match self.next()? {
                b'_' => return value.checked_add(1),
                byte @ b'0'..=b'9' => byte - b'0',
                byte @ b'a'..=b'z' => byte - b'a' + 10,
                byte @ b'A'..=b'Z' => byte - b'A' + 36,
                _ => return None,
            };
            value = value.checked_mul(62)?.checked_add(digit.into())?;
        }
    }

    fn identifier(&mut self) -> Option<String> {
        let encoded = self.eat(b'u');
        let mut len = 0_usize;
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            len = len.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?;
            // A zero stands alone.
            if len == 0 {
                break;
            }
        }
        (self.at > start).then_some(())?;
        self.eat(b'_');
        let end = self.at.checked_add(len)?;
        let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?.to_owned();
        self.at = end;
        // Letters beyond ASCII stay as they are written in the name: it is the same in every build.
        Some(if encoded { format!("punycode{{{text}}}") } else { text })
    }
}
