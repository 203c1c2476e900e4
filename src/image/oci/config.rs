//! The configuration of an image's containers, and its history: OCI image specification 1.1, config.md,
//! in the bytes that BuildKit writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    descriptor::{self, nullable},
    document::Model,
};
use crate::model::{
    digest::Digest,
    error::{Error, Result},
    json::Style,
    platform::Platform,
};

/// The `PATH` that BuildKit sets in an image if its base sets none.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image's configuration. BuildKit writes its keys in alphabetical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// `GOARCH`; some writers leave it and `os` out, or empty.
    #[serde(default, deserialize_with = "nullable")]
    pub architecture: String,
    /// Its author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The configuration of its containers.
    #[serde(default, deserialize_with = "nullable")]
    pub config: Execution,
    /// The time at which the image was made, in the format of RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its history, with one entry for each instruction.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// `GOOS`.
    #[serde(default, deserialize_with = "nullable")]
    pub os: String,
    /// The layers' digests before compression.
    pub rootfs: RootFs,
    /// The architecture's variant; arm64 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Config {
    /// Returns the platform that the image declares.
    ///
    /// # Errors
    /// The words are not those of a platform.
    pub fn platform(&self) -> Result<Platform> {
        descriptor::platform(&self.os, &self.architecture, self.variant.as_deref())
            .map_err(|e| Error::check("not a valid image configuration").because(e))
    }

    /// Returns the number of layers in the history, unless it equals the number of layers in the image,
    /// or the history is left out, as config.md allows. It informs people only, and engines do not read
    /// it.
    pub fn mismatched_history(&self) -> Option<usize> {
        let filled = self.history.iter().filter(|step| !step.empty_layer).count();
        let differs = !self.history.is_empty() && filled != self.rootfs.diff_ids.len();
        differs.then_some(filled)
    }
}

impl Model for Config {
    const NAME: &'static str = "image configuration";
    const STYLE: Style = Style::Compact;

    fn check(&self) -> Result<(), String> {
        if self.rootfs.kind != "layers" {
            return Err(format!("its rootfs is of type `{}`", self.rootfs.kind));
        }
        Ok(())
    }
}

/// The layers' digests before compression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digest of each layer's tar, lowest first.
    #[serde(default, deserialize_with = "nullable")]
    pub diff_ids: Vec<Digest>,
}

/// One instruction that made the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The time, in the format of RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// BuildKit notes here what read the instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// The configuration of a container. The keys' order is that of Docker's type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `USER`, as `user` or `user:group`, by name or number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `EXPOSE`, such as `80/tcp`.
    #[serde(default, with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `ENV`, as `NAME=value`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `ENTRYPOINT`: the program and its first arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`: the arguments unless others are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// `VOLUME`.
    #[serde(default, with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// `WORKDIR`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// `LABEL`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// BuildKit sets it wherever `CMD` appears.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// `HEALTHCHECK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `ONBUILD`: instructions for images on top of this one.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// `SHELL`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// The health check of a container; times in nanoseconds, 0 for the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `CMD` and the program with its arguments, or `NONE`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// After which a check has failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: u64,
    /// In which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: u64,
    /// Between two checks in the start period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: u64,
    /// Failures in a row that make it unwell.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A set as the object with empty values that Go makes of it.
mod set {
    use super::{BTreeMap, BTreeSet, Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Empty {}

    pub(super) fn serialize<S: Serializer>(
        set: &BTreeSet<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|key| (key, Empty {})))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map = Option::<BTreeMap<String, Empty>>::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into_keys().collect())
    }
}

/// Formats `epoch`, in seconds since 1970, as in RFC 3339: `2023-11-14T22:13:20Z`.
///
/// # Errors
/// It is after the year 9999, the last that RFC 3339 can write.
pub fn timestamp(epoch: u64) -> Result<String> {
    const MAX_EPOCH: u64 = 253_402_300_799;
    if epoch > MAX_EPOCH {
        return Err(Error::usage(format!("the time `{epoch}` is after the year 9999")));
    }
    let time = UNIX_EPOCH + Duration::from_secs(epoch);
    Ok(humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::oci::document::Document;

    /// The output of BuildKit 0.26 (Docker Engine 28.5.2) for a Dockerfile with one of each
    /// instruction.
    const BUILDKIT: &str = r#"{"architecture":"arm","config":{"User":"65532:65532","ExposedPorts":{"80/tcp":{},"90/udp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=b","C=d e"],"Entrypoint":["/usr/local/bin/hello"],"Cmd":["--help","a b","\u003c\u0026\u003e"],"Volumes":{"/data":{}},"WorkingDir":"/","Labels":{"org.opencontainers.image.title":"hello","org.opencontainers.image.version":"1.0.0 'q' \"dq\" back\\slash $dollar"},"StopSignal":"SIGINT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD","/usr/local/bin/hello","x"],"Interval":5000000000}},"created":"2023-11-14T22:13:20Z","history":[{"created":"2023-11-14T22:13:20Z","created_by":"COPY --chmod=0755 linux/arm/v7/bin/ /usr/local/bin/ # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2023-11-14T22:13:20Z","created_by":"USER 65532:65532","comment":"buildkit.dockerfile.v0","empty_layer":true}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:965f7d7978b9c507c12b4acd450fab8f8f80635aaea49a82983afecbe6b410ad"]},"variant":"v7"}"#;

    #[test]
    fn buildkits_bytes_survive_a_round_trip() {
        let read = Document::<Config>::parse(BUILDKIT.as_bytes().to_vec()).unwrap();
        let written = Document::new((*read).clone()).unwrap();
        assert_eq!(std::str::from_utf8(written.bytes()).unwrap(), BUILDKIT);
        assert_eq!(written.digest(), read.digest());
        assert_eq!(read.platform().unwrap().to_string(), "linux/arm/v7");
    }

    #[test]
    fn the_last_keys_are_in_dockers_order() {
        let execution = Execution {
            args_escaped: true,
            healthcheck: Some(Healthcheck::default()),
            on_build: vec!["COPY a /".into()],
            shell: vec!["/bin/sh".into()],
            ..Execution::default()
        };
        assert_eq!(
            serde_json::to_string(&execution).unwrap(),
            r#"{"ArgsEscaped":true,"Healthcheck":{},"OnBuild":["COPY a /"],"Shell":["/bin/sh"]}"#
        );
    }

    #[test]
    fn nulls_are_defaults() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Volumes":null,"Labels":null},"history":null,"rootfs":{"type":"layers","diff_ids":null}}"#;
        let config = Document::<Config>::parse(text.into()).unwrap();
        assert_eq!(config.config, Execution::default());
    }

    #[test]
    fn history_and_rootfs_are_compared() {
        let other = |text: &str| {
            Document::<Config>::parse(text.as_bytes().to_vec()).unwrap().mismatched_history()
        };
        assert_eq!(other(BUILDKIT), None);
        assert_eq!(other(&BUILDKIT.replacen(",\"empty_layer\":true", "", 1)), Some(2));
        let text = r#"{"history":[],"rootfs":{"type":"layers","diff_ids":[]}}"#;
        assert_eq!(other(text), None);
    }

    #[test]
    fn timestamps() {
        assert_eq!(timestamp(0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(1_700_000_000).unwrap(), "2023-11-14T22:13:20Z");
        assert_eq!(timestamp(253_402_300_799).unwrap(), "9999-12-31T23:59:59Z");
        assert!(timestamp(u64::MAX).is_err());
    }
}
