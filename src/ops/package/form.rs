//! The forms of archives, and what each needs: the one list of the formats that have a file for each target.

use crate::{
    archive::{arch, npm, rpm, wheel},
    model::schema::{
        dist::{self, ArchiveKind},
        packaging::Format,
        plan,
    },
};

/// An archive of a plan.
#[derive(Clone, Copy)]
pub(in crate::ops) enum ArchiveForm<'a> {
    Binaries(Format),
    Debug,
    Deb(&'a plan::Deb),
    Rpm(&'a plan::Rpm),
    Arch(&'a plan::Arch),
    Wheel(&'a plan::Wheel),
    Npm(&'a plan::Npm),
}

/// The largest file that the usual registry of a format accepts.
pub(super) struct SizeLimit {
    pub(super) bytes: u64,
    pub(super) registry: &'static str,
    pub(super) source: &'static str,
}

impl<'a> ArchiveForm<'a> {
    /// Returns the archives of a plan.
    pub(super) fn all(plan: &'a plan::Archive) -> Vec<Self> {
        let mut all: Vec<Self> =
            plan.formats.iter().map(|&format| ArchiveForm::Binaries(format)).collect();
        all.extend(plan.debug.then_some(ArchiveForm::Debug));
        all.extend(plan.deb.as_ref().map(ArchiveForm::Deb));
        all.extend(plan.rpm.as_ref().map(ArchiveForm::Rpm));
        all.extend(plan.arch.as_ref().map(ArchiveForm::Arch));
        all.extend(plan.wheel.as_ref().map(ArchiveForm::Wheel));
        all.extend(plan.npm.as_ref().map(ArchiveForm::Npm));
        all
    }

    /// Returns the kind that `dist.json` records.
    pub(super) fn kind(&self) -> ArchiveKind {
        match self {
            ArchiveForm::Binaries(_) => ArchiveKind::Binaries,
            ArchiveForm::Debug => ArchiveKind::Debug,
            ArchiveForm::Deb(_) => ArchiveKind::Deb,
            ArchiveForm::Rpm(_) => ArchiveKind::Rpm,
            ArchiveForm::Arch(_) => ArchiveKind::Arch,
            ArchiveForm::Wheel(_) => ArchiveKind::Wheel,
            ArchiveForm::Npm(_) => ArchiveKind::Npm,
        }
    }

    /// Returns the name of the file.
    pub(super) fn file_name(&self, plan: &plan::Archive) -> String {
        match self {
            ArchiveForm::Binaries(format) => format!("{}.{format}", plan.name),
            ArchiveForm::Debug => format!("{}.debug.{}", plan.name, Format::TarZst),
            // The format of dpkg-name(1); without the epoch, which longshore's versions never have.
            // Forges rename `~` in the names of files, and `SHA256SUMS` would then name none of them.
            ArchiveForm::Deb(deb) => {
                let version = deb.version.replace('~', ".");
                format!("{}_{version}_{}.deb", deb.name, deb.architecture)
            }
            ArchiveForm::Rpm(rpm) => rpm::file_name(rpm).replace('~', "."),
            ArchiveForm::Arch(arch) => arch::file_name(arch),
            ArchiveForm::Wheel(wheel) => wheel.file_name(&plan.platform),
            ArchiveForm::Npm(npm) => {
                npm.file_name(&npm.package_for(&plan.platform).unwrap_or_default())
            }
        }
    }

    /// Returns the limit of the usual registry; `None` if there is none.
    pub(super) fn size_limit(&self) -> Option<SizeLimit> {
        match self {
            ArchiveForm::Binaries(_)
            | ArchiveForm::Debug
            | ArchiveForm::Deb(_)
            | ArchiveForm::Rpm(_)
            | ArchiveForm::Arch(_) => None,
            ArchiveForm::Wheel(_) => Some(SizeLimit {
                bytes: wheel::MAX_SIZE,
                registry: "PyPI",
                source: "https://docs.pypi.org/project-management/storage-limits/",
            }),
            ArchiveForm::Npm(_) => Some(SizeLimit {
                bytes: npm::MAX_SIZE,
                registry: "npm",
                source: "https://github.com/npm/npm/issues/12750",
            }),
        }
    }
}

/// Returns whether the archive was made of that plan. `package --format` makes archives in formats that are not
/// planned.
pub(in crate::ops) fn is_made_of(archive: &dist::Archive, plan: &plan::Archive) -> bool {
    let name = archive.path.rsplit('/').next().unwrap_or_default();
    archive.package == plan.package
        && archive.target == plan.target
        && match archive.kind {
            ArchiveKind::Binaries | ArchiveKind::Debug => {
                name.starts_with(&format!("{}.", plan.name))
            }
            kind => ArchiveForm::all(plan)
                .iter()
                .any(|form| form.kind() == kind && form.file_name(plan) == name),
        }
}
