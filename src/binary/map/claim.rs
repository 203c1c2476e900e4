//! Claims on ranges of a file that never overlap.

use super::Evidence;

/// A symbol's claim on bytes of the file, from offset `start` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) evidence: Evidence,
    pub(super) symbol: usize,
}

/// Claims without overlap, in their order.
#[derive(Debug, Default)]
pub(super) struct Claims(Vec<Claim>);

impl Claims {
    /// Adds the parts of `more` that are still unclaimed. Of two in `more` that overlap, the one that
    /// begins first has its complete range.
    pub(super) fn fill(&mut self, mut more: Vec<Claim>) {
        more.sort_unstable();
        let mut all = Vec::with_capacity(self.0.len() + more.len());
        let mut old = std::mem::take(&mut self.0).into_iter().peekable();
        let mut at = 0;
        for mut claim in more {
            claim.start = claim.start.max(at);
            while claim.start < claim.end {
                let Some(next) = old.next_if(|old| old.start <= claim.start) else {
                    break;
                };
                claim.start = claim.start.max(next.end);
                all.push(next);
            }
            // The free range up to each older claim inside this one.
            while claim.start < claim.end {
                let free = old.peek().map_or(claim.end, |old| old.start.min(claim.end));
                if claim.start < free {
                    all.push(Claim { end: free, ..claim });
                }
                claim.start = match old.next_if(|old| old.start < claim.end) {
                    Some(next) => {
                        let end = next.end;
                        all.push(next);
                        end
                    }
                    None => claim.end,
                };
            }
            at = at.max(claim.start);
        }
        all.extend(old);
        self.0 = all;
    }

    /// Returns the owner of the byte at `offset`.
    pub(super) fn claim_at(&self, offset: u64) -> Option<&Claim> {
        let after = self.0.partition_point(|claim| claim.start <= offset);
        let claim = self.0.get(after.checked_sub(1)?)?;
        (offset < claim.end).then_some(claim)
    }

    /// Returns the beginning of the first claim after `offset`.
    pub(super) fn next_start(&self, offset: u64) -> Option<u64> {
        let after = self.0.partition_point(|claim| claim.start <= offset);
        self.0.get(after).map(|claim| claim.start)
    }

    /// Returns the claims that have bytes from `start` up to `end`.
    pub(super) fn within(&self, start: u64, end: u64) -> &[Claim] {
        let from = self.0.partition_point(|claim| claim.end <= start);
        let to = self.0.partition_point(|claim| claim.start < end);
        self.0.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(start: u64, end: u64, symbol: usize) -> Claim {
        Claim { start, end, evidence: Evidence::Symbol, symbol }
    }

    fn painted(layers: &[&[(u64, u64, usize)]]) -> Vec<(u64, u64, usize)> {
        let mut claims = Claims::default();
        for layer in layers {
            claims.fill(
                layer.iter().map(|&(start, end, symbol)| claim(start, end, symbol)).collect(),
            );
        }
        claims.0.iter().map(|claim| (claim.start, claim.end, claim.symbol)).collect()
    }

    #[test]
    fn the_first_claim_has_its_complete_range() {
        assert_eq!(painted(&[&[(0, 10, 1), (5, 12, 2), (6, 8, 3)]]), [(0, 10, 1), (10, 12, 2)]);
    }

    #[test]
    fn later_layers_get_unclaimed_bytes() {
        let first = [(10, 20, 1), (30, 40, 2)];
        let painted = painted(&[&first, &[(0, 50, 3), (12, 15, 4), (45, 60, 5)]]);
        let expected =
            [(0, 10, 3), (10, 20, 1), (20, 30, 3), (30, 40, 2), (40, 50, 3), (50, 60, 5)];
        assert_eq!(painted, expected);
    }

    /// Against painting byte by byte.
    #[test]
    fn claims_equal_those_of_single_bytes() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..500 {
            let (mut claims, mut bytes) = (Claims::default(), [0; 64]);
            for layer in 0..3 {
                let mut more: Vec<Claim> = (0..random(8))
                    .map(|n| {
                        let start = random(60);
                        claim(start, (start + random(20)).min(64), 1 + layer * 10 + n as usize)
                    })
                    .collect();
                claims.fill(more.clone());
                more.sort_unstable();
                let mut expected = [0; 64];
                for claim in more {
                    for byte in
                        expected.iter_mut().take(claim.end as usize).skip(claim.start as usize)
                    {
                        *byte = if *byte == 0 { claim.symbol } else { *byte };
                    }
                }
                for (byte, expected) in bytes.iter_mut().zip(expected) {
                    *byte = if *byte == 0 { expected } else { *byte };
                }
            }
            for (at, byte) in bytes.iter().enumerate() {
                let found = claims.claim_at(at as u64).map_or(0, |claim| claim.symbol);
                assert_eq!(found, *byte, "{claims:?} at {at}");
            }
        }
    }
}
