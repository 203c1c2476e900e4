//! Recipes that nobody wrote: whatever comes of them, BuildKit makes the same.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::json;

use crate::{
    recipe::{differences, listings, ours},
    support::{
        buildkit::BuildKit,
        dist::{Dist, EPOCH, found},
        peer,
        random::random,
    },
};

/// The number of recipes, unless `LONGSHORE_RECIPES` sets another; and the number of them for one context.
const RECIPES: usize = 24;
const OF_ONE: usize = 8;

struct Random<R>(R);

impl<R: FnMut() -> usize> Random<R> {
    fn below(&mut self, limit: usize) -> usize {
        (self.0)() % limit
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Returns a tree of files, directories and links below `root`; gives their paths.
    fn context(&mut self, root: &Path) -> Vec<String> {
        let names = ["a", "b", "a.b", "A", "é", "x y", "z-1"];
        let mut directories = vec![String::new()];
        let mut paths = Vec::new();
        for _ in 0..4 + self.below(14) {
            let above = self.pick(&directories).clone();
            let path = format!("{above}{}", self.pick(&names));
            let whole = root.join(&path);
            if fs::symlink_metadata(&whole).is_ok() {
                continue;
            }
            match self.below(8) {
                0..3 => {
                    fs::create_dir(&whole).unwrap();
                    let mode = *self.pick(&[0o755, 0o700, 0o1777, 0o2755]);
                    fs::set_permissions(&whole, fs::Permissions::from_mode(mode)).unwrap();
                    directories.push(format!("{path}/"));
                }
                3 => symlink(self.pick(&["a", "../b", "/a", "nowhere", "."]), &whole).unwrap(),
                4 if !paths.is_empty() => {
                    let other: &String = self.pick(&paths);
                    let other = root.join(other);
                    if fs::symlink_metadata(&other).unwrap().is_file() {
                        fs::hard_link(other, &whole).unwrap();
                    } else {
                        continue;
                    }
                }
                _ => {
                    fs::write(&whole, path.repeat(self.below(4))).unwrap();
                    let mode = *self.pick(&[0o644, 0o600, 0o755, 0o4755, 0o000]);
                    fs::set_permissions(&whole, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            paths.push(path);
        }
        paths
    }

    fn copy(&mut self, paths: &[String], stages: usize) -> String {
        let mut text = "COPY".to_owned();
        let flags = ["--chmod=0755", "--chmod=600", "--chown=7", "--chown=1:2", "--link"];
        for flag in flags {
            if self.below(6) == 0 && !(flag.starts_with("--chmod=6") && text.contains("chmod")) {
                let chown = flag.starts_with("--chown") && text.contains("--chown");
                if !chown {
                    let _ = write!(text, " {flag}");
                }
            }
        }
        let (count, from) = (1 + self.below(2), stages > 0 && self.below(3) == 0);
        if from {
            let _ = write!(text, " --from={}", self.below(stages));
        }
        let mut words = Vec::new();
        for _ in 0..count {
            words.push(match self.below(8) {
                _ if from => (*self.pick(&["/", "/d", "d/e", "/w", "."])).to_owned(),
                0 => ".".to_owned(),
                1 => "*".to_owned(),
                2 => "[a-b]*".to_owned(),
                3 => format!("{}/*", self.pick(paths)),
                4 => format!("{}/", self.pick(paths)),
                _ => self.pick(paths).clone(),
            });
        }
        let mut to =
            (*self.pick(&["/", "/d", "/d/", "/d/e", "/d/e/", "w", "./", "/l/x"])).to_owned();
        if count > 1 && !to.ends_with('/') {
            to.push('/');
        }
        words.push(to);
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        format!("{text} [{}]", words.join(", "))
    }

    fn recipe(&mut self, paths: &[String]) -> String {
        let mut text = String::new();
        let stages = 1 + self.below(3) / 2;
        for stage in 0..stages {
            text += if stage > 0 && self.below(3) == 0 {
                "FROM s\n"
            } else if stage == 0 {
                "FROM scratch AS s\n"
            } else {
                "FROM scratch\n"
            };
            for _ in 0..1 + self.below(4) {
                let line = match self.below(10) {
                    0 => format!("WORKDIR {}", self.pick(&["/w", "/d/w", "rel", "/"])),
                    1 => format!("USER {}", self.pick(&["0", "7", "8:9"])),
                    2 => format!("ENV A={} B=\"$A\"", self.below(3)),
                    3 => "LABEL a=b".to_owned(),
                    _ => self.copy(paths, stage),
                };
                text += &format!("{line}\n");
            }
        }
        // An image without a layer is a special case of its own.
        text + "COPY dist.json /z/last\n"
    }
}

#[test]
fn buildkit_builds_the_same_from_random_recipes() {
    let Some(buildkit) = BuildKit::start() else {
        return;
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let count = number("LONGSHORE_RECIPES").unwrap_or(RECIPES);
    let seed = number("LONGSHORE_SEED").unwrap_or(0x1dea_5eed) as u64;
    let mut random = Random(random(seed));
    let (mut same, mut both_fail) = (0, 0);
    for _ in 0..count.div_ceil(OF_ONE) {
        let dist = Dist::new(&[], json!({ "labels": {} }));
        let paths = loop {
            let paths = random.context(&dist.root());
            if !paths.is_empty() {
                break paths;
            }
        };
        for n in 0..OF_ONE {
            let text = random.recipe(&paths);
            let recipe = dist.beside("Dockerfile");
            fs::write(&recipe, &text).unwrap();
            let at = |side: &str| dist.beside(&format!("{n}.{side}"));
            let (theirs, root) = (at("theirs"), dist.root());
            let one = "linux/amd64";
            let built = buildkit.try_build((&recipe, &root, &theirs), one, EPOCH, &[]);
            let own = ours(&dist, &recipe, &at("ours"), &["--platform", one]);
            let mut told = match (own, built) {
                (Ok(ours), Ok(())) => differences(&ours, &found(&theirs)),
                (Err(error), _) if error.contains("matches nothing") => String::new(),
                (Err(_), Err(_)) => {
                    both_fail += 1;
                    continue;
                }
                (Err(error), Ok(())) => format!("only ours fails: {error}"),
                (Ok(_), Err(error)) => format!("only theirs fails: {error}"),
            };
            same += 1;
            if told.is_empty() {
                continue;
            }
            if let Some(tar) = peer::find("tar") {
                told += &listings(&tar, &[at("ours"), theirs]);
                told += &peer::run("find".as_ref(), [root.to_str().unwrap(), "-ls"]);
            }
            panic!("{text}\n{told}");
        }
    }
    eprintln!("{same} the same, {both_fail} refused by both");
    assert!(same > both_fail, "{same} {both_fail}");
}
