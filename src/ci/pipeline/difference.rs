//! The difference of two strings, in the unified form of `diff -u` (POSIX, XCU diff, "Diff -u Output
//! Format").

/// The number of lines around a change that are printed.
const CONTEXT: usize = 3;

/// The maximum difference before one string is shown as completely replaced by the other: the cost grows
/// with its square.
const MAX_EDITS: usize = 2000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Keep,
    Remove,
    Add,
}

/// Returns the difference from `old` to `new`; empty if they are equal.
pub fn unified_diff(path: &str, old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    if a == b {
        return String::new();
    }
    let edits = shortest_edits(&a, &b);
    let from = if old.is_empty() { "/dev/null".to_owned() } else { format!("a/{path}") };
    let mut out = format!("--- {from}\n+++ b/{path}\n");
    for (start, end) in hunks(&edits) {
        hunk(&mut out, &edits, (start, end), &a, &b);
    }
    out
}

/// Returns the ranges of edits that are printed together.
fn hunks(edits: &[Edit]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    let changes = edits.iter().enumerate().filter(|(_, edit)| **edit != Edit::Keep);
    for (at, _) in changes {
        let (start, end) = (at.saturating_sub(CONTEXT), (at + CONTEXT + 1).min(edits.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => hunks.push((start, end)),
        }
    }
    hunks
}

fn hunk(out: &mut String, edits: &[Edit], (start, end): (usize, usize), a: &[&str], b: &[&str]) {
    let (before, shown) = edits.split_at(start);
    let shown = shown.get(..end - start).unwrap_or(shown);
    let count = |edits: &[Edit], not: Edit| edits.iter().filter(|edit| **edit != not).count();
    let (x, y) = (count(before, Edit::Add), count(before, Edit::Remove));
    let (lines_a, lines_b) = (count(shown, Edit::Add), count(shown, Edit::Remove));
    // An empty range is named by the line before it.
    let first = |at: usize, lines: usize| if lines == 0 { at } else { at + 1 };
    let (from, to) = (first(x, lines_a), first(y, lines_b));
    out.push_str(&format!("@@ -{from},{lines_a} +{to},{lines_b} @@\n"));
    let (mut a, mut b) = (a.iter().skip(x), b.iter().skip(y));
    for edit in shown {
        let (sign, line) = match edit {
            Edit::Keep => {
                b.next();
                (' ', a.next())
            }
            Edit::Remove => ('-', a.next()),
            Edit::Add => ('+', b.next()),
        };
        let line = line.copied().unwrap_or_default();
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// Returns a shortest edit script from `a` to `b` (E. Myers, "An O(ND) Difference Algorithm and Its
/// Variations", 1986).
fn shortest_edits(a: &[&str], b: &[&str]) -> Vec<Edit> {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    let most = (rest_a.len() + rest_b.len()).min(MAX_EDITS);
    let mut edits = vec![Edit::Keep; same];
    // For each diagonal `x - y`, how far along `a` it was reached.
    let mut reached = vec![0_usize; 2 * most + 3];
    let middle = most + 1;
    let mut trace = Vec::new();
    for distance in 0..=most {
        trace.push(reached.clone());
        for step in (0..=2 * distance).step_by(2) {
            let diagonal = middle + step - distance;
            let (left, right) =
                (reached_at(&reached, diagonal - 1), reached_at(&reached, diagonal + 1));
            let down = step == 0 || step != 2 * distance && left < right;
            let mut x = if down { right } else { left + 1 };
            let mut y = (x + middle).wrapping_sub(diagonal);
            while let (Some(one), Some(other)) = (rest_a.get(x), rest_b.get(y))
                && one == other
            {
                (x, y) = (x + 1, y + 1);
            }
            if let Some(location) = reached.get_mut(diagonal) {
                *location = x;
            }
            if x >= rest_a.len() && y >= rest_b.len() {
                edits.extend(trace_back(&trace, middle, rest_a.len(), rest_b.len()));
                return edits;
            }
        }
    }
    edits.extend(rest_a.iter().map(|_| Edit::Remove));
    edits.extend(rest_b.iter().map(|_| Edit::Add));
    edits
}

fn reached_at(reached: &[usize], diagonal: usize) -> usize {
    reached.get(diagonal).copied().unwrap_or_default()
}

/// Returns the edits that led to the end.
fn trace_back(trace: &[Vec<usize>], middle: usize, mut x: usize, mut y: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (distance, reached) in trace.iter().enumerate().rev() {
        let diagonal = middle + x - y;
        let lowest = diagonal + distance == middle;
        let highest = diagonal == middle + distance;
        let (left, right) = (reached_at(reached, diagonal - 1), reached_at(reached, diagonal + 1));
        let down = lowest || !highest && left < right;
        let (from_x, edit) = if down { (right, Edit::Add) } else { (left, Edit::Remove) };
        let from_y = match down {
            true => (from_x + middle).wrapping_sub(diagonal + 1),
            false => (from_x + middle).wrapping_sub(diagonal - 1),
        };
        if distance == 0 {
            edits.extend((0..x).map(|_| Edit::Keep));
            break;
        }
        let after = if down { from_x } else { from_x + 1 };
        edits.extend((after..x).map(|_| Edit::Keep));
        edits.push(edit);
        (x, y) = (from_x, from_y);
    }
    edits.reverse();
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_changes() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\n";
        let expected = "--- a/x\n+++ b/x\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n";
        assert_eq!(unified_diff("x", old, new), expected);
        assert_eq!(unified_diff("x", old, old), "");
    }

    #[test]
    fn missing_files_and_line_ends() {
        assert_eq!(unified_diff("x", "", "a\n"), "--- /dev/null\n+++ b/x\n@@ -0,0 +1,1 @@\n+a\n");
        let out = unified_diff("x", "a", "a\n");
        assert_eq!(
            out,
            "--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n"
        );
    }

    #[test]
    fn every_edit_script_produces_the_new_text() {
        let texts = |seed: u64| -> Vec<String> {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state >> 33
            };
            let length = next() % 40;
            (0..length).map(|_| format!("{}\n", next() % 6)).collect()
        };
        for seed in 0..500 {
            let (old, new) = (texts(seed), texts(seed + 1000));
            let a: Vec<&str> = old.iter().map(String::as_str).collect();
            let b: Vec<&str> = new.iter().map(String::as_str).collect();
            let (mut i, mut j, mut made) = (0, 0, Vec::new());
            for edit in shortest_edits(&a, &b) {
                match edit {
                    Edit::Keep => {
                        assert_eq!(a[i], b[j]);
                        made.push(a[i]);
                        (i, j) = (i + 1, j + 1);
                    }
                    Edit::Remove => i += 1,
                    Edit::Add => {
                        made.push(b[j]);
                        j += 1;
                    }
                }
            }
            assert_eq!((i, made), (a.len(), b), "{seed}");
        }
    }

    #[test]
    fn files_without_a_common_line_end_in_time() {
        let lines =
            |prefix: &str| -> String { (0..60_000).map(|n| format!("{prefix}{n}\n")).collect() };
        let out = unified_diff("x", &lines("a"), &lines("b"));
        assert_eq!(out.lines().count(), 120_003);
    }
}
