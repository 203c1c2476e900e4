//! One image: execution of its recipe for every platform, and its layers.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use camino::Utf8Path;

use super::{
    context::BuildContext,
    layers::{ContextDigests, LayerCache},
};
use crate::{
    archive::{
        tar::{self, Meta},
        tree::{Content, ContentSource, Node, Tree},
    },
    image::{
        assemble::{self, Assembly},
        dockerfile::{self, Arguments, Dockerfile, builtin, ignore::Ignore},
        oci::{
            OciImage, OciImageSet,
            image::{Description, HistoryStep},
        },
    },
    model::{
        collect::CollectOrdered as _,
        digest::Digest,
        error::{Error, Result},
        platform::Platform,
        schema::plan,
    },
    ops::output::digests::Digests,
    sys::{Context, fs, host, parallel},
    verify::VerifiedArtifact,
};

/// The prefix of labels and annotations of the OCI image specification (annotations.md).
const PREDEFINED: &str = "org.opencontainers.image.";

/// An image of all platforms.
pub(super) struct BuiltImage {
    pub(super) set: OciImageSet,
    /// The path in the image, and the digest, of every binary.
    pub(super) binaries: BTreeMap<Platform, BTreeMap<String, Digest>>,
}

/// The builder of the images of one directory.
pub(super) struct ImageBuilder<'a> {
    cx: &'a Context,
    root: &'a Utf8Path,
    store: &'a LayerCache<'a>,
    digests: &'a Digests,
    /// The files that may be packed: the digest and the platform of each verified binary.
    verified: BTreeMap<Digest, Vec<Platform>>,
    epoch: u64,
    warned: RefCell<BTreeSet<String>>,
}

impl<'a> ImageBuilder<'a> {
    pub(super) fn new(
        cx: &'a Context,
        root: &'a Utf8Path,
        store: &'a LayerCache<'a>,
        digests: &'a Digests,
        artifacts: &[VerifiedArtifact],
        epoch: u64,
    ) -> Self {
        let mut verified: BTreeMap<Digest, Vec<Platform>> = BTreeMap::new();
        for artifact in artifacts {
            let platform = artifact.artifact().platform.clone();
            verified.entry(artifact.digest()).or_default().push(platform);
        }
        ImageBuilder { cx, root, store, digests, verified, epoch, warned: RefCell::default() }
    }

    pub(super) fn build(&self, plan: &plan::Image) -> Result<BuiltImage> {
        let (recipe, ignore) = self.recipe(plan)?;
        let context = BuildContext::read(self.root, &ignore, self.epoch)?;
        let contents = ContextDigests { context: &context, digests: self.digests };
        // Platforms side by side: compression is nearly all of the work.
        let (platforms, store, verified, epoch) =
            (&plan.platforms, self.store, &self.verified, self.epoch);
        let made: Vec<Result<PlatformImage>> =
            parallel::map_on(platforms.len(), platforms.len(), |index| {
                let (recipe, contents, platform) = (&recipe, &contents, &platforms[index]);
                let job = PlatformBuild { plan, recipe, contents, platform, epoch };
                job.build(store, verified)
            });
        let (mut images, mut binaries) = (Vec::new(), BTreeMap::new());
        for made in made {
            let part = made?;
            binaries.insert(part.image.platform().clone(), part.binaries);
            images.push(part.image);
            for warning in part.warnings {
                // Once, and not once for each platform.
                if self.warned.borrow_mut().insert(warning.clone()) {
                    self.cx.warn(warning);
                }
            }
        }
        let set = OciImageSet::new(images, annotations(plan))?;
        let platforms: Vec<_> = plan.platforms.iter().map(Platform::to_string).collect();
        let what = format!("image {}:{} for {}", plan.name, plan.tag, platforms.join(", "));
        self.cx.status("Packed", what);
        Ok(BuiltImage { set, binaries })
    }

    /// Returns the recipe, and the ignore file of the context. The file beside the Dockerfile wins over
    /// the context's own (Docker's manual, "Build context", "Filename and location").
    fn recipe(&self, plan: &plan::Image) -> Result<(Dockerfile, Ignore)> {
        let recipe = parse_recipe(plan)?;
        let ignore = match plan.recipe.as_ref().map(|recipe| (&recipe.path, &recipe.ignore)) {
            Some((path, Some(text))) => Ignore::parse(&format!("{path}.dockerignore"), text)?,
            Some((_, None)) => {
                let text = fs::read_to_string_if_exists(&self.root.join(".dockerignore"))?;
                Ignore::parse(".dockerignore", &text.unwrap_or_default())?
            }
            None => Ignore::default(),
        };
        Ok((recipe, ignore))
    }
}

/// Returns the recipe of an image.
fn parse_recipe(plan: &plan::Image) -> Result<Dockerfile> {
    match &plan.recipe {
        Some(recipe) => dockerfile::parse(&recipe.path, &recipe.text),
        None => dockerfile::parse("the built-in recipe", &builtin_recipe(plan).text()?),
    }
}

/// Checks that the images of a plan can be made and started, as far as that is known in advance, and returns
/// warnings about settings that are probably not intended.
///
/// # Errors
/// A recipe is wrong, for one of the platforms at least.
pub fn check(plan: &plan::Plan) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for image in &plan.images {
        image.extras.iter().try_for_each(|extra| extra.require())?;
        let recipe = parse_recipe(image)?;
        let ignore = match &image.recipe {
            Some(plan::Recipe { path, ignore: Some(text), .. }) => {
                Ignore::parse(&format!("{path}.dockerignore"), text)?
            }
            _ => Ignore::default(),
        };
        let context = planned_context(plan, &ignore)?;
        for platform in &image.platforms {
            let evaluated = recipe.evaluate(&build_arguments(image, platform)?)?;
            // Other files that are copied may be made by the build.
            let made = assemble::assemble(&recipe, &evaluated, &context, &image.extras, 0);
            if let Ok(assembly) = made {
                warnings.extend(assembly.check_start(&recipe, &evaluated)?);
            }
        }
    }
    let mut known = BTreeSet::new();
    warnings.retain(|warning| known.insert(warning.clone()));
    Ok(warnings)
}

/// Returns the files of a build context that are known before a build.
fn planned_context(plan: &plan::Plan, ignore: &Ignore) -> Result<Tree> {
    let mut tree = Tree::default();
    for job in &plan.jobs {
        let binary = (job.path.as_str(), 0o755);
        let others = job.debug.iter().chain([&job.attribution]).map(|path| (path.as_str(), 0o644));
        for (path, mode) in others.chain([binary]).filter(|(path, _)| !ignore.excludes(path)) {
            let directory = Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
            let content =
                Content { source: ContentSource::Named(path.to_owned()), size: 0, link: None };
            tree.add_file(&format!("/{path}"), directory, Meta { mode, ..directory }, content)?;
        }
    }
    Ok(tree)
}

fn build_arguments(plan: &plan::Image, platform: &Platform) -> Result<Arguments> {
    Ok(Arguments {
        platform: platform.clone(),
        build_platform: host_platform()?,
        values: plan.args.clone(),
        target: None,
    })
}

/// Returns the built-in recipe with the values of the plan.
fn builtin_recipe(plan: &plan::Image) -> builtin::Recipe {
    builtin::Recipe {
        binaries: plan.binaries.clone(),
        user: plan.user.clone(),
        entrypoint: plan.entrypoint.as_ref().map(|name| format!("{}/{name}", builtin::BIN)),
    }
}

/// Returns the annotations: registries read the metadata of an image from annotations, and engines from
/// labels, so labels that the specification defines are set as both.
fn annotations(plan: &plan::Image) -> BTreeMap<String, String> {
    let labels = plan.labels.iter().filter(|(key, _)| key.starts_with(PREDEFINED));
    let labels = labels.map(|(key, value)| (key.clone(), value.clone()));
    labels.chain(plan.annotations.clone()).collect_map()
}

/// The image of one platform.
struct PlatformImage {
    image: OciImage,
    binaries: BTreeMap<String, Digest>,
    warnings: Vec<String>,
}

/// The inputs of the image of one platform.
#[derive(Clone, Copy)]
struct PlatformBuild<'a> {
    plan: &'a plan::Image,
    recipe: &'a Dockerfile,
    contents: &'a ContextDigests<'a>,
    platform: &'a Platform,
    epoch: u64,
}

impl PlatformBuild<'_> {
    fn build(
        &self,
        store: &LayerCache<'_>,
        verified: &BTreeMap<Digest, Vec<Platform>>,
    ) -> Result<PlatformImage> {
        let arguments = build_arguments(self.plan, self.platform)?;
        let evaluated = self.recipe.evaluate(&arguments)?;
        let tree = &self.contents.context.tree;
        let assembly =
            assemble::assemble(self.recipe, &evaluated, tree, &self.plan.extras, self.epoch)?;
        let faults = assembly.check_start(self.recipe, &evaluated)?;
        let Assembly { steps: done, mut execution, author, root, mut warnings } = assembly;
        warnings.extend(faults);
        let mut steps = Vec::new();
        for step in done {
            let layer = step.layer.map(|tree| {
                self.check(&tree, verified)?;
                let compression = (self.plan.compression, self.plan.gzip_level);
                store.layer(&tree, self.contents, compression)
            });
            steps.push(HistoryStep { created_by: step.created_by, layer: layer.transpose()? });
        }
        let binaries = self.binaries(&root, verified)?;
        execution.labels.extend(self.plan.labels.clone());
        for name in &evaluated.unused {
            warnings
                .push(format!("no `ARG` of the recipe of `{}` declares `{name}`", self.plan.name));
        }
        let image = OciImage::new(Description {
            platform: self.platform.clone(),
            epoch: self.epoch,
            execution,
            author,
            steps,
            annotations: annotations(self.plan),
        })?;
        Ok(PlatformImage { image, binaries, warnings })
    }

    /// Returns the binaries in `root`, by their paths.
    fn binaries(
        &self,
        root: &Tree,
        verified: &BTreeMap<Digest, Vec<Platform>>,
    ) -> Result<BTreeMap<String, Digest>> {
        let mut found = BTreeMap::new();
        for (path, name, _) in context_files(root) {
            let file = self.contents.get(name)?;
            if verified.contains_key(&file.digest) {
                found.insert(format!("/{}", path.join("/")), file.digest);
            }
        }
        Ok(found)
    }

    /// Checks that every program in `layer` is one that was accepted, by its digest, and for this
    /// platform.
    fn check(&self, layer: &Tree, verified: &BTreeMap<Digest, Vec<Platform>>) -> Result<()> {
        for (path, name, size) in context_files(layer) {
            let path = path.join("/");
            if size > tar::MAX_FILE_SIZE {
                return Err(Error::usage(format!("`{name}` has {size} bytes"))
                    .hint(format!("a file in an image has at most {}", tar::MAX_FILE_SIZE)));
            }
            let file = self.contents.get(name)?;
            match verified.get(&file.digest) {
                Some(platforms) if platforms.contains(self.platform) => {}
                Some(platforms) => {
                    let other: Vec<_> = platforms.iter().map(Platform::to_string).collect();
                    return Err(Error::check(format!(
                        "`/{path}` of the image for `{}` would be the program for `{}`",
                        self.platform,
                        other.join(", ")
                    ))
                    .hint("copy from `${TARGETPLATFORM}/bin`"));
                }
                None if file.is_program => {
                    return Err(Error::check(format!(
                        "`{name}` would be `/{path}` of the image, and was not verified"
                    ))
                    .hint(
                        "images hold only programs that were built and accepted here, by digest; \
                         others are put in by `docker buildx build`",
                    ));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Returns the platform that containers run on here.
pub(super) fn host_platform() -> Result<Platform> {
    let host = host::container_platform();
    host.parse().map_err(|error| Error::usage(format!("{error}")))
}

/// Returns the files of `tree` that come from the context: their paths, names there, and sizes.
fn context_files(tree: &Tree) -> impl Iterator<Item = (&Vec<String>, &str, u64)> {
    tree.iter().filter_map(|(path, entry)| match &entry.node {
        Node::File(content) => match &content.source {
            ContentSource::Named(name) => Some((path, name.as_str(), content.size)),
            ContentSource::Bytes(_) => None,
        },
        _ => None,
    })
}
