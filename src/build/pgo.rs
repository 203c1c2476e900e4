//! Optimisation by a profile of a program's runs: the request, the format of profiles, and the decision.

use camino::Utf8PathBuf;

use crate::model::{
    digest::Digest,
    error::{Error, Result},
    schema::{
        pgo::{PgoChoice, PgoComparison},
        tune::Spread,
    },
};

/// The request of a build.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PgoRequest {
    /// Without a profile.
    #[default]
    Off,
    /// `--pgo`: the program is built, trained and compared first.
    Train,
    /// `--pgo-profile`: this file.
    Profile(Utf8PathBuf),
    /// The profile of a training, and its comparison, if there is one.
    Trained(Utf8PathBuf, Option<PgoComparison>),
    /// A training that made the program no faster: it is built without the profile.
    Rejected(PgoChoice),
    /// The build that writes profiles.
    Instrument,
}

/// The effect of a request on one build.
#[derive(Clone, Debug, PartialEq)]
pub enum PgoBuild {
    /// The program writes profiles.
    Instrumented,
    /// The program is optimised with a profile.
    Optimised {
        /// The file that was named.
        file: Utf8PathBuf,
        /// Its copy in the cache directory.
        cached: Utf8PathBuf,
        /// The entry in the plan and the release.
        choice: PgoChoice,
    },
    /// The profile is recorded, and not used.
    Plain(PgoChoice),
}

impl PgoBuild {
    /// Returns rustc's flag, with its reason. rustc reads `_` for `-`; the crate cc does not, and would give the flag to
    /// a C compiler with a different LLVM, which rejects the profile.
    pub fn flag(&self) -> Option<(String, &'static str)> {
        match self {
            PgoBuild::Instrumented => {
                Some(("-Cprofile_generate".to_owned(), "longshore: training of --pgo"))
            }
            PgoBuild::Optimised { cached, .. } => {
                let flag = format!("-Cprofile_use={cached}");
                Some((flag, "longshore: profile of the program's runs"))
            }
            PgoBuild::Plain(_) => None,
        }
    }

    /// Returns the entry in the plan and the release.
    pub fn choice(&self) -> Option<&PgoChoice> {
        match self {
            PgoBuild::Instrumented => None,
            PgoBuild::Optimised { choice, .. } | PgoBuild::Plain(choice) => Some(choice),
        }
    }

    /// Returns the digest of the profile that the program is optimised with.
    pub fn used_profile(&self) -> Option<Digest> {
        self.choice().filter(|choice| choice.used).map(|choice| choice.profile)
    }
}

/// The beginning of a profile that rustc reads (<https://llvm.org/docs/InstrProfileFormat.html>, "Indexed profile
/// format").
const INDEXED: [u8; 8] = [0xff, b'l', b'p', b'r', b'o', b'f', b'i', 0x81];

/// The beginning of a file that an instrumented program writes, on a machine with little-endian order.
const RAW: [u8; 8] = [0x81, b'r', b'f', b'o', b'r', b'p', b'l', 0xff];

/// Checks that a file that begins with `start` is a profile that rustc reads.
///
/// # Errors
/// It is not; the hint is for files of instrumented programs.
pub fn check_format(path: &str, start: &[u8]) -> Result<()> {
    if start.starts_with(&INDEXED) {
        return Ok(());
    }
    let error = |found| {
        Error::usage(format!(
            "`{path}` is not a profile: expected LLVM's indexed format, found {found}"
        ))
    };
    Err(if start.starts_with(&RAW) {
        error("the raw format, which an instrumented program writes")
            .hint("`llvm-profdata merge -o FILE.profdata FILE.profraw` converts it")
    } else {
        error("something else")
            .hint("`--pgo` makes a profile, and prints its path; `llvm-profdata merge` makes one of raw files")
    })
}

/// The number of rounds of a comparison, before and after that number is found to be too small. Each program runs all
/// commands once in each.
const ROUNDS: [u32; 2] = [10, 20];

/// The smallest numbers of these rounds in which the program has to be faster. That it is by chance has a probability of
/// 1.5 % in all, whatever the distribution of times (the sign test).
const MIN_FASTER: [u32; 2] = [9, 16];

/// Returns the number of rounds of a comparison of which these times are known: more if 7 or 8 of the first 10 were
/// faster, which other work on the machine causes as well as chance.
pub fn rounds(plain: &[f64], optimised: &[f64]) -> u32 {
    let [few, many] = ROUNDS;
    let PgoComparison { rounds, faster, .. } = compare(plain, optimised);
    let is_undecided = rounds >= few && (7..=8).contains(&faster);
    if is_undecided || rounds > few { many } else { few }
}

/// Returns the comparison of times in seconds of both programs, which ran one after the other in each round.
pub fn compare(plain: &[f64], optimised: &[f64]) -> PgoComparison {
    let summarize = |seconds: &[f64]| {
        let mut sorted = seconds.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = |at: usize| sorted.get(at).copied().unwrap_or_default();
        Spread {
            min: at(0),
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            max: at(last),
        }
    };
    let faster = plain.iter().zip(optimised).filter(|(plain, optimised)| optimised < plain);
    PgoComparison {
        rounds: plain.len() as u32,
        faster: faster.count() as u32,
        plain: summarize(plain),
        optimised: summarize(optimised),
    }
}

/// Returns whether the program is faster with its profile in nearly all rounds, and by a hundredth.
pub fn is_faster(comparison: &PgoComparison) -> bool {
    let PgoComparison { rounds, faster, plain, optimised } = comparison;
    let enough = ROUNDS.iter().zip(MIN_FASTER).any(|(of, min)| rounds == of && *faster >= min);
    enough && optimised.median < plain.median * 0.99
}

/// The number of functions of a program that are searched for in a profile.
pub const MAX_FUNCTIONS: usize = 100;

/// Returns whether a profile has one of the functions: their names are in the file as they are in the program. Those of
/// Rust contain the crate, the package with its version, and the compiler.
pub fn has_function(profile: &[u8], functions: &[Vec<u8>]) -> bool {
    let finders = functions.iter().filter(|name| !name.is_empty());
    finders.into_iter().any(|name| profile.windows(name.len()).any(|window| window == name))
}

/// Returns the profile's name in the cache directory.
pub fn file_name(digest: &Digest) -> String {
    format!("pgo/{}.profdata", digest.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart_by_their_beginning() {
        assert!(check_format("p", b"\xfflprofi\x81\x0c\0").is_ok());
        let raw = check_format("p", b"\x81rforpl\xff").unwrap_err();
        assert!(raw.to_string().contains("raw format"), "{raw}");
        assert!(check_format("p", b"").unwrap_err().to_string().contains("something else"));
    }

    #[test]
    fn the_crate_cc_does_not_read_the_flags() {
        let (flag, _) = PgoBuild::Instrumented.flag().unwrap();
        assert!(!flag.starts_with("-Cprofile-generate"), "{flag}");
    }

    #[test]
    fn a_gain_has_to_exceed_the_noise() {
        let decide = |pairs: &[(f64, f64)]| {
            let (plain, optimised): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            is_faster(&compare(&plain, &optimised))
        };
        let slower_and_slower: Vec<(f64, f64)> =
            (1..=10).map(|at| (f64::from(at), f64::from(at) * 0.9)).collect();
        assert!(decide(&slower_and_slower));
        let mut by_chance = slower_and_slower;
        by_chance[3].1 = 5.0;
        assert!(decide(&by_chance));
        by_chance[7].1 = 9.0;
        assert!(!decide(&by_chance));
        // Ten more rounds show which it is.
        let mut more = by_chance.clone();
        more.extend([(5.0, 4.5); 8]);
        more.extend([(5.0, 5.5); 2]);
        assert!(decide(&more));
        more[0].1 = 9.0;
        assert!(!decide(&more));
        assert!(!decide(&[(1.0, 0.995); 10]));
        assert!(!decide(&[(1.0, 1.0); 10]));
        assert!(!decide(&[]));
        let comparison = compare(&[3.0, 1.0, 2.0], &[1.0, 1.0, 1.0]);
        assert_eq!((comparison.rounds, comparison.faster), (3, 2));
        assert_eq!((comparison.plain.min, comparison.plain.median), (1.0, 2.0));
    }

    #[test]
    fn undecided_comparisons_take_more_rounds() {
        let number = |faster: usize, of: usize| {
            let optimised: Vec<f64> =
                (0..of).map(|at| if at < faster { 0.9 } else { 1.1 }).collect();
            rounds(&vec![1.0; of], &optimised)
        };
        for (faster, of) in [(0, 0), (8, 9), (6, 10), (9, 10), (10, 10)] {
            assert_eq!(number(faster, of), 10, "{faster} of {of}");
        }
        for (faster, of) in [(7, 10), (8, 10), (9, 11), (16, 20)] {
            assert_eq!(number(faster, of), 20, "{faster} of {of}");
        }
    }

    #[test]
    fn functions_are_found_by_name() {
        let names = |all: &[&str]| all.iter().map(|it| it.as_bytes().to_vec()).collect::<Vec<_>>();
        assert!(has_function(b"..._RNvCs1_3app4main...", &names(&["x", "_RNvCs1_3app4main"])));
        assert!(!has_function(b"..._RNvCs1_3app4mai", &names(&["_RNvCs1_3app4main", ""])));
    }
}
