//! Signatures by GnuPG (gpg(1)).

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    model::{
        command::Command,
        error::{Error, Result, Status},
    },
    sys::{Context, auth, fs},
};

/// The variable that holds the passphrase of the key.
pub const PASSPHRASE: &str = "LONGSHORE_GPG_PASSPHRASE";

/// The form of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureForm {
    /// Around the text of the file.
    Inline,
    /// In a separate file, as text.
    Text,
    /// In a separate file, as bytes.
    Binary,
}

/// A secret key in the user's keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GpgKey {
    program: Utf8PathBuf,
    /// The fingerprint of the primary key, in hex digits.
    pub(super) fingerprint: String,
}

impl GpgKey {
    /// Finds the key that `name` names: a fingerprint, an id, or a mail address.
    ///
    /// # Errors
    /// gpg is missing, or there is not exactly one such key.
    pub(super) fn find(cx: &Context, name: &str) -> Result<Self> {
        let program = cx.env.which("gpg").ok_or_else(|| {
            Error::tool("`gpg` is not installed")
                .hint("install GnuPG (Debian: `apt-get install gpg gpg-agent`)")
        })?;
        let command = Command::new(program.clone()).args([
            "--batch",
            "--no-tty",
            "--with-colons",
            "--list-secret-keys",
            "--",
            name,
        ]);
        let output = cx.children.output(&command)?;
        // A key, and the fingerprint of the key before it (GnuPG's `doc/DETAILS`, "Field 1").
        let text = output.text();
        let mut found: Vec<String> = Vec::new();
        let mut is_primary = false;
        for line in text.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                ["sec", ..] => is_primary = true,
                ["fpr", _, _, _, _, _, _, _, _, fingerprint, ..] if is_primary => {
                    found.push(fingerprint.to_owned());
                    is_primary = false;
                }
                _ => {}
            }
        }
        match &found[..] {
            [fingerprint] if output.success() => {
                Ok(GpgKey { program, fingerprint: fingerprint.clone() })
            }
            [] | [_] => Err(Error::usage(format!("gpg has no secret key `{name}`"))
                .detail(output.tail(5))
                .hint("`gpg --list-secret-keys` lists the keys, `gpg --import FILE` adds one")),
            keys => Err(Error::usage(format!("gpg has {} secret keys `{name}`", keys.len()))
                .hint(format!("name one by its fingerprint: {}", keys.join(", ")))),
        }
    }

    fn command(&self) -> Command {
        Command::new(self.program.clone()).args(["--batch", "--no-tty", "--yes"])
    }

    /// Signs `file`, and writes the signature to `to`.
    pub(super) fn sign(
        &self,
        cx: &Context,
        file: &Utf8Path,
        to: &Utf8Path,
        form: SignatureForm,
    ) -> Result<()> {
        let mut command = self.command();
        let mut input = Vec::new();
        if let Some(passphrase) = cx.env.var(PASSPHRASE) {
            auth::check_sendable(PASSPHRASE, passphrase)?;
            command = command.args(["--pinentry-mode", "loopback", "--passphrase-fd", "0"]);
            input = format!("{passphrase}\n").into_bytes();
        }
        let (armor, form) = match form {
            SignatureForm::Inline => ("--armor", "--clear-sign"),
            SignatureForm::Text => ("--armor", "--detach-sign"),
            SignatureForm::Binary => ("--no-armor", "--detach-sign"),
        };
        let command = command
            .args(["--digest-algo", "SHA256", armor, "--local-user", &self.fingerprint])
            .args(["--output", to.as_str(), form, file.as_str()]);
        let output = cx.children.output_with_input(&command, input)?;
        if output.success() {
            return Ok(());
        }
        let name = file.file_name().unwrap_or_default();
        let error = format!("gpg cannot sign `{name}`: it ended with {}", output.ending());
        Err(Error::new(Status::Usage, error).detail(output.tail(5)).hint(format!(
            "a key with a passphrase needs `{PASSPHRASE}`, or a gpg-agent that has it"
        )))
    }

    /// Returns whether `file` has a valid signature by this key: in `signature`, or in the file itself.
    pub(super) fn has_signed(
        &self,
        cx: &Context,
        file: &Utf8Path,
        signature: Option<&Utf8Path>,
    ) -> Result<bool> {
        if !file.is_file() || signature.is_some_and(|signature| !signature.is_file()) {
            return Ok(false);
        }
        let mut command = self.command().args(["--status-fd", "1", "--verify"]);
        command = match signature {
            Some(signature) => command.args([signature.as_str(), file.as_str()]),
            None => command.arg(file.as_str()),
        };
        let output = cx.children.output(&command)?;
        // The last field is the fingerprint of the primary key (GnuPG's `doc/DETAILS`, "VALIDSIG").
        let is_valid = |line: &str| {
            line.starts_with("[GNUPG:] VALIDSIG ")
                && line.split_whitespace().last() == Some(&self.fingerprint)
        };
        Ok(output.success() && output.text().lines().any(is_valid))
    }

    /// Writes the public key to `to`, unless it is there.
    pub(super) fn export(&self, cx: &Context, to: &Utf8Path) -> Result<()> {
        let command = self.command().args(["--armor", "--export", &self.fingerprint]);
        let output = cx.children.output(&command)?;
        if !output.success() || output.stdout.is_empty() {
            let error = format!("gpg cannot export the key `{}`", self.fingerprint);
            return Err(Error::usage(error).detail(output.tail(5)));
        }
        if fs::read_start(to, 1 << 20).is_ok_and(|old| old == output.stdout) {
            return Ok(());
        }
        fs::write(to, &output.stdout)
    }
}
