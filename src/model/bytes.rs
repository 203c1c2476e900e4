//! Sizes in bytes, and growth, in the forms that settings have.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A number of bytes: `25 MB` (a million each), `25 MiB` (1024 × 1024 each), `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The growth that a limit permits: `5%`, or a [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// In hundredths of a percent of what it was.
    Percent(u64),
    /// In bytes.
    Bytes(Size),
}

/// The units, with the bytes of each (IEC 80000-13 for the binary ones).
const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Parses a number with at most two decimals, in hundredths.
fn parse_hundredths(text: &str) -> Option<u64> {
    let (integer, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(integer) || !digits(part) || part.len() > 2 {
        return None;
    }
    let part = format!("{part:0<2}").parse::<u64>().ok()?;
    integer.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse_error = || {
            let text = text.escape_debug();
            format!("`{text}` is not a size such as `25 MB`, `1.5 MiB` or `1048576`")
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.trim() {
            "" => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(parse_error)?.1,
        };
        let bytes = parse_hundredths(number).and_then(|number| number.checked_mul(unit));
        Ok(Size(bytes.ok_or_else(parse_error)? / 100))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Decimal units, as file managers and registries show them, rounded to two decimals.
        let units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
        let rounded =
            units.map(|(name, unit)| (name, self.0.saturating_add(unit / 200) / (unit / 100)));
        let text =
            match rounded.iter().find(|(_, hundredths)| *hundredths < 100_000).or(rounded.last()) {
                Some((name, hundredths)) if self.0 >= 1000 => {
                    format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
                }
                _ => format!("{} B", self.0),
            };
        f.pad(&text)
    }
}

impl FromStr for Growth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%') {
            Some(number) => parse_hundredths(number.trim()).map(Growth::Percent).ok_or_else(|| {
                format!("`{}` is not a percentage such as `5%` or `0.5%`", text.escape_debug())
            }),
            None => text.parse().map(Growth::Bytes),
        }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Growth::Percent(hundredths) => {
                write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100)
            }
            Growth::Bytes(size) => size.fmt(f),
        }
    }
}

impl Growth {
    /// Returns the growth of a file of `base` bytes, in bytes.
    pub fn in_bytes(self, base: u64) -> u64 {
        match self {
            Growth::Percent(hundredths) => {
                let more = u128::from(base) * u128::from(hundredths) / 10_000;
                u64::try_from(more).unwrap_or(u64::MAX)
            }
            Growth::Bytes(size) => size.0,
        }
    }
}

/// An integer number of bytes, or text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a size is a number of bytes, or text such as \"25 MB\"")]
enum NumberOrText {
    Bytes(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Bytes(bytes) => Ok(Size(bytes)),
            NumberOrText::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Growth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Bytes(bytes) => Ok(Growth::Bytes(Size(bytes))),
            NumberOrText::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(size("25 MB"), Ok(25_000_000));
        assert_eq!(size("25MiB"), Ok(25 << 20));
        assert_eq!(size("1.5 MiB"), Ok(3 << 19));
        assert_eq!(size("1048576"), Ok(1 << 20));
        for text in ["", "MB", "1 mb", "-1", "1.234 MB", "1e3", "99999999999999999999", "1.MB"] {
            assert!(size(text).is_err(), "{text}");
        }
        let shown = [0, 999, 1000, 12_345, 999_994, 999_995, 1_234_567, 5_000_000_000, u64::MAX];
        assert_eq!(
            shown.map(|bytes| Size(bytes).to_string()),
            [
                "0 B",
                "999 B",
                "1.00 kB",
                "12.35 kB",
                "999.99 kB",
                "1.00 MB",
                "1.23 MB",
                "5.00 GB",
                "18446744073.70 GB"
            ]
        );
    }

    #[test]
    fn growths() {
        assert_eq!("5%".parse::<Growth>().unwrap().in_bytes(1000), 50);
        assert_eq!("0.5 %".parse::<Growth>().unwrap().in_bytes(1000), 5);
        assert_eq!("1 kB".parse::<Growth>().unwrap().in_bytes(7), 1000);
        assert_eq!("100%".parse::<Growth>().unwrap().in_bytes(u64::MAX), u64::MAX);
        assert!("5 percent".parse::<Growth>().is_err());
    }
}
