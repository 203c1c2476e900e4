//! The platform of an image, which its index and its configuration may name differently.

use crate::{
    image::oci::Config,
    model::{
        error::{Error, Result},
        platform::{Platform, normalise},
    },
};

/// Replaces a part that neither the index nor the configuration names.
const UNKNOWN: &str = "unknown";

/// Returns the platform of an image, and a warning unless `index` (its descriptor) and its
/// configuration name the same one. Engines choose an image by its descriptor, so that decides where
/// the configuration names nothing, or less.
///
/// # Errors
/// The two contradict each other, or name something that is not a platform.
pub(crate) fn resolve(
    index: Option<&Platform>,
    config: &Config,
) -> Result<(Platform, Option<String>)> {
    let (os, architecture, variant) =
        normalise(&config.os, &config.architecture, config.variant.as_deref());
    let shown = configured_platform(config);
    let contradiction = |index: &Platform| {
        let named = shown.as_deref().unwrap_or(UNKNOWN);
        Error::check(format!("its index names `{index}`, and its configuration `{named}`"))
    };
    let mut names = [os, architecture, variant.unwrap_or_default()];
    if let Some(index) = index {
        let named = [&index.os, &index.architecture, index.variant.as_ref().unwrap_or(&names[2])];
        let named = named.map(Clone::clone);
        for (own, named) in names.iter_mut().zip(named) {
            if own.is_empty() {
                *own = named;
            } else if *own != named {
                return Err(contradiction(index));
            }
        }
    }
    let names = names.each_ref().map(String::as_str);
    let mut text = format!("{}/{}", or_unknown(names[0]), or_unknown(names[1]));
    if !names[2].is_empty() {
        text = format!("{text}/{}", names[2]);
    }
    let platform_error = |error| Error::check("not a valid image configuration").because(error);
    let platform: Platform = text.parse().map_err(platform_error)?;
    let warning = match (shown, index) {
        (None, None) => Some("neither its index nor its configuration names a platform".to_owned()),
        (None, Some(index)) => {
            Some(format!("its index names `{index}`, and its configuration no platform"))
        }
        (Some(shown), Some(index)) if shown != platform.to_string() || *index != platform => {
            Some(format!("its index names `{index}`, and its configuration `{shown}`"))
        }
        (Some(shown), None) if shown != platform.to_string() => {
            Some(format!("its configuration names `{platform}` as `{shown}`"))
        }
        _ => None,
    };
    Ok((platform, warning))
}

fn or_unknown(name: &str) -> &str {
    if name.is_empty() { UNKNOWN } else { name }
}

/// Returns the platform in the spelling of the configuration; `None` if it names none. Many writers
/// write `arm64/v8` for `arm64`, which needs no warning.
fn configured_platform(config: &Config) -> Option<String> {
    let variant = config.variant.as_deref().unwrap_or_default();
    let names = [&*config.os, &*config.architecture, variant];
    let names = match names {
        ["", "", ""] => return None,
        [os, "arm64", "v8"] => [os, "arm64", ""],
        names => names,
    };
    let shown = names.join("/");
    Some(shown.strip_suffix('/').unwrap_or(&shown).escape_debug().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::oci::Document;

    fn resolved(index: &str, config: &str) -> Result<(String, Option<String>)> {
        let text = format!(r#"{{{config}"rootfs":{{"type":"layers"}}}}"#);
        let config = Document::<Config>::parse(text.into_bytes()).unwrap();
        let index = (!index.is_empty()).then(|| index.parse().unwrap());
        resolve(index.as_ref(), &config).map(|(platform, warning)| (platform.to_string(), warning))
    }

    fn names(os: &str, architecture: &str, variant: &str) -> String {
        format!(r#""os":"{os}","architecture":"{architecture}","variant":"{variant}","#)
    }

    #[test]
    fn the_more_specific_one_decides() {
        for (index, config, platform, warns) in [
            ("", names("linux", "arm", "v7"), "linux/arm/v7", false),
            ("linux/arm64", names("linux", "arm64", ""), "linux/arm64", false),
            ("linux/arm64", names("linux", "arm64", "v8"), "linux/arm64", false),
            ("linux/arm/v7", names("linux", "arm", "v7"), "linux/arm/v7", false),
            ("linux/arm/v7", names("linux", "arm", ""), "linux/arm/v7", true),
            ("linux/arm/v6", names("linux", "arm", ""), "linux/arm/v6", true),
            ("linux/arm", names("linux", "arm", "v7"), "linux/arm/v7", true),
            ("linux/arm/v7", names("linux", "armhf", ""), "linux/arm/v7", true),
            ("linux/arm/v7", names("linux", "arm", "7"), "linux/arm/v7", true),
            ("linux/amd64/v2", names("linux", "amd64", ""), "linux/amd64/v2", true),
            ("linux/amd64", names("linux", "amd64", "v1"), "linux/amd64", true),
            ("linux/arm64", names("", "", ""), "linux/arm64", true),
            ("linux/arm64", String::new(), "linux/arm64", true),
            ("linux/arm64", names("Linux", "ARM64", ""), "linux/arm64", true),
            ("linux/arm64", names("linux", "aarch64", ""), "linux/arm64", true),
            ("linux/arm64", names("linux", "", ""), "linux/arm64", true),
            ("", names("linux", "x86_64", ""), "linux/amd64", true),
            ("", String::new(), "unknown/unknown", true),
            ("", names("", "amd64", ""), "unknown/amd64", true),
        ] {
            let (found, warning) = resolved(index, &config).unwrap();
            assert_eq!((&*found, warning.is_some()), (platform, warns), "{index} {config}");
        }
        let (_, warning) = resolved("linux/arm/v7", &names("linux", "arm", "")).unwrap();
        let expected = "its index names `linux/arm/v7`, and its configuration `linux/arm`";
        assert_eq!(warning.unwrap(), expected);
    }

    #[test]
    fn contradictions_are_errors() {
        for (index, config) in [
            ("linux/arm/v5", names("linux", "arm", "v7")),
            ("linux/amd64/v2", names("linux", "amd64", "v3")),
            ("linux/arm64", names("linux", "amd64", "")),
            ("linux/amd64", names("windows", "amd64", "")),
            ("linux/amd64", names("", "arm64", "")),
            ("linux/amd64", names("unknown", "unknown", "")),
        ] {
            let error = resolved(index, &config).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("its index names `{index}`, and its conf")),
                "{error}"
            );
        }
        let error = resolved("", &names("../x", "\\u001b", "")).unwrap_err().to_string();
        assert!(error.contains("is not a platform") && !error.contains('\u{1b}'), "{error}");
    }
}
