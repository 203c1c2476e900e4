//! The process that a container starts: the program and the user have to be in the image, as engines
//! look them up.

use super::{Assembly, copy::parts};
use crate::{
    archive::{
        tar::Meta,
        tree::{ContentSource, Node, Parts, Tree, TreeEntry},
    },
    image::{
        dockerfile::{Dockerfile, Evaluated, Span},
        oci::config::DEFAULT_PATH,
    },
    model::error::{Error, Result},
};

impl Assembly {
    /// Checks that the image has what its containers start, and returns a warning for each program
    /// that it lacks or that its user cannot execute.
    ///
    /// # Errors
    /// The user or group is a name, and no `/etc/passwd` or `/etc/group` defines it: engines do not
    /// start such a container.
    pub fn check_start(&self, recipe: &Dockerfile, evaluated: &Evaluated) -> Result<Vec<String>> {
        let span = |names: &[&str]| self.instruction_span(evaluated, names);
        let execution = &self.execution;
        if let Err(error) = self.check_user() {
            return Err(match span(&["USER"]) {
                Some(at) => recipe.located(at, &error),
                None => error,
            });
        }
        let start = execution.entrypoint.iter().chain(&execution.cmd).flatten().next();
        let health = execution.healthcheck.as_ref().map(|check| &check.test);
        let health = health.filter(|test| test.first().is_some_and(|kind| kind == "CMD"));
        let health = health.and_then(|test| test.get(1));
        let mut warnings = Vec::new();
        for (program, names) in
            [(start, &["ENTRYPOINT", "CMD"][..]), (health, &["HEALTHCHECK"][..])]
        {
            let fault = program.and_then(|program| self.start_problem(program));
            if let Some((fault, at)) = fault.zip(span(names)) {
                warnings.push(recipe.note(at, &fault));
            }
        }
        Ok(warnings)
    }

    /// Returns where the last of the instructions called `names` is, the first name first.
    fn instruction_span(&self, evaluated: &Evaluated, names: &[&str]) -> Option<Span> {
        let steps = evaluated.steps(evaluated.stages.len().checked_sub(1)?);
        let last = |name: &&str| {
            let is_named = |text: &str| text.split(' ').next() == Some(*name);
            steps.iter().rev().find(|step| is_named(&step.created_by)).map(|step| step.span)
        };
        names.iter().find_map(last)
    }

    /// Returns why the program cannot be started. It is found as runc finds it: in the directories of
    /// `PATH`, unless there is a slash in it.
    fn start_problem(&self, program: &str) -> Option<String> {
        let cwd = &self.execution.working_dir;
        let find = |path: &str| {
            let path =
                if path.starts_with('/') { path.to_owned() } else { format!("{cwd}/{path}") };
            self.root.resolve(&parts(&path), true).ok()
        };
        let executable = |path: &Parts| match self.root.get(path) {
            Some(TreeEntry { meta, node: Node::File(_) }) => {
                self.can_search_parents(path) && self.can_execute(*meta)
            }
            _ => false,
        };
        let is_file = |path: &Parts| {
            matches!(self.root.get(path), Some(TreeEntry { node: Node::File(_), .. }))
        };
        let user = &self.execution.user;
        let closed = || {
            let by = if user.is_empty() { "root".to_owned() } else { format!("user `{user}`") };
            Some(format!("`{program}` is not executable by {by}"))
        };
        if program.contains('/') {
            let path = find(program)?;
            return match is_file(&path) {
                _ if executable(&path) => None,
                true => closed(),
                false => Some(format!("`{program}` is not a file in the image")),
            };
        }
        let mut env = self.execution.env.iter().map(String::as_str);
        let path = env.find(|text| text.starts_with("PATH=")).unwrap_or(DEFAULT_PATH);
        let path = path.trim_start_matches("PATH=");
        let candidates = path.split(':').filter_map(|dir| find(&format!("{dir}/{program}")));
        let found: Vec<Parts> = candidates.filter(is_file).collect();
        if found.iter().any(executable) {
            return None;
        }
        if !found.is_empty() {
            return closed();
        }
        Some(format!("`{program}` is not in a directory of `PATH` ({path}) in the image"))
    }

    /// Returns whether the user can search every directory that leads to `path`.
    fn can_search_parents(&self, path: &[String]) -> bool {
        (1..path.len()).all(|depth| {
            self.root
                .get(path.get(..depth).unwrap_or_default())
                .is_none_or(|dir| self.can_execute(dir.meta))
        })
    }

    /// Returns whether the user has the permission to execute or search. The permissions of a user by
    /// name are not known.
    fn can_execute(&self, meta: Meta) -> bool {
        let (user, group) = split_user(&self.execution.user);
        let number = |name: &str| match name {
            "" | "root" => Some(0),
            name => name.parse::<u32>().ok(),
        };
        let Some(uid) = number(user) else { return meta.mode & 0o111 != 0 };
        let gid = group.map_or(Some(0), number);
        let bit = match gid {
            _ if uid == 0 => 0o111,
            _ if uid == meta.uid => 0o100,
            Some(gid) if gid == meta.gid => 0o010,
            _ => 0o001,
        };
        meta.mode & bit != 0
    }

    fn check_user(&self) -> Result<()> {
        let (user, group) = split_user(&self.execution.user);
        let named = |name: &str| {
            !name.is_empty() && name != "root" && !name.bytes().all(|byte| byte.is_ascii_digit())
        };
        for (kind, name, path) in
            [("user", Some(user), "/etc/passwd"), ("group", group, "/etc/group")]
        {
            let Some(name) = name.filter(|name| named(name)) else { continue };
            if !defines(&self.root, path, name) {
                return Err(Error::usage(format!(
                    "{kind} `{name}` is a name, and no `{path}` in the image defines it"
                ))
                .hint(
                    "give numbers, such as `USER 65532:65532`, or copy such a file into the image",
                ));
            }
        }
        Ok(())
    }
}

/// Splits `user:group`.
fn split_user(user: &str) -> (&str, Option<&str>) {
    match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    }
}

/// Returns whether the database at `path` defines `name` (passwd(5), group(5)), as far as its content
/// is known.
fn defines(root: &Tree, path: &str, name: &str) -> bool {
    let path = root.resolve(&parts(path), true);
    let Some(Node::File(content)) = path.ok().and_then(|path| Some(&root.get(&path)?.node)) else {
        return false;
    };
    match &content.source {
        ContentSource::Bytes(bytes) => bytes
            .split(|byte| *byte == b'\n')
            .any(|line| line.split(|byte| *byte == b':').next() == Some(name.as_bytes())),
        ContentSource::Named(_) => true,
    }
}
