//! Times for people.

use std::fmt;

/// Seconds, displayed in a suitable unit: `12.3 ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
            s if s < 1e-2 => format!("{:.2} ms", s * 1e3),
            s if s < 1.0 => format!("{:.1} ms", s * 1e3),
            s => format!("{s:.2} s"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_time() {
        let texts = [0.0, 0.000_25, 0.0025, 0.025, 2.5].map(|s| Seconds(s).to_string());
        assert_eq!(texts, ["0 µs", "250 µs", "2.50 ms", "25.0 ms", "2.50 s"]);
        assert_eq!(format!("{:>8}", Seconds(0.025)), " 25.0 ms");
    }
}
