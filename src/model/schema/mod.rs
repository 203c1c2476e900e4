//! The only types that are serialised for others. A change here is a change of contract: fields may
//! be added; a removed or changed one raises the schema's number.
//!
//! ```no_run
//! let text = std::fs::read_to_string("target/dist/dist.json")?;
//! let dist: longshore::schema::Dist = serde_json::from_str(&text)?;
//! assert_eq!(dist.schema, longshore::schema::dist::SCHEMA);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod allocator;
mod archive;
pub mod cache;
pub mod dist;
pub mod doctor;
mod formats;
pub mod image;
pub mod init;
pub mod linker;
pub mod memory;
pub mod package;
pub mod packaging;
pub mod pgo;
pub mod plan;
pub mod profile;
pub mod publication;
pub mod push;
pub mod reproduce;
mod request;
pub mod size;
pub mod tags;
pub mod tune;
pub mod units;
pub mod verify;

pub use cache::Cache;
pub use dist::Dist;
pub use doctor::Doctor;
pub use image::{ImageDiff, Inspection};
pub use init::Init;
pub use plan::Plan;
pub use publication::Publication;
pub use push::Push;
pub use reproduce::Reproduction;
pub use size::Size;
pub use tune::Tune;
pub use verify::Verification;

/// Returns the JSON schemas of all that is serialised for others: the name of each, with its
/// version, and its text. They describe what this version writes.
#[cfg(feature = "schema")]
pub fn json_schemas() -> Vec<(&'static str, String)> {
    use schemars::{JsonSchema, generate::SchemaSettings};

    fn text<T: JsonSchema>() -> String {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<T>();
        format!("{:#}\n", schema.to_value())
    }
    vec![
        ("attribution.v1", text::<size::Attribution>()),
        ("cache.v1", text::<Cache>()),
        ("dist.v1", text::<Dist>()),
        ("doctor.v1", text::<Doctor>()),
        ("image-diff.v1", text::<ImageDiff>()),
        ("image.v1", text::<Inspection>()),
        ("init.v1", text::<Init>()),
        ("package-list.v1", text::<package::ArchiveListing>()),
        ("package-repo.v1", text::<package::Repository>()),
        ("plan.v1", text::<Plan>()),
        ("push.v1", text::<Push>()),
        ("release.v1", text::<Publication>()),
        ("reproduce.v1", text::<Reproduction>()),
        ("size.v1", text::<Size>()),
        ("tune.v1", text::<Tune>()),
        ("verify.v1", text::<Verification>()),
    ]
}
