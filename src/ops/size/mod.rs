//! `size`: sizes, their changes, and the crates that caused them.

mod base;
mod budget;
mod native;
#[cfg_attr(not(feature = "size-page"), path = "without_page.rs")]
mod page;
pub(super) mod record;
mod subject;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    binary::map::SymbolSource,
    build::request,
    model::{
        collect::SortStable as _,
        error::{Error, Result},
        feature::Feature,
        schema::{
            dist::{FILE, RecordedRequest},
            size::{self as schema, SCHEMA, Size},
        },
    },
    ops::{
        image::store,
        output::manifest,
        verify::{self, rules::PolicyRules},
    },
    size::{
        MeasuredRelease, View,
        compare::{Pair, pair_binaries, pair_packed_outputs},
        rows,
    },
    sys::{
        Context, git,
        registry::{self, Session},
    },
};
use budget::Budgets;
use subject::Measurer;

/// The items to measure, and the options.
#[derive(Clone, Debug, Default)]
pub struct SizeRequest {
    /// Binaries, `dist.json` files or their directories, images; `target/dist` when empty.
    pub paths: Vec<String>,
    /// The file with the symbols of the binary that was named.
    pub symbols: Option<Utf8PathBuf>,
    /// The base of the comparison: as `paths`, or a revision of git's.
    pub base: Option<String>,
    /// Earlier releases: `dist.json` files, and repositories of images.
    pub history: Vec<String>,
    /// Whether the page is requested.
    pub page: bool,
    /// The level of detail.
    pub view: View,
    /// Whether compressed sizes of files are requested.
    pub compressed: bool,
    /// A policy file with budgets.
    pub policy: Option<Utf8PathBuf>,
    /// Whether the budgets of the workspace in the current directory are left out.
    pub no_workspace: bool,
    /// The build options for a revision.
    pub build: request::BuildRequest,
    /// The settings for connections to registries.
    pub registry: registry::Settings,
}

/// The measurements.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The report.
    pub size: Size,
    /// The page that shows it, if it was requested.
    pub page: Option<String>,
}

/// Measures the sizes of the requested items.
///
/// # Errors
/// An item cannot be read, or cannot be measured; the base cannot be built; a policy is wrong.
pub fn size(cx: &Context, request: &SizeRequest) -> Result<Measurement> {
    if request.page {
        Feature::SizePage.require()?;
    }
    let session = Session::new(cx, &request.registry);
    let symbols = request.symbols.as_deref();
    let measure =
        Measurer { cx, session: &session, symbols, compressed: request.compressed || request.page };
    let paths = match request.paths.as_slice() {
        [] => vec![default_path(cx, request)?],
        paths => paths.to_vec(),
    };
    let mut head = MeasuredRelease::default();
    for path in &paths {
        let one = measure.read(path)?.with_origin(path);
        let names = [head.name, one.name];
        head.name =
            names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
        head.asked = one.asked;
        head.binaries.extend(one.binaries);
        head.archives.extend(one.archives);
        head.images.extend(one.images);
    }
    let measure = Measurer { symbols: None, ..measure };
    let base = request.base.as_ref().map(|base| self::base(cx, request, &measure, base, &head));
    let base = base.transpose()?;
    let of_policies = verify::VerifyRequest {
        paths: paths.iter().map(Utf8PathBuf::from).collect(),
        policy: request.policy.clone(),
        no_workspace: request.no_workspace,
        ..verify::VerifyRequest::default()
    };
    let named = request.build.target_dir.as_deref();
    let budgets = Budgets::new(PolicyRules::for_sizes(cx, &of_policies, named)?);
    let size = report(request, &head, base.as_ref(), &budgets)?;
    let page = || page::page(cx, &session, &request.history, &head, base.as_ref());
    let page = request.page.then(page).transpose()?;
    Ok(Measurement { size, page })
}

/// Returns the directory of the workspace's release.
fn default_path(cx: &Context, request: &SizeRequest) -> Result<String> {
    let named = request.build.target_dir.as_deref();
    let named = named.or_else(|| cx.env.var("CARGO_TARGET_DIR").map(Utf8Path::new));
    let path = named.unwrap_or(Utf8Path::new("target")).join("dist");
    if manifest::manifest_path(&path).is_some() {
        return Ok(path.into_string());
    }
    Err(manifest::missing_error(&path.join(FILE)).hint("`dist` makes it; or name what to measure"))
}

fn base(
    cx: &Context,
    request: &SizeRequest,
    measure: &Measurer<'_>,
    text: &str,
    head: &MeasuredRelease,
) -> Result<MeasuredRelease> {
    // A directory may have the name of a branch.
    let path = Utf8Path::new(text);
    let is_layout = path.join(crate::image::read::image::LAYOUT_FILE.0).is_file();
    let is_there = path.is_file() || is_layout || manifest::manifest_path(path).is_some();
    if is_there || text.starts_with("docker://") {
        return measure.read(text);
    }
    let dir = request.build.manifest_path.as_ref().and_then(|path| path.parent());
    let dir = dir.map_or(cx.env.dir.clone(), |dir| cx.env.dir.join(dir));
    if let Some(hash) = git::find_commit(cx, &dir, text)? {
        let mut build = request.build.clone();
        // `--no-locked` selects nothing: the options of the head still count.
        if (RecordedRequest { no_locked: false, ..RecordedRequest::from(&build) }).is_empty() {
            build = head.asked.clone().apply_to(build);
        }
        if build.targets.is_empty() {
            build.targets = head.binaries.iter().filter_map(|one| one.target.clone()).collect();
            build.targets.sort_stable();
            build.targets.dedup();
        }
        let made = base::build_base(cx, &build, &hash)?;
        let mut release = measure.read(made.as_str())?;
        release.name = format!("{text} ({})", hash.get(..12).unwrap_or(&hash));
        return Ok(release);
    }
    if store::is_reference(text) {
        return measure.read(text);
    }
    Err(Error::usage(format!("`{text}` is not a file, a git revision or an image"))
        .hint("name a `dist.json`, a commit, branch or tag, or an image such as `HOST/NAME:TAG`"))
}

fn report(
    request: &SizeRequest,
    head: &MeasuredRelease,
    base: Option<&MeasuredRelease>,
    budgets: &Budgets<'_>,
) -> Result<Size> {
    let mut broken = Vec::new();
    let pairs = pair_binaries(base, head);
    let mut binaries = Vec::new();
    for pair in &pairs {
        let mut binary = binary(pair, &request.view);
        if let Some(head) = pair.head {
            binary.budget_left = budgets.binary(head, pair, &mut broken)?;
        }
        binaries.push(binary);
    }
    let mut all_of = |base: Option<&Vec<_>>, head: &[crate::size::PackedOutput], image: bool| {
        let mut found = Vec::new();
        for (base, head) in pair_packed_outputs(base.map(Vec::as_slice), head) {
            let Some(any) = head.or(base) else { continue };
            let change = schema::Change {
                size: head.map(|head| head.size),
                base_size: base.map(|base| base.size),
            };
            let budget_left = match head {
                Some(head) => budgets.packed_output(head, base, image, &pairs, &mut broken)?,
                None => None,
            };
            let (name, platform) = (any.name.clone(), any.platform.clone());
            let file = any.path.rsplit('/').next().filter(|_| !image).map(str::to_owned);
            found.push(schema::ArchiveOrImage { name, file, platform, change, budget_left });
        }
        Ok::<_, Error>(found)
    };
    let archives = all_of(base.map(|base| &base.archives), &head.archives, false)?;
    let images = all_of(base.map(|base| &base.images), &head.images, true)?;
    Ok(Size {
        schema: SCHEMA,
        by: request.view.by,
        accepted: broken.iter().all(|budget: &schema::Budget| budget.waived.is_some()),
        base: base.map(|base| base.name.clone()),
        binaries,
        archives,
        images,
        budgets: broken,
        policies: budgets.sources(),
    })
}

fn binary(pair: &Pair<'_>, request: &View) -> schema::Binary {
    let Some(any) = pair.head.or(pair.base) else {
        return schema::Binary::default();
    };
    let attribution = pair.head.and_then(|head| head.attribution.as_ref());
    let old = pair.base.filter(|base| base.name != any.name).map(|base| base.name.clone());
    schema::Binary {
        name: any.name.clone(),
        target: any.platform_or_target(),
        path: any.path.clone(),
        note: any.note.clone(),
        symbols: attribution.map(|found| found.symbols).unwrap_or_default(),
        change: pair.change(),
        compressed: pair.compressed(),
        renamed_from: old,
        budget_left: None,
        rows: attribution.map(|found| rows(found, &view(found, request))).unwrap_or_default(),
        changed_crates: pair.crates(),
        changed_symbols: pair.symbols(),
        changed_dependencies: pair.dependencies(),
    }
}

/// Returns the levels of detail that are available: without symbols only sections are known.
fn view(found: &crate::size::Attribution, request: &View) -> View {
    let by = match found.symbols {
        SymbolSource::None => schema::RowKind::Section,
        _ => request.by,
    };
    View { by, ..request.clone() }
}
