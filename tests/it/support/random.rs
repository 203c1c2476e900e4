//! Numbers without a pattern, the same in every run.

/// Returns a generator of 64-bit numbers: Marsaglia's xorshift with the shifts 13, 7 and 17 ("Xorshift RNGs",
/// Journal of Statistical Software 8, 14).
pub(crate) fn random(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    }
}
